//! Telling whether two inputs mean the same, without keeping either.
//!
//! The service gives an input back as JSON of its own making: keys in another order, `4.0` where
//! `4` was sent. So the digest is taken of the meaning and not of the text, value by value while
//! the JSON is read, and a picture of some megabytes is never copied for it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sanitize::hex;

/// SHA-256 of an input's meaning, in lower-case hex: it tells two inputs apart and shows nothing
/// of either.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an input came to when it was read through once.
pub(crate) struct Inspected {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) seed: Option<u64>,
    pub(crate) is_object: bool,
}

impl<'de> Deserialize<'de> for Inspected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        Ok(Self {
            fingerprint: Fingerprint(hex(&node.digest)),
            seed: node.seed,
            is_object: node.is_object,
        })
    }
}

/// The digest of one JSON value.
struct Node {
    digest: [u8; 32],
    seed: Option<u64>,
    number: Option<u64>,
    is_object: bool,
}

impl Node {
    /// A leaf or a list: its kind keeps `"1"` and `1` apart.
    fn of(kind: u8, content: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update([kind])
            .chain_update(content)
            .finalize()
            .into();
        Self {
            digest,
            seed: None,
            number: None,
            is_object: false,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::of(b'z', b""))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::of(b'b', &[u8::from(value)]))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node {
            number: Some(value),
            ..Node::of(b'n', value.to_string().as_bytes())
        })
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::of(b'n', value.to_string().as_bytes()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        // `4.0` and `4` are one number; Rust writes the first without its fraction.
        Ok(Node::of(b'n', format!("{value}").as_bytes()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::of(b's', value.as_bytes()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut content = Vec::new();
        while let Some(item) = items.next_element::<Node>()? {
            content.extend_from_slice(&item.digest);
        }
        Ok(Node::of(b'a', &content))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Node, A::Error> {
        let mut sorted = BTreeMap::new();
        let mut seed = None;
        while let Some(name) = fields.next_key::<String>()? {
            let value: Node = fields.next_value()?;
            if name == "seed" {
                seed = value.number;
            }
            sorted.insert(name, value.digest);
        }
        let mut content = Vec::new();
        for (name, digest) in &sorted {
            content.extend_from_slice(&Node::of(b's', name.as_bytes()).digest);
            content.extend_from_slice(digest);
        }
        Ok(Node {
            seed,
            is_object: true,
            ..Node::of(b'o', &content)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect(json: &str) -> Inspected {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn order_spacing_and_the_spelling_of_numbers_do_not_matter() {
        let sent = inspect(
            r#"{"seed":7,"guidance_scale":4.0,"size":{"width":1,"height":2},"urls":["a","b"]}"#,
        );
        let listed = inspect(
            r#"{ "urls": ["a", "b"], "size": {"height": 2, "width": 1.0}, "guidance_scale": 4, "seed": 7 }"#,
        );
        assert_eq!(sent.fingerprint, listed.fingerprint);
        assert_eq!(sent.seed, Some(7));
        assert_eq!(sent.fingerprint.as_str().len(), 64);
    }

    #[test]
    fn every_difference_in_meaning_is_seen() {
        let values = [
            "null",
            "true",
            "false",
            "0",
            "1",
            "-1",
            "1.5",
            "\"1\"",
            "\"\"",
            "[]",
            "[1]",
            "[1,1]",
            "[[1]]",
            "{}",
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"b":1}"#,
            r#"{"a":null}"#,
            r#"["a",1]"#,
            r#"{"a":1,"b":1}"#,
        ];
        for (i, a) in values.iter().enumerate() {
            for b in values.iter().skip(i + 1) {
                assert_ne!(inspect(a).fingerprint, inspect(b).fingerprint, "{a} {b}");
            }
        }
    }
}
