//! `uso completions`: the completion script of a shell, or all of them installed with the manual pages.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap_complete::Shell;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;
use serde_json::json;
use uso::Client;

use super::man;
use crate::args::{self, CompletionsArgs, Global};
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
        open_journal: std::sync::OnceLock::new(),
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
    let Some(shell) = args.shell else {
        return install(args.prefix.as_deref(), printer);
    };
    let script = script(shell)?.trim_end().to_owned();
    let data = json!({ "shell": shell.to_string(), "script": script });
    printer.data(&data, &[script])?;
    Ok(ExitCode::SUCCESS)
}

fn script(shell: Shell) -> Result<String, Failure> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let shell = shells.completer(&shell.to_string());
    let written =
        shell.map(|shell| shell.write_registration(VARIABLE, "uso", "uso", "uso", &mut script));
    if let Some(Err(error)) = written {
        return Err(Failure::other(format!(
            "the script could not be made: {error}"
        )));
    }
    Ok(String::from_utf8_lossy(&script).into_owned())
}

const ELSEWHERE: &str = "name a folder that you may write to with --prefix";

/// zsh loads the file when `uso` is completed for the first time, and takes the candidates of that
/// call from the file itself.
const ZSH_FIRST_CALL: &str = "
if [[ ${funcstack[1]} == _uso ]]; then
    _clap_dynamic_completer_uso \"$@\"
fi
";

/// Writes the scripts and the manual pages to the folders in which each shell and `man` look by
/// themselves.
fn install(prefix: Option<&Path>, printer: &Printer) -> Result<ExitCode, Failure> {
    let share = share(prefix)?;
    let pages = share.join("man/man1");
    man::write_pages(&pages).map_err(|failure| failure.with_hint(ELSEWHERE))?;
    let mut places = vec![pages.join("uso.1")];
    for (shell, place) in [
        (Shell::Bash, "bash-completion/completions/uso"),
        (Shell::Fish, "fish/vendor_completions.d/uso.fish"),
        (Shell::Zsh, "zsh/site-functions/_uso"),
    ] {
        let place = share.join(place);
        let mut script = script(shell)?;
        if shell == Shell::Zsh {
            script += ZSH_FIRST_CALL;
        }
        write(&place, &script)?;
        places.push(place);
    }
    let shown: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
    printer.data(&json!({ "files": shown }), &shown)?;
    printer.say(&format!(
        "zsh needs fpath=({} $fpath) before compinit in ~/.zshrc, unless the folder is listed there",
        share.join("zsh/site-functions").display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The folder of data that does not depend on the machine.
fn share(prefix: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(prefix) = prefix {
        return Ok(prefix.join("share"));
    }
    let folder = |name: &str| {
        let folder = std::env::var_os(name).map(PathBuf::from);
        folder.filter(|folder| folder.is_absolute())
    };
    let data = folder("XDG_DATA_HOME");
    data.or_else(|| Some(folder("HOME")?.join(".local/share")))
        .ok_or_else(|| {
            Failure::usage("the folder to install into is not known, since HOME is not set")
                .with_hint("name it with --prefix")
        })
}

fn write(place: &Path, script: &str) -> Result<(), Failure> {
    let folder = place.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder
        .and_then(|()| std::fs::write(place, script))
        .map_err(|error| {
            Failure::io(format!("{} cannot be written: {error}", place.display()))
                .with_hint(ELSEWHERE)
        })
}
