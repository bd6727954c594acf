//! Rows that are not done: which of them a run buys, and which it only asks about.

use uso_journal::State;

use super::planned_row::PlannedRow;
use super::purchases::Known;

/// Rows that are not done.
#[derive(Debug, Default)]
pub(crate) struct Todo<'a> {
    /// Every row that is not done.
    pub(crate) rows: Vec<&'a PlannedRow>,
    /// Those of them that nothing was paid for.
    pub(crate) to_buy: Vec<&'a PlannedRow>,
    bought: usize,
    unknown: usize,
    ended: usize,
}

impl<'a> Todo<'a> {
    /// Sorts the rows of a plan by what is known of their purchases.
    pub(crate) fn of<'k>(
        rows: impl Iterator<Item = &'a PlannedRow>,
        known: impl Fn(&PlannedRow) -> Option<&'k Known>,
    ) -> Self {
        let mut todo = Self::default();
        for row in rows {
            let known = known(row);
            if known.is_some_and(Known::is_whole) {
                continue;
            }
            todo.rows.push(row);
            match known
                .filter(|known| !known.is_free())
                .map(|known| known.state)
            {
                None => todo.to_buy.push(row),
                Some(State::Submitted | State::Done) => todo.bought += 1,
                Some(State::Failed | State::Cancelled) => todo.ended += 1,
                Some(_) => todo.unknown += 1,
            }
        }
        todo
    }

    /// How many rows are not bought, and what happens to them, for each kind.
    pub(crate) fn others(&self) -> [(usize, &'static str); 3] {
        [
            (self.bought, "bought earlier: collected, at no further cost"),
            (
                self.unknown,
                "that may be bought: looked up, and not bought again",
            ),
            (
                self.ended,
                "that failed earlier: left alone; uso batch retry buys again",
            ),
        ]
    }

    /// The counts of the rows that are not bought, for programs.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "to_collect": self.bought,
            "unknown": self.unknown,
            "failed": self.ended,
        })
    }
}
