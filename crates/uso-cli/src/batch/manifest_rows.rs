//! Rows of a manifest with the problems of its form, and the spelling of its columns.

use super::problems::Problems;
use super::row::Row;

/// The rows of a manifest, and everything that is wrong with its form.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    pub(crate) rows: Vec<Row>,
    pub(crate) problems: Problems,
}

/// The name of a column as the options spell it.
pub(crate) fn column_name(given: &str) -> String {
    let name = given.trim().trim_start_matches("--").to_ascii_lowercase();
    match name.replace('_', "-").as_str() {
        "count" => "images".to_owned(),
        name => name.to_owned(),
    }
}
