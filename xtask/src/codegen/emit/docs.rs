//! Docs that read as if a person had written them.

use proc_macro2::TokenStream;
use quote::quote;
use serde_json::{Number, Value};

use super::Context;
use crate::codegen::model::{Definition, Kind, Node};

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
fn sentence(text: &str) -> String {
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

fn wrap(text: &str, bullet: &str) -> String {
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

impl Context<'_> {
    /// The docs of a type.
    pub(super) fn type_docs(&self, name: &str, definition: &Definition) -> Vec<String> {
        let endpoint = self.model.endpoint.as_deref();
        let is = |root: &Option<String>| root.as_deref() == Some(name);
        let described = definition
            .node
            .description
            .as_deref()
            .map(prose)
            .unwrap_or_default();
        let opening = match endpoint {
            Some(endpoint) if is(&self.model.input) => {
                format!("What a request to `{endpoint}` carries.")
            }
            Some(endpoint) if is(&self.model.output) => format!("What `{endpoint}` answers."),
            None if is(&self.model.input) => "What a request carries.".to_owned(),
            None if is(&self.model.output) => "What the endpoint answers.".to_owned(),
            _ if !described.is_empty() => return vec![described],
            _ => match self.user(name) {
                Some(user) => format!("The values of [`{user}`]."),
                None => article(name),
            },
        };
        vec![opening, described]
    }

    /// The union or the field that a type was made for.
    fn user(&self, name: &str) -> Option<String> {
        let refers = |node: &Node| {
            let inner = node
                .items
                .as_deref()
                .or(node.entries.as_deref())
                .unwrap_or(node);
            inner.reference.as_deref() == Some(name)
        };
        let definition = self.model.definitions.get(name)?;
        if matches!(definition.kind(), Kind::Object) {
            return None;
        }
        self.model.ordered().find_map(|(owner, candidate)| {
            if let Kind::Union(shapes) = candidate.kind() {
                let shape = shapes.iter().find(|shape| refers(shape))?;
                return Some(format!("{owner}::{}", super::rust_name(shape)));
            }
            let (_, field) = candidate.fields().find(|(_, field)| refers(field))?;
            Some(format!("{owner}::{}", super::rust_name(field)))
        })
    }

    /// The docs of a field: what it is, then its unit, range and default.
    pub(super) fn field_docs(&self, wire: &str, field: &Node, sent: bool) -> Vec<String> {
        let described = field.description.as_deref().map(prose).unwrap_or_default();
        let opening = if described.is_empty() {
            format!("The field `{wire}`.")
        } else {
            described
        };
        let mut facts: Vec<String> = Vec::new();
        facts.extend(unit(wire, field));
        facts.extend(range(field));
        let default = field.default.as_ref().filter(|_| sent);
        let default = default.map(|default| self.default_phrase(field, default));
        if let Some(default) = default {
            facts.push(format!("the service takes {default} when this is left out"));
        }
        let facts = match facts.as_slice() {
            [] => String::new(),
            [head @ .., last] if last.starts_with("the service") && !head.is_empty() => {
                format!("{}; {last}", head.join(", "))
            }
            facts => facts.join(", "),
        };
        vec![opening, wrap(&sentence(&facts), "")]
    }

    fn default_phrase(&self, field: &Node, default: &Value) -> String {
        if let Some((name, target)) = self.model.target(field) {
            match target.kind() {
                Kind::Enum(values) => {
                    let position = values.iter().position(|value| value == default);
                    if let Some(variant) = position.and_then(|index| target.names.get(index)) {
                        return format!("[`{name}::{variant}`]");
                    }
                }
                Kind::Union(shapes) => {
                    if let Some(shape) = shapes.iter().find(|shape| self.model.fits(shape, default))
                    {
                        return self.default_phrase(shape, default);
                    }
                }
                Kind::Object | Kind::Alias => {}
            }
        }
        match default {
            Value::String(text) if text.is_empty() => "an empty text".to_owned(),
            Value::String(text) if text.contains(['`', '\n']) => "a text of its own".to_owned(),
            Value::String(text) => format!("`{text}`"),
            Value::Array(items) if items.is_empty() => "an empty list".to_owned(),
            Value::Array(items)
                if items
                    .iter()
                    .all(|item| !item.is_object() && !item.is_array()) =>
            {
                let items: Vec<_> = items
                    .iter()
                    .map(|item| self.default_phrase(&Node::default(), item))
                    .collect();
                list(&items)
            }
            Value::Array(_) => "a list of its own".to_owned(),
            Value::Object(entries)
                if entries
                    .values()
                    .all(|value| !value.is_object() && !value.is_array()) =>
            {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| {
                        format!("`{key}` {}", self.default_phrase(&Node::default(), value))
                    })
                    .collect();
                list(&entries)
            }
            Value::Object(_) => "an object of its own".to_owned(),
            Value::Bool(truth) => format!("`{truth}`"),
            Value::Number(number) => number.to_string(),
            Value::Null => "nothing".to_owned(),
        }
    }
}

/// `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// The unit, where the name settles it and the description does not say it.
fn unit(wire: &str, field: &Node) -> Option<String> {
    if field.kind.as_deref() != Some("integer") {
        return None;
    }
    let said = field
        .description
        .as_deref()
        .unwrap_or_default()
        .to_lowercase();
    let (unit, stem) = match wire {
        "width" | "height" => ("in pixels", "pixel"),
        "file_size" => ("in bytes", "byte"),
        _ => return None,
    };
    (!said.contains(stem)).then(|| unit.to_owned())
}

fn range(field: &Node) -> Option<String> {
    let limits = &field.limits;
    let plain = |number: &Number| number.to_string();
    let from_to = |least: Option<String>, most: Option<String>, what: &str| match (least, most) {
        (Some(least), Some(most)) if least == most => Some(format!("exactly {least}{what}")),
        (Some(least), Some(most)) => Some(format!("between {least} and {most}{what}")),
        (Some(least), None) => Some(format!("at least {least}{what}")),
        (None, Some(most)) => Some(format!("at most {most}{what}")),
        (None, None) => None,
    };
    let inclusive = from_to(
        limits.minimum.as_ref().map(plain),
        limits.maximum.as_ref().map(plain),
        "",
    );
    let above = limits
        .exclusive_minimum
        .as_ref()
        .map(|bound| format!("more than {bound}"));
    let below = limits
        .exclusive_maximum
        .as_ref()
        .map(|bound| format!("less than {bound}"));
    let step = limits
        .multiple_of
        .as_ref()
        .map(|step| format!("a multiple of {step}"));
    let count = |count: u64| count.to_string();
    let items = from_to(
        limits.min_items.map(count),
        limits.max_items.map(count),
        " items",
    );
    let length = from_to(
        limits.min_length.map(count),
        limits.max_length.map(count),
        " characters",
    );
    let facts: Vec<String> = [above, below, inclusive, step, items, length]
        .into_iter()
        .flatten()
        .collect();
    (!facts.is_empty()).then(|| facts.join(", "))
}

fn article(name: &str) -> String {
    let words = heck::ToSnakeCase::to_snake_case(name).replace('_', " ");
    let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "An"
    } else {
        "A"
    };
    format!("{article} {words}.")
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
