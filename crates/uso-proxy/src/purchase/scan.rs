//! The request id in a submit's answer, found while the answer passes.

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};

/// How much of a submit's answer is looked at for the request id; a whole one has some 500 bytes.
const LOOKED_AT: usize = 64 << 10;

/// What a look at a piece came to.
pub(super) enum Look {
    /// There is more to look for.
    On,
    /// This piece brought the id.
    Found(String),
    /// There is nothing to look for.
    Enough,
}

/// Finds the request id in a submit's answer while it comes.
#[derive(Default)]
pub(super) struct Scan {
    seen: Vec<u8>,
    pub(super) has_found: bool,
}

impl Scan {
    pub(super) fn push(&mut self, piece: &[u8]) -> Look {
        if self.has_found || self.seen.len() + piece.len() > LOOKED_AT {
            return Look::Enough;
        }
        self.seen.extend_from_slice(piece);
        match request_id(&self.seen) {
            Some(id) => {
                self.has_found = true;
                self.seen = Vec::new();
                Look::Found(id)
            }
            None => Look::On,
        }
    }
}

/// The value of `request_id` in a JSON object, also when the text ends after it.
fn request_id(text: &[u8]) -> Option<String> {
    struct Finder<'a>(&'a mut Option<String>);

    impl<'de> Visitor<'de> for Finder<'_> {
        type Value = ();

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(name) = map.next_key::<String>()? {
                if name == "request_id" {
                    *self.0 = map.next_value()?;
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(())
        }
    }

    impl<'de> DeserializeSeed<'de> for Finder<'_> {
        type Value = ();

        fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            deserializer.deserialize_map(self)
        }
    }

    let mut found = None;
    // What is not JSON, or not yet, has no id or has it before the trouble.
    let _ = Finder(&mut found).deserialize(&mut serde_json::Deserializer::from_slice(text));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_known_before_the_piece_that_completes_it_goes_on() {
        let answer = br#"{"status":"IN_QUEUE","nested":{"request_id":"no"},"request_id":"r-1","queue_position":0}"#;
        let complete = answer
            .windows(5)
            .position(|part| part == b"r-1\",")
            .unwrap()
            + 4;
        for length in [1, 2, 7, answer.len()] {
            let mut scan = Scan::default();
            let mut passed = 0;
            let found = answer.chunks(length).find_map(|piece| {
                passed += piece.len();
                match scan.push(piece) {
                    Look::Found(id) => Some(id),
                    _ => None,
                }
            });
            assert_eq!(found.as_deref(), Some("r-1"));
            assert!(
                passed < complete + length,
                "{passed} of {complete} in {length}"
            );
        }
    }

    #[test]
    fn an_answer_without_an_id_is_not_held_for_ever() {
        for text in [
            "",
            "[]",
            "<html>",
            r#"{"request_id":7}"#,
            r#"{"request_id":null}"#,
        ] {
            assert_eq!(request_id(text.as_bytes()), None, "{text}");
        }
        let mut scan = Scan::default();
        let piece = vec![b' '; LOOKED_AT];
        assert!(matches!(scan.push(&piece), Look::On));
        assert!(matches!(scan.push(b" "), Look::Enough));
    }
}
