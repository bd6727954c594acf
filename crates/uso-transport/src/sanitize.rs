//! Sanitizing of text from outside before it is shown.

/// Text from outside, fit for a terminal and a log: one line, bounded, and without any data URI
/// that it may echo.
pub(crate) fn plain_text(text: &str) -> String {
    const LONGEST: usize = 500;
    if is_plain(text) {
        return text.to_owned();
    }
    let mut plain = String::new();
    for word in text.split_whitespace() {
        if !plain.is_empty() {
            plain.push(' ');
        }
        match word.find("data:").filter(|_| word.len() > 64) {
            Some(start) => {
                plain.push_str(word.get(..start).unwrap_or_default());
                plain.push_str("data:…");
            }
            None => plain.extend(word.chars().filter(|character| !is_unsafe(*character))),
        }
        if plain.len() > LONGEST {
            let end = plain
                .char_indices()
                .map(|(at, _)| at)
                .take_while(|at| *at <= LONGEST)
                .last();
            plain.truncate(end.unwrap_or_default());
            plain.push('…');
            break;
        }
    }
    plain
}

/// As [`plain_text`], of a text that is not needed otherwise.
pub(crate) fn plain(text: String) -> String {
    match is_plain(&text) {
        true => text,
        false => plain_text(&text),
    }
}

/// Whether a text shows as it is: most are short words with single blanks between.
fn is_plain(text: &str) -> bool {
    let mut last = b' ';
    let is_shown = |byte: u8| {
        let is_shown = byte.is_ascii_graphic() || (byte == b' ' && last != b' ');
        last = byte;
        is_shown
    };
    text.len() <= 64 && text.bytes().all(is_shown) && last != b' '
}

/// Control characters, and those that change the direction of the text around them.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = nibbles.filter_map(|nibble| DIGITS.get(usize::from(nibble)));
    digits.map(|digit| char::from(*digit)).collect()
}

/// What is wrong with JSON text, without quoting any of it.
pub(crate) fn json_problem(error: &serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Eof => format!("it ends too early, at {place}"),
        serde_json::error::Category::Syntax => format!("it is not JSON, at {place}"),
        serde_json::error::Category::Data => format!("it has another shape, at {place}"),
        serde_json::error::Category::Io => "it could not be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoed_data_uris_and_control_characters_do_not_pass() {
        let echo = format!(
            "cannot load\u{1b}[31m url=data:image/png;base64,{} sorry",
            "A".repeat(4000)
        );
        assert_eq!(plain_text(&echo), "cannot load[31m url=data:… sorry");
        assert_eq!(plain_text("a\u{202e}b\u{2067}c"), "abc");
        assert!(plain_text(&"word ".repeat(1000)).len() < 600);
    }
}
