//! What an argument names: a file, a URL, standard input, or a text that a file holds.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::bounded_file;
use crate::failure::Failure;

/// Longest prompt file that is read, in bytes.
const LONGEST_PROMPT: u64 = 64 << 10;

/// Beginnings of what is a URL and no path.
const SCHEMES: [&str; 4] = ["http://", "https://", "data:", "file:"];

pub(crate) fn has_scheme(given: &str, scheme: &str) -> bool {
    let head = given.get(..scheme.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(scheme))
}

/// Whether a text is a URL of one of the kinds that are taken.
pub(crate) fn is_url(given: &str) -> bool {
    SCHEMES.iter().any(|scheme| has_scheme(given, scheme))
}

/// Whether the argument can be a picture: it exists, or is written as a URL.
pub(crate) fn is_picture(argument: &OsStr) -> bool {
    let is_url = argument.to_str().is_some_and(is_url);
    is_url || argument == "-" || argument.is_empty() || Path::new(argument).exists()
}

/// The file of a prompt that is written as `@FILE`.
pub(crate) fn prompt_file(given: &str) -> Option<&str> {
    let file = given.strip_prefix('@')?;
    (!file.starts_with('@')).then_some(file)
}

/// The prompt as text, read from a file where it is written as `@FILE`.
pub(crate) fn prompt(given: &str) -> Result<String, Failure> {
    let Some(file) = prompt_file(given) else {
        // A text that starts with @ is written with @@.
        let text = given.strip_prefix('@').unwrap_or(given);
        return Ok(text.to_owned());
    };
    let unreadable = |why: String| {
        Failure::input(format!("--prompt: the file {file:?} {why}")).with_hint(
            "nothing was sent; a text that starts with @ is written with @@ in place of it",
        )
    };
    let read = match file {
        "-" => bounded_file::read_from(std::io::stdin(), LONGEST_PROMPT),
        file => bounded_file::read(file.as_ref(), LONGEST_PROMPT),
    };
    let bytes = read.map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => {
            unreadable(format!("is longer than {} KiB", LONGEST_PROMPT >> 10))
        }
        _ => unreadable(format!("cannot be read: {error}")),
    })?;
    let text =
        String::from_utf8(bytes).map_err(|_| unreadable("is not text in UTF-8".to_owned()))?;
    Ok(text.trim_end().to_owned())
}

/// The path of the local file that an argument names, and `None` for URLs and standard input.
pub(crate) fn local_path(argument: &str, given: &OsStr) -> Result<Option<PathBuf>, Failure> {
    if given.is_empty() {
        return Err(Failure::usage(format!(
            "{argument} is empty; give a path, a URL, a data URI, or - for standard input"
        )));
    }
    let Some(text) = given.to_str() else {
        return Ok(Some(PathBuf::from(given)));
    };
    if has_scheme(text, "file:") {
        let path = url::Url::parse(text)
            .ok()
            .and_then(|url| url.to_file_path().ok());
        return path.map(Some).ok_or_else(|| {
            Failure::usage(format!(
                "{argument}: {text:?} is not the URL of a file here"
            ))
            .with_hint("write it as file:///path/to/picture, or as a path")
        });
    }
    Ok(local(text))
}

/// The path that a text names, where it names one.
pub(crate) fn local(given: &str) -> Option<PathBuf> {
    (given != "-" && !is_url(given)).then(|| PathBuf::from(given))
}

/// The name of a picture that goes in, without folder and extension, for the name of one that
/// comes out.
pub(crate) fn name(given: &OsStr) -> String {
    let text = given.to_string_lossy();
    let is_url = has_scheme(&text, "http://") || has_scheme(&text, "https://");
    let path = match text.split(['?', '#']).next() {
        Some(path) if is_url => path.splitn(4, '/').nth(3).unwrap_or_default(),
        _ if text == "-" || has_scheme(&text, "data:") => "",
        _ => text.as_ref(),
    };
    let stem = Path::new(path).file_stem().unwrap_or_default();
    let stem: String = stem
        .to_string_lossy()
        .chars()
        .map(|character| match character {
            // What a URL or another system's path may hold, and a name here should not.
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '%' | '\u{fffd}' => '_',
            character if character.is_control() => '_',
            character => character,
        })
        .take(60)
        .collect();
    match stem.trim_matches(['.', ' ', '-']) {
        "" => "picture".to_owned(),
        stem => stem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_from_the_last_part_of_a_path_or_a_url() {
        for (given, expected) in [
            ("holiday/photo.final.jpg", "photo.final"),
            ("https://example.org/a/ink.webp?size=2#x", "ink"),
            ("https://example.org", "picture"),
            ("data:image/png;base64,AAAA", "picture"),
            ("-", "picture"),
            ("..", "picture"),
            ("-rf.png", "rf"),
            ("a\u{1b}b:c.png", "a_b_c"),
            ("写真.png", "写真"),
        ] {
            assert_eq!(name(OsStr::new(given)), expected, "{given}");
        }
        assert_eq!(name(OsStr::new(&"x".repeat(200))).len(), 60);
    }
}
