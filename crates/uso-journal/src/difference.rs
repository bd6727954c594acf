//! Differences between two requests, for people.

use std::collections::BTreeMap;

use serde_json::Value;

/// Characters of a value that a difference shows.
const SHOWN: usize = 60;

/// One line for each field that differs: its name, the recorded value and the new one.
pub(crate) fn difference(recorded: Option<&Value>, new: &Value) -> Vec<String> {
    let Some(recorded) = recorded else {
        return vec!["what the key was used for is erased".to_owned()];
    };
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    flatten("", recorded, &mut before);
    flatten("", new, &mut after);
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    // A file's name is no part of what is asked for.
    let names = names.into_iter().filter(|name| !name.ends_with(".file"));
    let lines = names.filter_map(|name| {
        let (old, new) = (before.get(name), after.get(name));
        (old != new).then(|| format!("{name} was {} and is {}", shown(old), shown(new)))
    });
    lines.collect()
}

fn flatten(name: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    let below = |part: &str| match name {
        // The fields of the input are what people know by name.
        "" | "input" => part.to_owned(),
        _ => format!("{name}.{part}"),
    };
    match value {
        Value::Object(fields) => {
            for (part, value) in fields {
                flatten(&below(part), value, into);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(&format!("{name}[{index}]"), value, into);
            }
        }
        leaf => {
            into.insert(name.to_owned(), leaf.clone());
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "not given".to_owned();
    };
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_that_differs_is_a_line_and_file_names_are_none() {
        let recorded = json!({ "input": { "prompt": "a cat", "seed": 7 },
            "pictures": [{ "role": "content", "sha256": "aa", "file": "/a.png" }] });
        let new = json!({ "input": { "prompt": "a dog" },
            "pictures": [{ "role": "content", "sha256": "bb", "file": "/b.png" }] });
        assert_eq!(
            difference(Some(&recorded), &new),
            [
                r#"pictures[0].sha256 was "aa" and is "bb""#,
                r#"prompt was "a cat" and is "a dog""#,
                "seed was 7 and is not given",
            ]
        );
        assert!(difference(Some(&new), &new).is_empty());
        assert_eq!(difference(None, &new).len(), 1);
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let long = json!({ "input": { "prompt": "ü".repeat(500) } });
        let lines = difference(Some(&json!({})), &long);
        assert!(lines[0].ends_with('…') && lines[0].len() < 200, "{lines:?}");
    }
}
