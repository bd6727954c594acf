//! `uso completions`: the completion script of a shell.

use std::process::ExitCode;

use clap_complete::env::Shells;
use serde_json::json;

use crate::args::{CompletionsArgs, Shell};
use crate::failure::Failure;
use crate::printer::Printer;

/// The variable by which a script asks the command for candidates.
pub(crate) const VARIABLE: &str = "COMPLETE";

pub(crate) fn run(args: &CompletionsArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let name = match args.shell {
        Shell::Bash => "bash",
        Shell::Elvish => "elvish",
        Shell::Fish => "fish",
        Shell::Powershell => "powershell",
        Shell::Zsh => "zsh",
    };
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let shell = shells.completer(name);
    let written =
        shell.map(|shell| shell.write_registration(VARIABLE, "uso", "uso", "uso", &mut script));
    if let Some(Err(error)) = written {
        return Err(Failure::other(format!(
            "the script could not be made: {error}"
        )));
    }
    let script = String::from_utf8_lossy(&script).trim_end().to_owned();
    let data = json!({ "shell": name, "script": script });
    printer.data(&data, &[script])?;
    Ok(ExitCode::SUCCESS)
}
