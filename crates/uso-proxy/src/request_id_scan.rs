//! Finds the request id in a submit's response while the response passes.

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};

/// Bytes of a submit's response that are searched for the request id; a whole response has some 500.
const SEARCHED: usize = 64 << 10;

/// Result of a look at a piece.
pub(crate) enum Look {
    /// The id may still come.
    GoOn,
    /// This piece completed the id.
    Found(String),
    /// The id does not come any more.
    GiveUp,
}

/// The part of the response that was seen.
#[derive(Default)]
pub(crate) struct Scan(Vec<u8>);

impl Scan {
    pub(crate) fn push(&mut self, piece: &[u8]) -> Look {
        if self.0.len() + piece.len() > SEARCHED {
            return Look::GiveUp;
        }
        self.0.extend_from_slice(piece);
        request_id(&self.0).map_or(Look::GoOn, Look::Found)
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
    // Text that is no JSON, or not yet, has no id, or has the id before the error.
    let _ = Finder(&mut found).deserialize(&mut serde_json::Deserializer::from_slice(text));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_known_before_the_piece_that_completes_it_goes_on() {
        let response = br#"{"status":"IN_QUEUE","nested":{"request_id":"no"},"request_id":"r-1","queue_position":0}"#;
        let complete = response
            .windows(5)
            .position(|part| part == b"r-1\",")
            .unwrap()
            + 4;
        for length in [1, 2, 7, response.len()] {
            let mut scan = Scan::default();
            let mut passed = 0;
            let found = response.chunks(length).find_map(|piece| {
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
    fn a_response_without_an_id_is_not_kept_for_ever() {
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
        let piece = vec![b' '; SEARCHED];
        assert!(matches!(scan.push(&piece), Look::GoOn));
        assert!(matches!(scan.push(b" "), Look::GiveUp));
    }
}
