//! Everything that is wrong with a manifest, in bounded memory: problems that several rows share
//! are kept once.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::problem::Problem;

/// Columns whose problems are kept.
const COLUMNS: usize = 50;

/// Different problems of a column that are kept.
const KINDS: usize = 500;

/// Rows of a problem that are kept.
const ROWS: usize = 1_000;

/// Problems of a column that are shown to a person.
const SHOWN: usize = 20;

/// Rows of a problem that are shown to a person.
const SHOWN_ROWS: usize = 8;

/// The problems of a manifest. The counts are exact, also where not every problem is kept.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    columns: BTreeMap<Option<String>, Column>,
    count: usize,
    ignored: HashSet<u64>,
}

/// The problems of a column, or those of no column.
#[derive(Debug, Default)]
struct Column {
    kinds: HashMap<String, Places>,
    /// Problems of kinds that are not kept.
    others: usize,
}

/// The rows that have a problem.
#[derive(Debug, Default)]
struct Places {
    first: Vec<u64>,
    last: Option<u64>,
    count: usize,
}

impl Problems {
    /// No problems, and none of these rows will be taken.
    pub(crate) fn ignoring(rows: HashSet<u64>) -> Self {
        Self {
            ignored: rows,
            ..Self::default()
        }
    }

    /// Adds a problem. The variations of a row have its problems, which are taken once.
    pub(crate) fn add(&mut self, problem: Problem) {
        let Problem {
            row,
            column,
            message,
        } = problem;
        if row.is_some_and(|row| self.ignored.contains(&row)) {
            return;
        }
        let is_full = self.columns.len() >= COLUMNS && !self.columns.contains_key(&column);
        let column = column.filter(|_| !is_full);
        let column = self.columns.entry(column).or_default();
        let has_room = !is_full && column.kinds.len() < KINDS || row.is_none();
        if !has_room && !column.kinds.contains_key(&message) {
            self.count += 1;
            column.others += 1;
            return;
        }
        let places = column.kinds.entry(message).or_default();
        if places.count > 0 && places.last == row {
            return;
        }
        self.count += 1;
        places.count += 1;
        places.last = row;
        places.first.extend(row.filter(|_| places.count <= ROWS));
    }

    pub(crate) fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        for problem in problems {
            self.add(problem);
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The problems that are kept, by row.
    pub(crate) fn kept(&self) -> Vec<Problem> {
        let mut kept = Vec::new();
        for (column, problems) in &self.columns {
            for (message, places) in &problems.kinds {
                let of = |row: Option<u64>| Problem {
                    row,
                    column: column.clone(),
                    message: message.clone(),
                };
                match places.first.is_empty() {
                    true => kept.push(of(None)),
                    false => kept.extend(places.first.iter().map(|row| of(Some(*row)))),
                }
            }
        }
        kept.sort_by(|one, other| (one.row, &one.column).cmp(&(other.row, &other.column)));
        kept
    }

    /// The problems in the words of a person: the first of each column, and how many there are more.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (column, problems) in &self.columns {
            let mut kinds: Vec<_> = problems.kinds.iter().collect();
            kinds.sort_by_key(|(_, places)| places.first.first());
            for (message, places) in kinds.iter().take(SHOWN) {
                let line = match (places.line(), column) {
                    (Some(rows), Some(column)) => format!("{rows}, column {column}: {message}"),
                    (Some(rows), None) => format!("{rows}: {message}"),
                    (None, Some(column)) => format!("column {column}: {message}"),
                    (None, None) => (*message).clone(),
                };
                lines.push((places.first.first().copied(), line));
            }
            let hidden = kinds.iter().skip(SHOWN).map(|(_, places)| places.count);
            let hidden = hidden.sum::<usize>() + problems.others;
            if hidden > 0 {
                let place = column.as_ref().map(|column| format!("column {column}: "));
                let place = place.unwrap_or_default();
                let line = format!("{place}{hidden} more problems; --json lists more of them");
                lines.push((Some(u64::MAX), line));
            }
        }
        lines.sort_by_key(|(row, _)| *row);
        lines.into_iter().map(|(_, line)| line).collect()
    }
}

impl Places {
    /// The rows, such as `rows 2, 3, 4 and 96 more`; `None` for a problem of the whole manifest.
    fn line(&self) -> Option<String> {
        let shown = self.first.iter().take(SHOWN_ROWS).map(u64::to_string);
        let shown: Vec<String> = shown.collect();
        match (shown.as_slice(), self.count.saturating_sub(shown.len())) {
            ([], _) => None,
            ([row], 0) => Some(format!("row {row}")),
            ([rows @ .., last], 0) => Some(format!("rows {} and {last}", rows.join(", "))),
            (rows, more) => Some(format!("rows {} and {more} more", rows.join(", "))),
        }
    }
}
