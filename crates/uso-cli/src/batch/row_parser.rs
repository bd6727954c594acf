//! Parser of rows: the values of a row as the options of the command line, checked by the same
//! definitions.

use clap::builder::Resettable;
use clap::{Args as _, Command, FromArgMatches as _};

use super::problem::Problem;
use super::row::Row;
use crate::args::PictureArgs;
use crate::given;
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

/// Content of a row that has none that can be used, so that its other values can be checked.
const STAND_IN: &str = "https://content.invalid/";

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

    /// Parses a row, and tells all of its problems. Values that have one are left out of the
    /// arguments, so that the others can be checked further.
    pub(crate) fn parse(&mut self, row: &Row) -> (Option<Parsed>, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut refuse = |column: &str, why: String| {
            problems.push(Problem::in_column(row.number, column, why));
        };
        let mut arguments = Vec::new();
        let mut styles = 0_usize;
        for (column, value) in &row.values {
            if OWN.contains(&column.as_str()) {
                continue;
            }
            styles += usize::from(column == "style");
            if column == "style" && styles > 2 {
                continue;
            }
            match self.argument(column, value) {
                Ok(argument) => arguments.extend(argument.map(|text| (column.as_str(), text))),
                Err(why) => refuse(column, why),
            }
        }
        if self.matches(&arguments).is_err() {
            let given = std::mem::take(&mut arguments);
            for (column, argument) in given {
                arguments.push((column, argument));
                if let Err(error) = self.matches(&arguments) {
                    refuse(column, in_column(column, usage_error::message(&error)));
                    arguments.pop();
                }
            }
        }
        let count = |wanted: &str| {
            let columns = arguments.iter().map(|(column, _)| *column);
            columns.filter(|column| *column == wanted).count()
        };
        let (has_content, good_styles) = (count("content") > 0, count("style"));
        if styles > 2 {
            let why = format!("{styles} styles are given; the endpoint takes one or two");
            refuse("style", why);
        }
        if !has_content {
            arguments.push(("content", format!("--content={STAND_IN}")));
        }
        if row.get("content").is_none() && !row.unreadable.iter().any(|name| name == "content") {
            refuse("content", "the content picture is missing".to_owned());
        }
        let has_styles = styles > 0 || row.unreadable.iter().any(|name| name == "style");
        let kind = match row.get("command") {
            Some("restyle") | None if good_styles > 0 => Kind::Restyle,
            Some("restyle") if !has_styles => {
                refuse("style", "restyle needs a style picture".to_owned());
                Kind::Generate
            }
            Some("restyle" | "generate") | None => Kind::Generate,
            Some(other) => {
                let why = format!("{other:?} is neither restyle nor generate");
                refuse("command", why);
                Kind::Generate
            }
        };
        match self.matches(&arguments) {
            Ok(args) => (Some(Parsed { kind, args }), problems),
            Err(error) => {
                problems.push(Problem::of_row(row.number, usage_error::message(&error)));
                (None, problems)
            }
        }
    }

    /// The request of a row. Rows that name one file share its reading.
    pub(crate) fn request(&mut self, parsed: &Parsed, row: u64) -> Result<PictureRequest, Problem> {
        PictureRequest::sharing(&mut self.files, parsed.kind, &parsed.args)
            .map_err(|failure| Problem::of_row(row, failure.chain()))
    }

    /// The value as an argument; a switch that is off is none.
    fn argument(&self, column: &str, value: &str) -> Result<Option<String>, String> {
        if !OPTIONS.contains(&column) {
            return Err(unknown(column));
        }
        if value == "-" || (column == "prompt" && value == "@-") {
            return Err("standard input cannot be read once for each row".to_owned());
        }
        let read = match column {
            "prompt" => given::prompt(value).map(drop),
            "content" | "style" => {
                let argument = format!("--{column}");
                given::local_path(&argument, value.as_ref()).map(drop)
            }
            _ => Ok(()),
        };
        read.map_err(|failure| in_column(column, failure.chain()))?;
        let takes_value = {
            let mut all = self.command.get_arguments();
            let known = all.find(|argument| argument.get_long() == Some(column));
            known.is_none_or(|argument| argument.get_action().takes_values())
        };
        match (takes_value, switch(value)) {
            (true, _) => Ok(Some(format!("--{column}={value}"))),
            (false, Some(true)) => Ok(Some(format!("--{column}"))),
            (false, Some(false)) => Ok(None),
            (false, None) => Err(format!("{value:?} is neither true nor false")),
        }
    }

    fn matches(&mut self, arguments: &[(&str, String)]) -> Result<PictureArgs, clap::Error> {
        let arguments = arguments.iter().map(|(_, argument)| argument);
        let matches = self.command.try_get_matches_from_mut(arguments)?;
        PictureArgs::from_arg_matches(&matches)
    }
}

/// A message about an option, in the column of the option.
fn in_column(column: &str, message: String) -> String {
    match message.strip_prefix(&format!("--{column}: ")) {
        Some(message) => message.to_owned(),
        None => message,
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
