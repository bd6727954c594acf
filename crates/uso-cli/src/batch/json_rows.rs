//! Rows of a JSON Lines file: one object a line.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::manifest_rows::{Manifest, column_name};
use super::problem::Problem;
use super::problems::Problems;
use super::row::Row;

/// The fields of an object in their order, with those that are there twice.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The rows of the text; a row has the number of its line.
pub(crate) fn read(text: &str) -> Manifest {
    let mut manifest = Manifest::default();
    if text.trim_start().starts_with('[') {
        manifest.problems.add(Problem::whole(
            "it is a JSON array; write one object a line, such as with jq -c '.[]'",
        ));
        return manifest;
    }
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str(line) {
            Ok(fields) => manifest
                .rows
                .push(row(number, fields, &mut manifest.problems)),
            Err(error) => manifest.problems.add(Problem::of_row(
                number,
                format!("it is not a JSON object: {error}"),
            )),
        }
    }
    manifest
}

fn row(number: u64, fields: Fields, problems: &mut Problems) -> Row {
    let mut row = Row::new(number, Vec::new());
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in fields.0 {
        let column = column_name(&name);
        if seen.contains(&column) {
            let why = "it is there more than once";
            problems.add(Problem::in_column(number, &column, why));
            continue;
        }
        seen.push(column.clone());
        let mut texts = Vec::new();
        let is_read = match value {
            Value::Array(items) if column == "style" => {
                items.into_iter().all(|item| plain(item, &mut texts))
            }
            value => plain(value, &mut texts),
        };
        if is_read {
            let values = texts.into_iter().map(|text| (column.clone(), text));
            row.values.extend(values);
        } else {
            let why = "a value is a text, a number, true or false; only style takes a list";
            problems.add(Problem::in_column(number, &column, why));
            row.unreadable.push(column);
        }
    }
    row
}

/// Adds the text of a value, unless it is empty; `false` for values that are no text.
fn plain(value: Value, texts: &mut Vec<String>) -> bool {
    match value {
        Value::Null => {}
        Value::String(text) if text.trim().is_empty() => {}
        Value::String(text) => texts.push(text.trim().to_owned()),
        Value::Number(number) => texts.push(number.to_string()),
        Value::Bool(on) => texts.push(on.to_string()),
        Value::Array(_) | Value::Object(_) => return false,
    }
    true
}
