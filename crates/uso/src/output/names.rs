//! File names from a template. Text from the service only fills placeholders, and only with plain
//! characters, so that the service never decides where a file goes.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use uso_transport::Problem;

/// The longest part of a name that is made of a request id.
const LONGEST_PART: usize = 100;

/// Values of the placeholders.
pub(super) struct Values<'a> {
    /// Counts from 1.
    pub(super) number: usize,
    pub(super) request_id: Option<&'a str>,
    pub(super) seed: Option<u64>,
    pub(super) extension: &'a str,
}

/// A checked template of a file name.
pub(super) struct Template(Vec<Piece>);

enum Piece {
    Text(String),
    Number,
    Id,
    Seed,
    Extension,
}

const PLACEHOLDERS: &str = "{n}, {id}, {seed} and {ext}; a brace of the name itself is doubled";

impl Template {
    /// Reads a template for this many files.
    pub(super) fn new(template: &str, files: usize) -> Result<Self, Problem> {
        let refuse = |why: String| Problem::new("template", format!("{template:?} {why}"));
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = template.chars();
        while let Some(letter) = rest.next() {
            match letter {
                '/' | '\\' | '\0' => {
                    let why = "has a folder in it; give the folder as the first argument";
                    return Err(refuse(why.to_owned()));
                }
                '{' | '}' if rest.as_str().starts_with(letter) => {
                    rest.next();
                    text.push(letter);
                }
                '{' => {
                    let Some((name, after)) = rest.as_str().split_once('}') else {
                        return Err(refuse(format!(
                            "has a {{ without its }}; the placeholders are {PLACEHOLDERS}"
                        )));
                    };
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(match name {
                        "n" => Piece::Number,
                        "id" => Piece::Id,
                        "seed" => Piece::Seed,
                        "ext" => Piece::Extension,
                        _ => {
                            return Err(refuse(format!(
                                "has {{{name}}} in it; the placeholders are {PLACEHOLDERS}"
                            )));
                        }
                    });
                    rest = after.chars();
                }
                '}' => {
                    return Err(refuse(format!(
                        "has a }} without its {{; the placeholders are {PLACEHOLDERS}"
                    )));
                }
                _ => text.push(letter),
            }
        }
        pieces.push(Piece::Text(text));
        if files > 1 && !pieces.iter().any(|piece| matches!(piece, Piece::Number)) {
            return Err(refuse(format!(
                "gives {files} pictures one name; put {{n}} into it"
            )));
        }
        let template = Self(pieces);
        let sample = template.name(&Values {
            number: 1,
            request_id: None,
            seed: None,
            extension: "png",
        });
        if sample.trim_matches(['.', ' ']).is_empty() {
            return Err(refuse("is not a file name".to_owned()));
        }
        Ok(template)
    }

    /// The name of one file.
    pub(super) fn name(&self, values: &Values<'_>) -> String {
        let mut name = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Number => name.push_str(&values.number.to_string()),
                Piece::Id => name.push_str(&id_in_name(values.request_id.unwrap_or("unknown"))),
                Piece::Seed => name.push_str(
                    &values
                        .seed
                        .map_or_else(|| "unknown".to_owned(), |seed| seed.to_string()),
                ),
                Piece::Extension => name.push_str(values.extension),
            }
        }
        name
    }
}

/// Text as a part of a template, with its braces doubled.
///
/// ```
/// use uso::pictures::escaped;
///
/// let template = format!("{}-{{n}}.{{ext}}", escaped("draft {2}"));
/// assert_eq!(template, "draft {{2}}-{n}.{ext}");
/// ```
pub fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// A request id as a part of a file name: letters, digits, `-` and `_` stay, everything else is
/// written in hexadecimal, and what is long ends with a digest. Different ids give different names.
///
/// ```
/// use uso::pictures::id_in_name;
///
/// assert_eq!(id_in_name("3f1c9a52-7d0e"), "3f1c9a52-7d0e");
/// assert_ne!(id_in_name("a.b"), id_in_name("a:b"));
/// ```
pub fn id_in_name(request_id: &str) -> String {
    let mut name = String::new();
    for byte in request_id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            // Writing into a string does not fail.
            _ => _ = write!(name, "~{byte:02x}"),
        }
    }
    if name.len() > LONGEST_PART {
        let digest = Sha256::digest(request_id);
        name.truncate(LONGEST_PART - 33);
        name.push('~');
        for byte in digest.iter().take(16) {
            _ = write!(name, "{byte:02x}");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_with_plain_characters() {
        let values = Values {
            number: 2,
            request_id: Some("../a:b"),
            seed: Some(7),
            extension: "jpg",
        };
        let template = Template::new("{id}-{seed}-{n}.{ext}", 3).ok().unwrap();
        assert_eq!(template.name(&values), "~2e~2e~2fa~3ab-7-2.jpg");
    }

    #[test]
    fn braces_of_a_callers_own_name_stay_braces() {
        let values = Values {
            number: 1,
            request_id: Some("{n}"),
            seed: None,
            extension: "png",
        };
        for own in ["{n}", "{{", "}", "a{b}c", "{}", "}{", "{id}}"] {
            let template = format!("{}-{{n}}.{{ext}}", escaped(own));
            let template = Template::new(&template, 2).ok().unwrap();
            assert_eq!(template.name(&values), format!("{own}-1.png"));
        }
    }

    #[test]
    fn different_ids_give_different_names() {
        let long = "x".repeat(150);
        let ids = [
            "a.b".to_owned(),
            "a:b".to_owned(),
            "a_b".to_owned(),
            "a~b".to_owned(),
            "a~2eb".to_owned(),
            format!("{long}1"),
            format!("{long}2"),
            ":".repeat(200),
            ":".repeat(199),
        ];
        let mut names: Vec<String> = ids.iter().map(|id| id_in_name(id)).collect();
        assert!(names.iter().all(|name| name.len() <= LONGEST_PART));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), ids.len());
    }

    #[test]
    fn a_template_that_is_not_a_file_name_is_refused() {
        for (text, files, why) in [
            ("a/{n}.png", 1, "has a folder"),
            ("..\\{n}", 1, "has a folder"),
            ("{n", 1, "without its }"),
            ("n}", 1, "without its {"),
            ("{number}.png", 1, "{number} in it"),
            ("a.png", 2, "put {n} into it"),
            ("{{n}}.png", 2, "put {n} into it"),
            ("", 1, "not a file name"),
            ("..", 1, "not a file name"),
        ] {
            let problem = Template::new(text, files).err().unwrap();
            assert!(problem.message.contains(why), "{text}: {}", problem.message);
        }
    }
}
