//! `uso completions`: the completion script of a shell.

use std::process::ExitCode;

use clap::CommandFactory as _;
use serde_json::json;

use crate::args::{Cli, CompletionsArgs};
use crate::output::Printer;

pub(crate) fn run(args: &CompletionsArgs, printer: &Printer) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "uso", &mut script);
    let script = String::from_utf8_lossy(&script).trim_end().to_owned();
    printer.data(
        &json!({ "shell": args.shell.to_string(), "script": script }),
        &[script],
    );
    ExitCode::SUCCESS
}
