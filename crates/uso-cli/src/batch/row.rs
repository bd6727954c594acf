//! Row of a batch: values by column, as text.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::given::{self, local};

/// Columns whose values are pictures.
const PICTURES: [&str; 2] = ["content", "style"];

/// Columns whose values may be read from a file, as `@FILE`.
const TEXTS: [&str; 1] = ["prompt"];

/// A row of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Its number in the manifest; see [`super::problem::Problem::row`].
    pub(crate) number: u64,
    /// Values in the order of the columns; `style` may occur twice.
    pub(crate) values: Vec<(String, String)>,
    /// Columns whose values have a form that cannot be read.
    #[serde(skip)]
    pub(crate) unreadable: Vec<String>,
}

impl Row {
    pub(crate) fn new(number: u64, values: Vec<(String, String)>) -> Self {
        Self {
            number,
            values,
            unreadable: Vec::new(),
        }
    }

    pub(crate) fn get(&self, column: &str) -> Option<&str> {
        let mut values = self.values.iter();
        let found = values.find(|(name, _)| name == column);
        found.map(|(_, value)| value.as_str())
    }

    /// Sets a column, in place of the value that it has.
    pub(crate) fn set(&mut self, column: &str, value: String) {
        self.values.retain(|(name, _)| name != column);
        self.values.push((column.to_owned(), value));
    }

    /// Fills columns that the row leaves empty.
    pub(crate) fn complete(&mut self, defaults: &[(String, String)]) {
        let missing: Vec<_> = defaults
            .iter()
            .filter(|(column, _)| self.get(column).is_none() && !self.unreadable.contains(column))
            .cloned()
            .collect();
        self.values.extend(missing);
    }

    /// Makes paths absolute, relative to this folder.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        for (column, value) in &mut self.values {
            if PICTURES.contains(&column.as_str()) {
                if let Some(path) = local(value) {
                    *value = folder.join(path).display().to_string();
                }
            } else if TEXTS.contains(&column.as_str())
                && let Some(file) = value.strip_prefix('@')
                && !file.starts_with('@')
                && file != "-"
            {
                *value = format!("@{}", folder.join(file).display());
            }
        }
    }

    /// Whether the row has neither an id nor a content picture, so that nothing tells it apart.
    pub(crate) fn is_nameless(&self) -> bool {
        self.get("id").is_none() && self.get("content").is_none()
    }

    /// The id of the row: the column `id`, or the content's file name without its extension.
    pub(crate) fn id(&self) -> String {
        match self.get("id") {
            Some(id) => id.to_owned(),
            None => stem(self.get("content").unwrap_or_default()),
        }
    }
}

/// The name of a picture without its folder and extension.
pub(crate) fn stem(reference: &str) -> String {
    given::name(reference.as_ref())
}
