//! Parser of rows: the values of a row as the options of the command line, checked by the same
//! definitions.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::{Args as _, Command, FromArgMatches as _};

use super::problem::Problem;
use super::row::Row;
use crate::args::PictureArgs;
use crate::picture_request::{Files, Kind, PictureRequest};
use crate::usage_error;

/// Options that mean the same for a row as on the command line.
const OPTIONS: [&str; 15] = [
    "content",
    "style",
    "prompt",
    "negative-prompt",
    "size",
    "keep-size",
    "steps",
    "guidance",
    "seed",
    "images",
    "format",
    "no-safety-checker",
    "no-fit",
    "webhook",
    "start-within",
];

/// Columns that are no options: the id of the row, its command, and the template of its file name.
const OWN: [&str; 3] = ["id", "command", "name"];

/// What a row asks for.
pub(crate) struct Parsed {
    pub(crate) kind: Kind,
    pub(crate) args: PictureArgs,
}

/// Parser of rows.
pub(crate) struct RowParser {
    command: Command,
    files: Files,
}

impl RowParser {
    pub(crate) fn new() -> Self {
        let command = PictureArgs::augment_args(Command::new("row"))
            .no_binary_name(true)
            .disable_help_flag(true)
            // The environment is about single purchases.
            .mut_args(|argument| argument.env(Resettable::Reset));
        Self {
            command,
            files: Files::new(),
        }
    }

    /// Parses a row; all of its problems are told at once.
    pub(crate) fn parse(&mut self, row: &Row) -> Result<Parsed, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut arguments = Vec::new();
        let mut styles = 0;
        for (column, value) in &row.values {
            let problem = |why: String| Problem::in_column(row.number, column, why);
            if OWN.contains(&column.as_str()) {
                continue;
            }
            if !OPTIONS.contains(&column.as_str()) {
                problems.push(problem(unknown(column)));
                continue;
            }
            styles += usize::from(column == "style");
            if value == "-" || (column == "prompt" && value == "@-") {
                problems.push(problem(
                    "standard input cannot be read once for each row".to_owned(),
                ));
                continue;
            }
            match self.argument(column, value) {
                Ok(argument) => arguments.extend(argument),
                Err(why) => problems.push(problem(why)),
            }
        }
        if row.get("content").is_none() {
            problems.push(Problem::in_column(
                row.number,
                "content",
                "the content picture is missing",
            ));
        }
        if styles > 2 {
            let why = format!("{styles} styles are given; the endpoint takes one or two");
            problems.push(Problem::in_column(row.number, "style", why));
        }
        let kind = match (row.get("command"), styles) {
            (Some("restyle"), _) => Kind::Restyle,
            (Some("generate"), _) => Kind::Generate,
            (Some(other), _) => {
                let why = format!("{other:?} is neither restyle nor generate");
                problems.push(Problem::in_column(row.number, "command", why));
                Kind::Generate
            }
            (None, 0) => Kind::Generate,
            (None, _) => Kind::Restyle,
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let args = self.command.try_get_matches_from_mut(arguments);
        let args = args.and_then(|matches| PictureArgs::from_arg_matches(&matches));
        args.map(|args| Parsed { kind, args })
            .map_err(|error| vec![Problem::of_row(row.number, usage_error::message(&error))])
    }

    /// The request of a row. Rows that name one file share its reading.
    pub(crate) fn request(&mut self, parsed: &Parsed, row: u64) -> Result<PictureRequest, Problem> {
        PictureRequest::sharing(&mut self.files, parsed.kind, &parsed.args)
            .map_err(|failure| Problem::of_row(row, failure.chain()))
    }

    /// The value as an argument, which is checked alone; a switch that is off is none.
    fn argument(&mut self, column: &str, value: &str) -> Result<Option<OsString>, String> {
        let takes_value = {
            let mut all = self.command.get_arguments();
            let known = all.find(|argument| argument.get_long() == Some(column));
            known.is_none_or(|argument| argument.get_action().takes_values())
        };
        let argument = match (takes_value, switch(value)) {
            (true, _) => format!("--{column}={value}"),
            (false, Some(true)) => format!("--{column}"),
            (false, Some(false)) => return Ok(None),
            (false, None) => return Err(format!("{value:?} is neither true nor false")),
        };
        let argument = OsString::from(argument);
        let alone = self.command.try_get_matches_from_mut([&argument]);
        alone.map_err(|error| {
            let message = usage_error::message(&error);
            let prefix = format!("--{column}: ");
            message.strip_prefix(&prefix).unwrap_or(&message).to_owned()
        })?;
        Ok(Some(argument))
    }
}

/// Whether a switch is on.
fn switch(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "x" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn unknown(column: &str) -> String {
    let known = OPTIONS.iter().chain(&OWN);
    let close = known
        .clone()
        .filter(|name| name.contains(column) || column.contains(**name))
        .max_by_key(|name| name.len());
    match close {
        Some(name) => format!("there is no such option; did you mean {name}?"),
        None => {
            let names: Vec<&str> = known.copied().collect();
            format!(
                "there is no such option; the columns are {}",
                names.join(", ")
            )
        }
    }
}
