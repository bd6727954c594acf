//! Row of a plan: checked, named and priced.

use uso::{MicroDollars, Request};

use super::names::{KnownNames, NameTemplate};
use super::purchases::key;
use super::row::{Row, stem};

/// A row that was checked.
#[derive(Clone, Debug)]
pub(crate) struct PlannedRow {
    pub(crate) row: Row,
    pub(crate) id: String,
    /// Template of the file names for the journal.
    pub(crate) name: String,
    /// The names as far as they are known.
    pub(crate) files: Vec<String>,
    /// Whether the names need what only the purchase tells.
    pub(crate) is_open: bool,
    /// How many bytes the longest name can have.
    pub(crate) longest_name: usize,
    /// Digest of what the row asks for.
    pub(crate) fingerprint: String,
    pub(crate) price: Option<MicroDollars>,
    /// Upper bound of the price.
    pub(crate) bound: Option<MicroDollars>,
    pub(crate) images: u32,
    pub(crate) request: Request,
}

impl PlannedRow {
    /// The journal's key of its purchase.
    pub(crate) fn key(&self, batch: &str) -> String {
        key(batch, &self.id, &self.fingerprint)
    }

    /// Reason against the purchase, where the row can cost more than `--max-cost`.
    pub(crate) fn above(&self, limit: MicroDollars) -> Option<String> {
        let bound = self.bound.filter(|bound| *bound > limit)?;
        let why = match self.price {
            Some(_) => "",
            None => ", since only the service sees its content picture",
        };
        Some(format!(
            "it can cost {bound}{why}, and --max-cost is {limit}"
        ))
    }

    /// Names the files by the row's id, where the usual names would be equal.
    pub(crate) fn rename(&mut self) {
        let extension = match self
            .files
            .first()
            .is_some_and(|file| file.ends_with(".jpg"))
        {
            true => "jpg",
            false => "png",
        };
        let known = known_names(&self.row, &self.id, 0, "", extension);
        let template = NameTemplate::with_id(&known);
        self.name = template.narrowed(&known);
        self.files = template.planned(&known, self.images);
        self.longest_name = template.longest(&known, self.images);
    }
}

/// What a plan knows of the file names of a row.
pub(crate) fn known_names(
    row: &Row,
    id: &str,
    index: usize,
    date: &str,
    extension: &'static str,
) -> KnownNames {
    KnownNames {
        id: id.to_owned(),
        content: stem(row.get("content").unwrap_or_default()),
        style: row.get("style").map(stem),
        seed: row.get("seed").and_then(|seed| seed.parse().ok()),
        index,
        date: date.to_owned(),
        extension,
    }
}
