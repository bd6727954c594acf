//! Lexical repair of JSON that a strict parser refuses although its meaning is clear.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Deserializer;

/// A value that was read from JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<T> {
    /// The value.
    pub value: T,
    /// Whether the text had to be repaired.
    pub is_repaired: bool,
}

/// Parses JSON strictly, and once more after [`repair`] where that fails.
///
/// # Errors
///
/// The error of the strict parser when that does not help.
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<Parsed<T>, serde_json::Error> {
    parse_as(text, |text| serde_json::from_slice(text))
}

/// As [`parse`], and of an object or a list without the bytes that follow it: what is there is worth
/// having, and what else there was is not known.
///
/// # Errors
///
/// The error of the strict parser when that does not help.
pub fn parse_first<T: DeserializeOwned>(text: &[u8]) -> Result<Parsed<T>, serde_json::Error> {
    parse_as(text, first)
}

fn parse_as<T: DeserializeOwned>(
    text: &[u8],
    once_more: impl Fn(&[u8]) -> Result<T, serde_json::Error>,
) -> Result<Parsed<T>, serde_json::Error> {
    let error = match serde_json::from_slice(text) {
        Ok(value) => {
            let is_repaired = false;
            return Ok(Parsed { value, is_repaired });
        }
        Err(error) => error,
    };
    match once_more(repair(text).as_deref().unwrap_or(text)) {
        Ok(value) => Ok(Parsed {
            value,
            is_repaired: true,
        }),
        Err(_) => Err(error),
    }
}

/// The first value of a text. Only an object or a list has an end of its own, behind which anything
/// may follow.
fn first<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    let mut deserializer = Deserializer::from_slice(text);
    let value = T::deserialize(&mut deserializer)?;
    match text.trim_ascii_start() {
        [b'{' | b'[', ..] => {}
        _ => deserializer.end()?,
    }
    Ok(value)
}

/// Repairs what some JSON writers get wrong; `None` when there is nothing to repair.
///
/// A byte order mark at the start is dropped. Outside strings, `NaN`, the infinities and numbers that
/// are too large for a float become `null`. Inside strings, a lone surrogate such as `\ud800` and
/// invalid UTF-8 become U+FFFD, and a raw control character is escaped. Nothing else changes, so that
/// numbers and names keep their spelling.
///
/// ```
/// let repaired = uso_types::json_repair::repair(br#"{"t":NaN,"p":"\ud800"}"#);
/// assert_eq!(repaired.unwrap(), br#"{"t":null,"p":"\ufffd"}"#);
/// assert_eq!(uso_types::json_repair::repair(b"{}"), None);
/// ```
pub fn repair(text: &[u8]) -> Option<Vec<u8>> {
    let lossy = String::from_utf8_lossy(text);
    let mut changed = matches!(lossy, Cow::Owned(_));
    let mut rest = lossy.as_ref();
    if let Some(without) = rest.strip_prefix('\u{feff}') {
        (rest, changed) = (without, true);
    }
    let mut repaired = String::with_capacity(rest.len());
    let mut in_string = false;
    while let Some(character) = rest.chars().next() {
        let (taken, replacement) = match in_string {
            true => in_string_token(rest, character),
            false => outside_token(rest),
        };
        if taken == 1 && character == '"' {
            in_string = !in_string;
        }
        let (token, tail) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        changed |= replacement.is_some();
        repaired.push_str(replacement.as_deref().unwrap_or(token));
        rest = tail;
    }
    changed.then(|| repaired.into_bytes())
}

type Token = (usize, Option<Cow<'static, str>>);

/// The length of the next token outside strings, and what replaces it.
fn outside_token(rest: &str) -> Token {
    for word in ["-Infinity", "+Infinity", "Infinity", "-NaN", "NaN"] {
        if rest.starts_with(word) {
            return (word.len(), Some(Cow::Borrowed("null")));
        }
    }
    let is_numeric = |character: char| matches!(character, '0'..='9' | '+' | '-' | '.' | 'e' | 'E');
    let end = rest.find(|character| !is_numeric(character));
    let (number, _) = rest
        .split_at_checked(end.unwrap_or(rest.len()))
        .unwrap_or_default();
    if number.is_empty() {
        return (rest.chars().next().map_or(0, char::len_utf8), None);
    }
    let is_too_large = number.parse().is_ok_and(f64::is_infinite);
    (number.len(), is_too_large.then_some(Cow::Borrowed("null")))
}

/// The length of the next token inside a string, and what replaces it.
fn in_string_token(rest: &str, character: char) -> Token {
    if character.is_ascii_control() {
        let escaped = format!("\\u{:04x}", u32::from(character));
        return (1, Some(Cow::Owned(escaped)));
    }
    if character != '\\' {
        return (character.len_utf8(), None);
    }
    match surrogate(rest) {
        Some(0xd800..=0xdbff) => {
            let next = rest.get(6..).and_then(surrogate);
            match next {
                Some(0xdc00..=0xdfff) => (12, None),
                _ => (6, Some(Cow::Borrowed("\\ufffd"))),
            }
        }
        Some(_) => (6, Some(Cow::Borrowed("\\ufffd"))),
        // An escape and the character behind it, so that an escaped quote ends no string.
        None => {
            let escaped = rest.chars().nth(1).map_or(0, char::len_utf8);
            (1 + escaped, None)
        }
    }
}

/// The surrogate that an escape at the start of the text stands for.
fn surrogate(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let unit = u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
    (0xd800..=0xdfff).contains(&unit).then_some(unit)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn unambiguous_faults_of_json_are_repaired_and_the_rest_stays() {
        for (text, value) in [
            ("\u{feff}{\"a\":1}", json!({ "a": 1 })),
            (
                "{\"a\":NaN,\"b\":[-Infinity,Infinity]}",
                json!({ "a": null, "b": [null, null] }),
            ),
            (
                r#"{"a":"\ud800x","b":"\udc00"}"#,
                json!({ "a": "\u{fffd}x", "b": "\u{fffd}" }),
            ),
            (
                r#"{"a":"\ud800\ud83e\udd80"}"#,
                json!({ "a": "\u{fffd}🦀" }),
            ),
            (
                r#"{"a":"NaN \" NaN","b":NaN}"#,
                json!({ "a": "NaN \" NaN", "b": null }),
            ),
            (
                r#"{"a":[1e999,-1.5E+400,1e9],"b":"1e999"}"#,
                json!({ "a": [null, null, 1e9], "b": "1e999" }),
            ),
            ("{\"a\":\"one\ntwo\"}", json!({ "a": "one\ntwo" })),
        ] {
            let parsed: Parsed<Value> = parse(text.as_bytes()).unwrap();
            assert_eq!(parsed.value, value, "{text}");
            assert!(parsed.is_repaired, "{text}");
        }
        let parsed: Parsed<Value> = parse(b"{\"a\":\"\xff\"}").unwrap();
        assert_eq!(parsed.value, json!({ "a": "\u{fffd}" }));
    }

    #[test]
    fn bytes_behind_a_value_are_left_out_only_where_that_is_asked_for() {
        for (text, value) in [
            ("{\"a\":1}{\"a\":2}", json!({ "a": 1 })),
            (" [1]\n<!-- cached -->", json!([1])),
            ("{\"a\":NaN}\0\0", json!({ "a": null })),
        ] {
            assert!(parse::<Value>(text.as_bytes()).is_err(), "{text}");
            let parsed: Parsed<Value> = parse_first(text.as_bytes()).unwrap();
            assert_eq!((parsed.value, parsed.is_repaired), (value, true), "{text}");
        }
    }

    #[test]
    fn valid_json_is_left_alone_and_hopeless_text_is_refused() {
        let valid = r#"{"a":"NaN","b":"\\ud800","c":"\ud83e\udd80","d":1e300}"#;
        assert_eq!(repair(valid.as_bytes()), None);
        for text in [
            "",
            "{",
            "<html>",
            "{\"a\":NaN",
            "NaNa",
            "1 2",
            "{\"a\":NaNNaN}",
        ] {
            assert!(parse_first::<Value>(text.as_bytes()).is_err(), "{text}");
        }
    }
}
