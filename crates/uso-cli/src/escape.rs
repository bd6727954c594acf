//! Escaping of characters that would act on a terminal instead of being shown.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Control characters (C0, DEL, C1) and the bidirectional controls of Unicode: a file name or a
/// response that holds one could erase a line, change colours or reverse what is read.
fn acts_on_a_terminal(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// One line of text with every such character shown as an escape such as `\u{1b}`.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts_on_a_terminal) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if acts_on_a_terminal(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// A JSON document with every such character as `\uXXXX`, which means the same to a parser.
pub(crate) fn json(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for character in document.chars() {
        // A line feed is only ever between tokens: inside a string the serializer escaped it.
        if acts_on_a_terminal(character) && character != '\n' {
            let _ = write!(shown, "\\u{:04x}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_acting_character_is_shown_and_every_other_is_kept() {
        assert_eq!(line("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(line("a\u{202e}gnp.b"), "a\\u{202e}gnp.b");
        assert_eq!(line("one\ntwo\r\u{9b}"), "one\\ntwo\\r\\u{9b}");
        let plain = "Größe 写真 👩‍🎨 a\u{301}";
        assert_eq!(line(plain), plain);
    }

    #[test]
    fn an_escaped_document_has_the_same_value() {
        let value = serde_json::json!({ "a\u{202e}": "\u{9b}b\n\u{7f}" });
        let shown = json(&format!("{value:#}"));
        assert!(shown.is_ascii());
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, value);
    }
}
