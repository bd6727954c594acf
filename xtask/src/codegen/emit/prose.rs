//! Doc comments from the free text of a schema.

use proc_macro2::TokenStream;
use quote::quote;

/// Columns that a line of a doc comment may take, its indentation and slashes aside.
const WIDTH: usize = 90;

/// A doc comment out of paragraphs of plain sentences.
pub(super) fn comment(paragraphs: &[String]) -> TokenStream {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in paragraphs.iter().filter(|paragraph| !paragraph.is_empty()) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(paragraph.lines().map(str::to_owned));
    }
    let lines = lines.iter().map(|line| {
        if line.is_empty() {
            String::new()
        } else {
            format!(" {line}")
        }
    });
    quote! { #(#[doc = #lines])* }
}

/// The schema's description as sentences in Markdown that means what it says.
pub(super) fn prose(description: &str) -> String {
    let mut blocks: Vec<String> = Vec::new();
    let mut open = false;
    for line in description.lines() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = line.as_str();
        let item = list_item(line);
        match blocks.last_mut() {
            _ if line.is_empty() => open = false,
            Some(block) if open && item.is_none() => {
                block.push(' ');
                block.push_str(line);
            }
            _ => {
                blocks.push(item.map_or_else(|| line.to_owned(), |text| format!("- {text}")));
                open = true;
            }
        }
    }
    let mut text = String::new();
    let mut in_list = false;
    for block in &blocks {
        let is_item = block.starts_with("- ");
        if !text.is_empty() {
            text.push_str(if is_item && in_list { "\n" } else { "\n\n" });
        }
        in_list = is_item;
        let sentence = sentence(&escape(block.strip_prefix("- ").unwrap_or(block)));
        text.push_str(&wrap(&sentence, if is_item { "- " } else { "" }));
    }
    text
}

fn list_item(line: &str) -> Option<&str> {
    ["- ", "* ", "• "]
        .iter()
        .find_map(|bullet| line.strip_prefix(bullet))
}

/// A capital at the start and a full stop at the end, where words stand there.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut characters = text.chars();
    let mut sentence: String = match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => return String::new(),
    };
    if sentence.ends_with(|last: char| {
        last.is_alphanumeric() || matches!(last, ')' | '`' | '"' | '\'' | ']' | '>' | '%')
    }) {
        sentence.push('.');
    }
    sentence
}

/// Escapes what Markdown or rustdoc would read as more than text; links stay links.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    let mut rest = text;
    while let Some((before, link, after)) = next_link(rest) {
        escaped.push_str(&escape_words(before));
        escaped.push_str(link);
        rest = after;
    }
    escaped.push_str(&escape_words(rest));
    escaped
}

/// The first `[text](address)` with what stands before and after it.
fn next_link(text: &str) -> Option<(&str, &str, &str)> {
    let middle = text.find("](http")?;
    let (head, tail) = text.split_at_checked(middle)?;
    let (before, link) = head.split_at_checked(head.rfind('[')?)?;
    let length = link.len() + tail.find(')')? + 1;
    let (link, after) = text
        .split_at_checked(before.len())?
        .1
        .split_at_checked(length)?;
    (!link.contains('`')).then_some((before, link, after))
}

fn escape_words(text: &str) -> String {
    let ticks = text.matches('`').count();
    let mut escaped = String::new();
    let mut in_code = false;
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            escaped.push(' ');
        }
        if !in_code && (word.contains("http://") || word.contains("https://")) {
            escaped.push_str(&link(word));
            continue;
        }
        for character in word.chars() {
            match character {
                // An odd number of ticks would leave a span open.
                '`' if ticks.is_multiple_of(2) => {
                    in_code = !in_code;
                    escaped.push('`');
                }
                '`' => escaped.push('\''),
                '[' | ']' | '<' | '>' | '*' | '\\' if !in_code => {
                    escaped.push('\\');
                    escaped.push(character);
                }
                '_' if !in_code && (word.starts_with('_') || word.ends_with('_')) => {
                    escaped.push_str("\\_");
                }
                '#' if index == 0 && !in_code => escaped.push_str("\\#"),
                _ => escaped.push(character),
            }
        }
    }
    escaped
}

/// A word with an address in it, with the address marked as one.
fn link(word: &str) -> String {
    let Some((before, address)) = word
        .find("http")
        .and_then(|start| word.split_at_checked(start))
    else {
        return word.to_owned();
    };
    let end = address
        .find(|character: char| "<>()[]\"'`".contains(character))
        .unwrap_or(address.len());
    let (address, after) = address.split_at_checked(end).unwrap_or((address, ""));
    let trimmed = address.trim_end_matches(['.', ',', ';', ':', '!', '?']);
    let rest = address.strip_prefix(trimmed).unwrap_or("");
    let plain = |text: &str| {
        text.chars()
            .filter(|character| !"<>[]`".contains(*character))
            .collect::<String>()
    };
    format!("{}<{trimmed}>{rest}{}", plain(before), plain(after))
}

pub(super) fn wrap(text: &str, bullet: &str) -> String {
    let mut wrapped = String::from(bullet);
    let indent = " ".repeat(bullet.len());
    let mut column = bullet.len();
    for (index, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 {
            // A line must not begin with what Markdown reads as a list or a heading.
            let marks = word.starts_with(['-', '+', '#', '=', '|', '~'])
                || word.trim_end_matches(['.', ')']).parse::<u32>().is_ok();
            if column + 1 + length > WIDTH && !marks {
                wrapped.push('\n');
                wrapped.push_str(&indent);
                column = indent.len();
            } else {
                wrapped.push(' ');
                column += 1;
            }
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
}

/// `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(prose("a <b> in [brackets]"), "A \\<b\\> in \\[brackets\\].");
        assert_eq!(
            prose("see https://example.com/a."),
            "See <https://example.com/a>."
        );
        assert_eq!(
            prose("see [this](https://example.com)"),
            "See [this](https://example.com)."
        );
        assert_eq!(prose("takes `x_y` or *"), "Takes `x_y` or \\*");
    }

    #[test]
    fn lists_stay_lists_and_indentation_is_no_code() {
        assert_eq!(
            prose("One of:\n    - a\n      more\n    - b"),
            "One of:\n\n- A more.\n- B."
        );
        assert_eq!(
            prose("\n        first\n\n        second\n"),
            "First.\n\nSecond."
        );
    }
}
