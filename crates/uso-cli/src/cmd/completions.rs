//! `uso completions`: the completion script of a shell.

use std::path::PathBuf;
use std::process::ExitCode;

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;
use serde_json::json;
use uso::Client;

use crate::args::{self, CompletionsArgs, Global, Shell};
use crate::failure::Failure;
use crate::printer::Printer;
use crate::{connection, journal};

/// The variable by which a script asks the command for candidates.
pub(crate) const VARIABLE: &str = "COMPLETE";

/// Commands that take ids of jobs.
const ABOUT_JOBS: [&str; 5] = ["status", "watch", "result", "cancel", "resume"];

/// The definitions of the command line, with the ids of the recorded jobs as candidates.
pub(crate) fn command() -> clap::Command {
    let mut command = args::command();
    for name in ABOUT_JOBS {
        command = command.mut_subcommand(name, |command| {
            command.mut_args(|argument| match argument.get_id().as_str() {
                "id" | "ids" => argument.add(ArgValueCandidates::new(jobs)),
                _ => argument,
            })
        });
    }
    command
}

/// The ids of the recorded jobs. Without a key none are known.
fn jobs() -> Vec<CompletionCandidate> {
    let global = Global {
        emulator: false,
        base_url: None,
        journal: std::env::var_os("USO_JOURNAL").map(PathBuf::from),
        json: false,
        quiet: true,
        verbose: 0,
    };
    let client = connection::config(&global).map(Client::new);
    let (Ok(Ok(client)), Ok(path)) = (client, journal::path(&global)) else {
        return Vec::new();
    };
    let jobs = journal::candidates(&client, &path).into_iter();
    jobs.map(|(id, help)| CompletionCandidate::new(id).help(Some(help.into())))
        .collect()
}

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
