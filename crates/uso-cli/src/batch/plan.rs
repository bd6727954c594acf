//! Plan of a batch: every row checked, named and priced, before anything is sent.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::SystemTime;

use futures_util::StreamExt as _;
use serde_json::Value;
use uso::{ErrorKind, MicroDollars, Request};

use super::names::{KnownNames, NameTemplate};
use super::problem::Problem;
use super::row::{Row, stem};
use super::row_parser::RowParser;
use crate::failure::option_names;

/// Rows whose pictures are read at a time.
const AT_ONCE: usize = 4;

/// Longest id of a row, in characters.
const LONGEST_ID: usize = 200;

/// Wishes for all rows of a batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// Template of the file names; without one, the content's file name.
    pub(crate) name: Option<String>,
    /// The most that a single row may cost.
    pub(crate) max_cost: Option<MicroDollars>,
}

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
    /// Digest of what the row asks for.
    pub(crate) fingerprint: String,
    pub(crate) price: Option<MicroDollars>,
    pub(crate) images: u32,
    pub(crate) request: Request,
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
    pub(crate) problems: Vec<Problem>,
    /// Each distinct local picture once, by its digest.
    pub(crate) inputs: HashMap<String, Input>,
}

impl Plan {
    /// Checks rows. Local pictures are read; nothing is sent.
    pub(crate) async fn of(rows: Vec<Row>, problems: Vec<Problem>, wishes: &Wishes) -> Self {
        let mut plan = Self {
            problems,
            ..Self::default()
        };
        let template = match wishes.name.as_deref().map(NameTemplate::parse).transpose() {
            Ok(template) => template,
            Err(why) => {
                let problem = format!("--name: the template {why}");
                plan.problems.push(Problem::whole(problem));
                None
            }
        };
        plan.refuse_equal_ids(&rows);
        let mut parser = RowParser::new();
        let mut drafts = Vec::new();
        let date = today();
        for (index, row) in (1..).zip(rows) {
            match draft(&mut parser, row, index, template.as_ref(), &date) {
                Ok(draft) => drafts.push(draft),
                Err(problems) => plan.problems.extend(problems),
            }
        }
        let mut checked =
            futures_util::stream::iter(drafts.into_iter().map(check)).buffered(AT_ONCE);
        while let Some(checked) = checked.next().await {
            match checked {
                Ok((row, pictures)) => {
                    plan.note_inputs(&pictures);
                    plan.check_price(&row, wishes.max_cost);
                    plan.rows.push(row);
                }
                Err(problems) => plan.problems.extend(problems),
            }
        }
        plan.tell_names_apart(template.is_some());
        plan.problems.sort_by_key(|problem| problem.row);
        plan
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

    fn check_price(&mut self, row: &PlannedRow, max_cost: Option<MicroDollars>) {
        let Some(most) = max_cost else { return };
        let why = match row.price {
            Some(price) if price > most => {
                format!("it costs about {price}, and --max-cost is {most}")
            }
            None => format!(
                "its price is not known, since only the service sees its content picture, and --max-cost is {most}; give a size"
            ),
            Some(_) => return,
        };
        self.problems.push(Problem::of_row(row.row.number, why));
    }

    /// Refuses equal ids, also of rows that have other problems.
    fn refuse_equal_ids(&mut self, rows: &[Row]) {
        let mut first: HashMap<String, u64> = HashMap::new();
        for row in rows {
            let id = row.id();
            let Some(other) = first.get(&id) else {
                first.insert(id, row.number);
                continue;
            };
            self.problems.push(match row.get("id") {
                Some(_) => Problem::in_column(
                    row.number,
                    "id",
                    format!("row {other} has the id {id:?} as well"),
                ),
                // A row without a content picture is refused for that.
                None if id.is_empty() => continue,
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
    fn tell_names_apart(&mut self, has_template: bool) {
        let folded = |name: &String| name.to_lowercase();
        if !has_template {
            let mut count: HashMap<String, usize> = HashMap::new();
            for row in &self.rows {
                for file in &row.files {
                    *count.entry(folded(file)).or_default() += 1;
                }
            }
            for row in &mut self.rows {
                let is_shared = |file: &String| count.get(&folded(file)).is_some_and(|n| *n > 1);
                if row.row.get("name").is_none() && row.files.iter().any(is_shared) {
                    row.rename();
                }
            }
        }
        let mut writers: HashMap<String, u64> = HashMap::new();
        let mut problems = Vec::new();
        for row in self.rows.iter().filter(|row| !row.is_open) {
            for file in &row.files {
                let number = row.row.number;
                if let Some(other) = writers.insert(folded(file), number) {
                    problems.push(Problem::of_row(
                        number,
                        format!(
                            "it would write {file}, as row {other} does; put {{id}} or {{index}} into the name"
                        ),
                    ));
                }
            }
        }
        self.problems.extend(problems);
    }
}

impl PlannedRow {
    /// Names the files by the row's id, where the usual names would be equal.
    fn rename(&mut self) {
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
    }
}

/// A row that was parsed, and whose pictures were not read yet.
struct Draft {
    planned: PlannedRow,
    is_empty: bool,
}

fn draft(
    parser: &mut RowParser,
    row: Row,
    index: usize,
    template: Option<&NameTemplate>,
    date: &str,
) -> Result<Draft, Vec<Problem>> {
    let number = row.number;
    let mut problems = Vec::new();
    let id = row.id();
    if id.chars().count() > LONGEST_ID || id.chars().any(char::is_control) {
        let why = format!("an id has at most {LONGEST_ID} characters, all of them printable");
        problems.push(Problem::in_column(number, "id", why));
    }
    let own = row.get("name").map(NameTemplate::parse).transpose();
    let own = own.unwrap_or_else(|why| {
        problems.push(Problem::in_column(
            number,
            "name",
            format!("the template {why}"),
        ));
        None
    });
    let parsed = match parser.parse(&row) {
        Ok(parsed) => parsed,
        Err(more) => {
            problems.extend(more);
            return Err(problems);
        }
    };
    let picture = match parser.request(&parsed, number) {
        Ok(picture) => picture,
        Err(problem) => {
            problems.push(problem);
            return Err(problems);
        }
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    let usual = NameTemplate::usual();
    let template = own.as_ref().or(template).unwrap_or(&usual);
    let known = known_names(&row, &id, index, date, picture.extension);
    let images = parsed.args.picture.images.unwrap_or(1);
    Ok(Draft {
        planned: PlannedRow {
            name: template.narrowed(&known),
            files: template.planned(&known, images),
            is_open: template.is_open(&known),
            id,
            fingerprint: String::new(),
            price: None,
            images,
            row,
            request: picture.request,
        },
        is_empty: picture.says_nothing,
    })
}

fn known_names(
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

/// Reads the pictures of a row: their digests and the size that the price depends on.
async fn check(draft: Draft) -> Result<(PlannedRow, Value), Vec<Problem>> {
    let Draft {
        mut planned,
        is_empty,
    } = draft;
    let number = planned.row.number;
    let mut problems = Vec::new();
    if is_empty {
        let why = "there is neither a prompt nor a style";
        problems.push(Problem::of_row(number, why));
    }
    let mut told = |error: &uso::Error| problems.extend(problems_of(&planned.row, error));
    let recipe = planned.request.recipe().await.inspect_err(&mut told);
    let estimate = planned.request.estimate().await;
    match (recipe, estimate) {
        (Ok(recipe), Ok(estimate)) if problems.is_empty() => {
            planned.fingerprint = recipe.fingerprint().as_str().to_owned();
            planned.price = estimate.price();
            planned.images = estimate.images;
            Ok((planned, recipe.json().clone()))
        }
        (_, Err(error)) => {
            let more = problems_of(&planned.row, &error);
            let new = more
                .into_iter()
                .filter(|problem| !problems.contains(problem));
            let new: Vec<_> = new.collect();
            problems.extend(new);
            Err(problems)
        }
        _ => Err(problems),
    }
}

/// An error of the client in the words of the manifest.
fn problems_of(row: &Row, error: &uso::Error) -> Vec<Problem> {
    if error.kind() != ErrorKind::Input || error.problems().is_empty() {
        return vec![Problem::of_row(row.number, error.to_string())];
    }
    let told = error.problems().iter().map(|problem| {
        let column = option_names::column(&problem.path);
        let message = option_names::message(problem);
        match column {
            Some(column) => Problem::in_column(row.number, column, message),
            None => Problem::of_row(row.number, format!("{}: {message}", problem.path)),
        }
    });
    told.collect()
}

/// Today in UTC, as `2026-11-26`.
fn today() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.split('T').next().unwrap_or_default().to_owned()
}
