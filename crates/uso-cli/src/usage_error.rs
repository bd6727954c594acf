//! A wrong command line in the words of every other error.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::environment;

/// What is wrong, as one line such as `--steps: "many" is not a whole number`.
pub(crate) fn message(error: &clap::Error) -> String {
    let argument = text(error, ContextKind::InvalidArg);
    let value = text(error, ContextKind::InvalidValue);
    let option = argument.as_deref().map(option_name);
    match (error.kind(), option, value) {
        (ErrorKind::ValueValidation, Some(option), Some(value)) => {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            let digits = value.strip_prefix('-').unwrap_or_default();
            let is_negative = !digits.is_empty() && digits.bytes().all(|one| one.is_ascii_digit());
            let why = match why.as_str() {
                "invalid digit found in string" if is_negative => "it is below 0".to_owned(),
                // The parser's own range is that of the type in memory.
                range if range.ends_with("..=4294967295") => match is_negative {
                    true => "it is below 0".to_owned(),
                    false => "it is too large".to_owned(),
                },
                "invalid digit found in string" => "it is not a whole number".to_owned(),
                "number too large to fit in target type" => "it is too large".to_owned(),
                "invalid float literal" => "it is not a number".to_owned(),
                "invalid socket address syntax" => {
                    "write an address and a port such as 127.0.0.1:7701".to_owned()
                }
                _ => why,
            };
            match why.contains(&value) {
                true => format!("{option}: {why}"),
                false => format!("{option}: {value:?} is refused: {why}"),
            }
        }
        (ErrorKind::InvalidValue, Some(option), Some(value)) if !value.is_empty() => {
            let allowed = texts(error, ContextKind::ValidValue).join(", ");
            format!("{option}: {value:?} is not one of {allowed}")
        }
        (ErrorKind::InvalidValue, Some(option), _) => format!("{option}: its value is missing"),
        (ErrorKind::UnknownArgument, Some(option), _) => match option.starts_with('-') {
            true => format!("{option}: there is no such option here"),
            false => format!("{option:?} is one argument too many"),
        },
        (ErrorKind::ArgumentConflict, Some(option), _) => {
            let others = texts(error, ContextKind::PriorArg);
            match others.first() {
                Some(other) if option_name(other) != option => {
                    format!("{option} cannot be used with {}", option_name(other))
                }
                _ => format!("{option} is given more than once"),
            }
        }
        (ErrorKind::MissingRequiredArgument, ..) => {
            let missing = texts(error, ContextKind::InvalidArg);
            let missing: Vec<String> = missing.iter().map(|name| option_name(name)).collect();
            let missing = missing.join(" and ");
            format!("{missing} is missing")
        }
        (ErrorKind::InvalidSubcommand, ..) => {
            let word = text(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("there is no command {word:?}")
        }
        (ErrorKind::InvalidUtf8, ..) => {
            let arguments = std::env::args_os().skip(1);
            let refused = arguments.filter(|argument| argument.to_str().is_none());
            let refused: Vec<String> = refused.map(|one| format!("{one:?}")).collect();
            format!("{} is not UTF-8 text", refused.join(" or "))
        }
        _ => plain(error),
    }
}

/// The way out: the word that was probably meant, and the help of the command.
pub(crate) fn hint(error: &clap::Error) -> String {
    let suggested = [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedValue,
    ];
    // The best suggestion is the last.
    let suggested = suggested
        .into_iter()
        .find_map(|kind| texts(error, kind).pop());
    let commands = crate::args::command();
    let mut command = "uso".to_owned();
    let mut below = &commands;
    for word in std::env::args_os().skip(1) {
        if let Some(found) = below.find_subcommand(&word) {
            command = format!("{command} {}", word.display());
            below = found;
        }
    }
    let options = match given_option(error) {
        true => "has every option",
        false => "says how it is used",
    };
    match suggested {
        Some(word) => format!(
            "did you mean {}? {command} --help {options}",
            option_name(&word)
        ),
        None => format!("{command} --help {options}"),
    }
}

fn given_option(error: &clap::Error) -> bool {
    text(error, ContextKind::InvalidArg).is_some_and(|argument| argument.starts_with('-'))
}

/// The environment variable that a wrong value comes from.
pub(crate) fn variable(error: &clap::Error) -> Option<String> {
    let option = option_name(&text(error, ContextKind::InvalidArg)?);
    let value = text(error, ContextKind::InvalidValue)?;
    let is_written =
        |argument: std::ffi::OsString| option_name(&argument.to_string_lossy()) == option;
    if std::env::args_os().any(is_written) {
        return None;
    }
    let commands = crate::args::command();
    let arguments = commands.get_subcommands().flat_map(all_arguments);
    let variables = arguments
        .filter(|argument| argument.get_long() == option.strip_prefix("--"))
        .filter_map(clap::Arg::get_env);
    let mut variables =
        variables.filter(|name| environment::variable(name).is_some_and(|set| set == value));
    variables.next()?.to_str().map(str::to_owned)
}

fn all_arguments(command: &clap::Command) -> Vec<&clap::Arg> {
    let nested = command.get_subcommands().flat_map(all_arguments);
    command.get_arguments().chain(nested).collect()
}

/// `--size <SIZE>` without the name of its value, and `<FILE>...` as `FILE`.
fn option_name(argument: &str) -> String {
    let name = argument.split([' ', '=']).next().unwrap_or(argument);
    let name = name.trim_end_matches("...");
    name.trim_matches(['<', '>', '[', ']']).to_owned()
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    texts(error, kind).into_iter().next()
}

fn texts(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(ContextValue::Number(number)) => vec![number.to_string()],
        _ => Vec::new(),
    }
}

/// The library's own words, for what is left.
fn plain(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.trim().trim_start_matches("error: ");
    let first = text.split("\n\n").next().unwrap_or(text);
    let lines: Vec<&str> = first.lines().map(str::trim).collect();
    lines.join(" ")
}
