//! Rows of a JSON Lines file: one object a line.

use serde_json::{Map, Value};

use super::manifest_rows::{Manifest, column_name};
use super::problem::Problem;
use super::row::Row;

/// The rows of the text; a row has the number of its line.
pub(crate) fn read(text: &str) -> Manifest {
    let mut manifest = Manifest::default();
    if text.trim_start().starts_with('[') {
        manifest.problems.push(Problem::whole(
            "it is a JSON array; write one object a line, such as with jq -c '.[]'",
        ));
        return manifest;
    }
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str::<Map<String, Value>>(line) {
            Ok(object) => {
                let values = values(number, object, &mut manifest.problems);
                manifest.rows.push(Row { number, values });
            }
            Err(error) => manifest.problems.push(Problem::of_row(
                number,
                format!("it is not a JSON object: {error}"),
            )),
        }
    }
    manifest
}

fn values(
    number: u64,
    object: Map<String, Value>,
    problems: &mut Vec<Problem>,
) -> Vec<(String, String)> {
    let mut values: Vec<(String, String)> = Vec::new();
    for (name, value) in object {
        let column = column_name(&name);
        let is_repeated = values.iter().any(|(known, _)| *known == column);
        let mut texts = Vec::new();
        let is_read = match value {
            Value::Array(items) if column == "style" => {
                items.into_iter().all(|item| plain(item, &mut texts))
            }
            value => plain(value, &mut texts),
        };
        if is_repeated {
            problems.push(Problem::in_column(
                number,
                &column,
                "it is there more than once",
            ));
        } else if is_read {
            values.extend(texts.into_iter().map(|text| (column.clone(), text)));
        } else {
            let why = "a value is a text, a number, true or false; only style takes a list";
            problems.push(Problem::in_column(number, &column, why));
        }
    }
    values
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
