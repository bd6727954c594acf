//! Check of a row: its values, its file names, its pictures and its price, all of its problems at
//! once.

use serde_json::Value;
use uso::ErrorKind;

use super::names::NameTemplate;
use super::planned_row::{PlannedRow, known_names};
use super::problem::Problem;
use super::row::Row;
use super::row_parser::RowParser;
use crate::failure::option_names;
use crate::price;

/// Longest id of a row, in characters.
const LONGEST_ID: usize = 200;

/// A row with the problems that were found so far.
pub(crate) struct Draft {
    pub(crate) planned: PlannedRow,
    pub(crate) problems: Vec<Problem>,
    /// The pictures and options, once the pictures were read.
    pub(crate) recipe: Option<Value>,
}

impl Draft {
    /// Reads the values of a row. What its problems leave is a request of its own, so that the rest
    /// of the row is checked too.
    pub(crate) fn of(
        parser: &mut RowParser,
        row: Row,
        index: usize,
        template: Option<&NameTemplate>,
        date: &str,
    ) -> Result<Self, Vec<Problem>> {
        let number = row.number;
        let (parsed, mut problems) = parser.parse(&row);
        let id = row.id();
        if id.chars().count() > LONGEST_ID || id.chars().any(char::is_control) {
            let why = format!("an id has at most {LONGEST_ID} characters, all of them printable");
            problems.push(Problem::in_column(number, "id", why));
        }
        let own = row.get("name").map(NameTemplate::parse).transpose();
        // Names that are not known cannot be those of another row.
        let is_unnamed = own.is_err() || row.is_nameless();
        let own = own.unwrap_or_else(|why| {
            let why = format!("the template {why}");
            problems.push(Problem::in_column(number, "name", why));
            None
        });
        let Some(parsed) = parsed else {
            return Err(problems);
        };
        let picture = match parser.request(&parsed, number) {
            Ok(picture) => picture,
            Err(problem) => {
                problems.push(problem);
                return Err(problems);
            }
        };
        let says_more = |problem: &Problem| {
            let column = problem.column.as_deref();
            matches!(column, Some("prompt" | "style" | "command"))
        };
        if picture.says_nothing && !problems.iter().any(says_more) {
            let why = "there is neither a prompt nor a style";
            problems.push(Problem::of_row(number, why));
        }
        let usual = NameTemplate::usual();
        let template = own.as_ref().or(template).unwrap_or(&usual);
        let known = known_names(&row, &id, index, date, picture.extension);
        let images = parsed.args.picture.images.unwrap_or(1);
        Ok(Self {
            planned: PlannedRow {
                name: template.narrowed(&known),
                files: template.planned(&known, images),
                longest_name: template.longest(&known, images),
                is_open: is_unnamed || template.is_open(&known),
                id,
                fingerprint: String::new(),
                price: None,
                bound: None,
                images,
                row,
                request: picture.request,
            },
            problems,
            recipe: None,
        })
    }

    /// Reads the pictures of the row: their digests, and the size that the price depends on.
    pub(crate) async fn checked(mut self) -> Self {
        if let Err(error) = self.planned.request.check().await {
            self.add(&error);
        }
        // The price holds also for a row that is refused for something else.
        let estimate = self.planned.request.estimate().await;
        if let Ok(estimate) = &estimate {
            self.planned.price = estimate.price();
            self.planned.bound = price::quote(estimate).bound;
            self.planned.images = estimate.images;
        }
        if !self.problems.is_empty() {
            return self;
        }
        match self.planned.request.recipe().await {
            Ok(recipe) => {
                self.planned.fingerprint = recipe.fingerprint().as_str().to_owned();
                self.recipe = Some(recipe.json().clone());
            }
            Err(error) => self.add(&error),
        }
        if let Err(error) = estimate {
            self.add(&error);
        }
        self
    }

    /// Adds an error of the client in the words of the manifest.
    fn add(&mut self, error: &uso::Error) {
        let number = self.planned.row.number;
        if error.kind() != ErrorKind::Input || error.problems().is_empty() {
            self.problems
                .push(Problem::of_row(number, error.to_string()));
            return;
        }
        let told = error.problems().iter().map(|problem| {
            let column = option_names::column(&problem.path);
            let message = option_names::message(problem);
            match column {
                Some(column) => Problem::in_column(number, column, message),
                None => Problem::of_row(number, format!("{}: {message}", problem.path)),
            }
        });
        self.problems.extend(told);
    }
}
