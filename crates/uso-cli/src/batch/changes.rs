//! Changes of a manifest since the last run, with their price.

use std::collections::HashSet;

use uso::MicroDollars;

use super::plan::Plan;
use super::planned_row::PlannedRow;
use super::purchases::{Purchases, id_of};
use super::row::Row;

/// Rows that are listed.
const SHOWN: usize = 20;

/// Rows that differ from those of the last run.
#[derive(Debug, Default)]
pub(crate) struct Changes<'a> {
    pub(crate) added: Vec<&'a PlannedRow>,
    /// Rows that ask for something else than what was bought for their id.
    pub(crate) changed: Vec<&'a PlannedRow>,
    pub(crate) removed: Vec<String>,
}

impl<'a> Changes<'a> {
    /// Compares planned rows with the rows and the purchases of earlier runs.
    pub(crate) fn of(
        batch: &str,
        rows: &'a [PlannedRow],
        before: Option<&[Row]>,
        bought: &Purchases,
    ) -> Self {
        let paid = bought.iter().filter(|(_, known)| !known.is_free());
        let paid: HashSet<&str> = paid.filter_map(|(key, _)| id_of(batch, key)).collect();
        let before: Option<HashSet<String>> = before.map(|rows| rows.iter().map(Row::id).collect());
        let mut changes = Self::default();
        for row in rows {
            if bought.contains_key(&row.key(batch)) {
                continue;
            }
            if paid.contains(row.id.as_str()) {
                changes.changed.push(row);
            } else if before.as_ref().is_some_and(|ids| !ids.contains(&row.id)) {
                changes.added.push(row);
            }
        }
        let now: HashSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let gone = before.into_iter().flatten();
        changes.removed = gone.filter(|id| !now.contains(id.as_str())).collect();
        changes.removed.sort();
        changes
    }

    /// Whether the changes cost money.
    pub(crate) fn is_paid(&self) -> bool {
        !self.added.is_empty() || !self.changed.is_empty()
    }

    pub(crate) fn price(&self) -> MicroDollars {
        Plan::price(self.added.iter().chain(&self.changed).copied()).0
    }

    /// The changes as lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (verb, rows) in [("added", &self.added), ("changed", &self.changed)] {
            let ids = rows.iter().map(|row| (row.id.as_str(), row.price));
            let ids: Vec<_> = ids.collect();
            list(&mut lines, verb, &ids);
        }
        let removed: Vec<_> = self.removed.iter().map(|id| (id.as_str(), None)).collect();
        list(&mut lines, "removed", &removed);
        lines
    }
}

fn list(lines: &mut Vec<String>, verb: &str, rows: &[(&str, Option<MicroDollars>)]) {
    for (id, price) in rows.iter().take(SHOWN) {
        let price = price.map_or_else(String::new, |price| {
            format!(", about {}", crate::price::rounded(price))
        });
        lines.push(format!("{verb}: {id}{price}"));
    }
    if let Some(more) = rows.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        lines.push(format!("{verb}: {more} more"));
    }
}
