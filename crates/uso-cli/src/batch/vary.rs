//! Variations: each row several times, with another value in one column.

use super::row::Row;
use crate::failure::Failure;

/// Most variations of a row.
const MOST: u64 = 1_000;

/// A column and the values that it takes in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variation {
    column: String,
    values: Vec<String>,
}

impl Variation {
    /// Reads `COLUMN=FIRST..LAST` or `COLUMN=VALUE,VALUE`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let refuse = |why: &str| {
            Failure::usage(format!("--vary: {text:?} {why}"))
                .with_hint("write a range such as seed=1..4, or a list such as guidance=3,4,5")
        };
        let (column, values) = text
            .split_once('=')
            .ok_or_else(|| refuse("has no = between column and values"))?;
        let column = super::manifest_rows::column_name(column);
        let values: Vec<String> = match values.split_once("..") {
            Some((first, last)) => {
                let number = |text: &str| text.trim().parse::<u64>();
                let (Ok(first), Ok(last)) = (number(first), number(last.trim_start_matches('=')))
                else {
                    return Err(refuse("is not a range of whole numbers"));
                };
                if first > last {
                    return Err(refuse("is a range that is empty"));
                }
                if last - first >= MOST {
                    return Err(refuse("is a range of more than 1000 values"));
                }
                (first..=last).map(|value| value.to_string()).collect()
            }
            None => values
                .split(',')
                .map(|value| value.trim().to_owned())
                .collect(),
        };
        if column.is_empty() || values.iter().any(String::is_empty) {
            return Err(refuse("has an empty part"));
        }
        if matches!(column.as_str(), "id" | "content" | "name") {
            return Err(refuse("names a column that tells the rows apart"));
        }
        Ok(Self { column, values })
    }

    /// Each row once for each value; ids get the value as a suffix, such as `photo-seed2`.
    pub(crate) fn apply(&self, rows: Vec<Row>) -> Vec<Row> {
        let vary = |row: Row| {
            let id = row.id();
            self.values.iter().map(move |value| {
                let mut varied = row.clone();
                if !row.is_nameless() {
                    varied.set("id", format!("{id}-{}{value}", self.column));
                }
                varied.set(&self.column, value.clone());
                varied
            })
        };
        rows.into_iter().flat_map(vary).collect()
    }
}
