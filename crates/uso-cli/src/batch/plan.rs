//! Plan of a batch: every row checked, named and priced, before anything is sent.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::SystemTime;

use futures_util::StreamExt as _;
use serde_json::Value;
use uso::MicroDollars;

use super::names::{LONGEST_NAME, NameTemplate};
use super::planned_row::PlannedRow;
use super::problem::Problem;
use super::problems::Problems;
use super::row::Row;
use super::row_check::Draft;
use super::row_parser::RowParser;

/// Rows whose pictures are read at a time.
const AT_ONCE: usize = 4;

/// Wishes for all rows of a batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// Template of the file names; without one, the content's file name.
    pub(crate) name: Option<String>,
    /// The most that a single row may cost.
    pub(crate) max_cost: Option<MicroDollars>,
}

/// A local picture that rows send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// The rows, and everything that is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) rows: Vec<PlannedRow>,
    /// Rows that have problems; their price is known where the size is.
    pub(crate) refused: Vec<PlannedRow>,
    pub(crate) problems: Problems,
    /// Each distinct local picture once, by its digest.
    pub(crate) inputs: HashMap<String, Input>,
}

impl Plan {
    /// Checks rows. Local pictures are read; nothing is sent.
    pub(crate) async fn of(rows: Vec<Row>, problems: Problems, wishes: &Wishes) -> Self {
        let mut plan = Self {
            problems,
            ..Self::default()
        };
        let template = match wishes.name.as_deref().map(NameTemplate::parse).transpose() {
            Ok(template) => template,
            Err(why) => {
                let problem = format!("--name: the template {why}");
                plan.problems.add(Problem::whole(problem));
                None
            }
        };
        plan.refuse_equal_ids(&rows);
        let mut parser = RowParser::new();
        let mut drafts = Vec::new();
        let date = today();
        for (index, row) in (1..).zip(rows) {
            match Draft::of(&mut parser, row, index, template.as_ref(), &date) {
                Ok(draft) => drafts.push(draft),
                Err(problems) => plan.problems.extend(problems),
            }
        }
        plan.tell_names_apart(&mut drafts, wishes.name.is_some());
        let mut checked =
            futures_util::stream::iter(drafts.into_iter().map(Draft::checked)).buffered(AT_ONCE);
        while let Some(draft) = checked.next().await {
            plan.add(draft, wishes.max_cost);
        }
        plan
    }

    fn add(&mut self, draft: Draft, max_cost: Option<MicroDollars>) {
        let Draft {
            planned,
            mut problems,
            recipe,
        } = draft;
        let above = max_cost.and_then(|limit| planned.above(limit));
        problems.extend(above.map(|why| Problem::of_row(planned.row.number, why)));
        if let Some(recipe) = recipe {
            self.note_inputs(&recipe);
        }
        match problems.is_empty() {
            true => self.rows.push(planned),
            false => self.refused.push(planned),
        }
        self.problems.extend(problems);
    }

    /// The price of these rows, and how many of them have none.
    pub(crate) fn price<'a>(rows: impl Iterator<Item = &'a PlannedRow>) -> (MicroDollars, usize) {
        let mut sum = 0_u64;
        let mut unpriced = 0;
        for row in rows {
            match row.price {
                Some(price) => sum = sum.saturating_add(price.get()),
                None => unpriced += 1,
            }
        }
        (MicroDollars::new(sum), unpriced)
    }

    fn note_inputs(&mut self, recipe: &Value) {
        let pictures = recipe.get("pictures").and_then(Value::as_array);
        for picture in pictures.into_iter().flatten() {
            let text = |field: &str| picture.get(field).and_then(Value::as_str);
            if let (Some(digest), Some(path)) = (text("sha256"), text("file"))
                && !self.inputs.contains_key(digest)
            {
                let path = PathBuf::from(path);
                let bytes = std::fs::metadata(&path).map_or(0, |found| found.len());
                self.inputs.insert(digest.to_owned(), Input { path, bytes });
            }
        }
    }

    /// Refuses equal ids, also of rows that have other problems.
    fn refuse_equal_ids(&mut self, rows: &[Row]) {
        let mut first: HashMap<String, u64> = HashMap::new();
        // A row without a content picture is refused for that.
        for row in rows.iter().filter(|row| !row.is_nameless()) {
            let id = row.id();
            let Some(other) = first.get(&id) else {
                first.insert(id, row.number);
                continue;
            };
            self.problems.add(match row.get("id") {
                Some(_) => Problem::in_column(
                    row.number,
                    "id",
                    format!("row {other} has the id {id:?} as well"),
                ),
                None => Problem::in_column(
                    row.number,
                    "content",
                    format!(
                        "row {other} has a content picture of the same name {id:?}, which is its id; add a column id"
                    ),
                ),
            });
        }
    }

    /// Refuses two rows that would write one file. Without a template of its own, such a row gets
    /// its id into the name instead.
    fn tell_names_apart(&mut self, drafts: &mut [Draft], has_template: bool) {
        let folded = |name: &String| name.to_lowercase();
        if !has_template {
            let mut count: HashMap<String, usize> = HashMap::new();
            let files = drafts.iter().flat_map(|draft| &draft.planned.files);
            for file in files {
                *count.entry(folded(file)).or_default() += 1;
            }
            for Draft { planned, .. } in &mut *drafts {
                let is_shared = |file: &String| count.get(&folded(file)).is_some_and(|n| *n > 1);
                if planned.row.get("name").is_none() && planned.files.iter().any(is_shared) {
                    planned.rename();
                }
            }
        }
        for Draft {
            planned, problems, ..
        } in &mut *drafts
        {
            if planned.longest_name > LONGEST_NAME {
                let why = format!(
                    "its file name can have {} bytes, and {LONGEST_NAME} at most; shorten --name, the id or the content's file name",
                    planned.longest_name
                );
                problems.push(Problem::of_row(planned.row.number, why));
            }
        }
        let mut writers: HashMap<String, (u64, String)> = HashMap::new();
        for Draft {
            planned, problems, ..
        } in drafts.iter_mut().filter(|draft| !draft.planned.is_open)
        {
            for file in &planned.files {
                let number = planned.row.number;
                let writer = (number, planned.id.clone());
                match writers.insert(folded(file), writer) {
                    // Equal ids are a problem of their own.
                    Some((other, id)) if id != planned.id => problems.push(Problem::of_row(
                        number,
                        format!(
                            "it would write {file}, as row {other} does; put {{id}} or {{index}} into the name"
                        ),
                    )),
                    _ => {}
                }
            }
        }
    }
}

/// Today in UTC, as `2026-11-26`.
fn today() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.split('T').next().unwrap_or_default().to_owned()
}
