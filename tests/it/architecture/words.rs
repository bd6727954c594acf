//! Docs, comments and messages are plain modern English: no word of a short list.

use std::path::{Path, PathBuf};

/// Endings of the files that people read or that pages show.
const TEXTS: [&str; 8] = [".rs", ".md", ".html", ".js", ".mjs", ".css", ".yml", ".py"];

/// The words of `fixtures/banned-words.txt`, in lower case.
fn banned() -> Vec<String> {
    let list = std::fs::read_to_string(uso_tests::rig::file("fixtures/banned-words.txt")).unwrap();
    let words: Vec<String> = list
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    assert!(words.len() > 20, "the list is not empty");
    words
}

#[test]
fn no_text_uses_a_word_of_the_list() {
    let banned = banned();
    let root = uso_tests::rig::file("..");
    let mut found = String::new();
    let mut files = Vec::new();
    for folder in [".github", "crates", "xtask", "tests"] {
        collect(&root.join(folder), &mut files);
    }
    files.push(root.join("README.md"));
    assert!(files.len() > 200, "the files are found");
    for file in files {
        let source = std::fs::read_to_string(&file).unwrap();
        let text = match file.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => prose(&source),
            _ => source,
        };
        let name = file
            .strip_prefix(&root)
            .unwrap_or(&file)
            .display()
            .to_string();
        for (line, word) in uses(&text, &banned) {
            found.push_str(&format!("{name}:{line}: {word}\n"));
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn texts_are_found_and_code_is_not() {
    let source = r##"//! One `code`.
let lifetime: &'static str = "two \" three"; // four
let raw = r#"five "six" seven"#; /* eight
nine /* ten */ eleven */ let c = '"'; let d = b'\''; let e = c"twelve";
fn zero() {}
"##;
    let text = prose(source);
    let words: Vec<&str> = text
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| word.len() > 2)
        .collect();
    let expected = [
        "One", "code", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ];
    assert_eq!(words, expected);
    assert_eq!(
        text.lines().count(),
        source.lines().count(),
        "lines keep their numbers"
    );
}

#[test]
fn a_word_is_found_in_any_case_over_a_line_break_and_only_whole() {
    let banned = ["zounds".to_owned(), "set forth".to_owned()];
    let text =
        "Zounds! We\n//! see what is set\n    /// forth: the unzounds of zounds-x and zounds_y.";
    assert_eq!(uses(text, &banned), [(1, "zounds"), (2, "set forth")]);
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !matches!(name, "target" | "node_modules") {
                collect(&path, files);
            }
        } else if TEXTS.iter().any(|ending| name.ends_with(ending)) {
            files.push(path);
        }
    }
}

/// A Rust file with everything but its comments and texts made blank.
fn prose(source: &str) -> String {
    let mut text = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (length, is_text) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), true)
        } else if rest.starts_with("/*") {
            (block_comment(rest), true)
        } else if first == '"' {
            (quoted(rest), true)
        } else if let Some(length) = raw(rest) {
            (length, true)
        } else if first == '\'' {
            (character(rest), false)
        } else if first.is_alphabetic() || first == '_' {
            let word = |c: char| !(c.is_alphanumeric() || c == '_');
            let length = rest.find(word).unwrap_or(rest.len());
            (length, false)
        } else {
            (first.len_utf8(), false)
        };
        let (token, after) = rest.split_at(length);
        if is_text {
            text.push_str(token);
        } else {
            text.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    text
}

fn block_comment(source: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < source.len() {
        if source[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if source[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += source[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    source.len()
}

/// The length of a text that starts with its quotation mark.
fn quoted(source: &str) -> usize {
    let mut escaped = false;
    for (at, c) in source.char_indices().skip(1) {
        if c == '"' && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    source.len()
}

/// The length of a raw text like `r#"…"#`, with any prefix.
fn raw(source: &str) -> Option<usize> {
    let start = ["r", "br", "cr"].iter().find_map(|prefix| {
        let after = source.strip_prefix(prefix)?;
        let hashes = after.len() - after.trim_start_matches('#').len();
        after[hashes..]
            .starts_with('"')
            .then_some((prefix.len() + hashes + 1, hashes))
    })?;
    let (start, hashes) = start;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = source[start..].find(&end).map(|at| start + at + end.len());
    Some(length.unwrap_or(source.len()))
}

/// The length of a character like `'"'`; a lifetime has only its tick.
fn character(source: &str) -> usize {
    let inner = &source[1..];
    if inner.starts_with('\\') {
        return inner[2..].find('\'').map_or(1, |at| at + 4);
    }
    let first = inner.chars().next().map_or(0, char::len_utf8);
    if inner[first..].starts_with('\'') {
        first + 2
    } else {
        1
    }
}

/// The banned words of a text, each with its line.
fn uses<'a>(text: &str, banned: &'a [String]) -> Vec<(usize, &'a str)> {
    let mut words: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let inner = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'));
        let line_words = line.split(inner).filter(|word| !word.is_empty());
        words.extend(line_words.map(|word| (index + 1, word.to_lowercase())));
    }
    let mut found = Vec::new();
    for (at, (line, _)) in words.iter().enumerate() {
        for phrase in banned {
            let mut here = words[at..].iter().map(|(_, word)| word.as_str());
            if phrase.split(' ').all(|word| here.next() == Some(word)) {
                found.push((*line, phrase.as_str()));
            }
        }
    }
    found
}
