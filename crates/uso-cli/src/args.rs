//! The command line: its commands and options.

mod agents;
mod batch;
pub(crate) mod global;
mod help;
mod jobs;
mod picture;
mod proxy;
mod studio;
mod tools;
pub(crate) mod values;
mod webhook;

use clap::builder::Resettable;
use clap::{CommandFactory as _, Parser, Subcommand};

pub(crate) use self::agents::McpArgs;
pub(crate) use self::batch::{
    BatchAgainArgs, BatchArgs, BatchCollectArgs, BatchCommand, BatchNameArgs, BatchNewArgs,
    BatchReconcileArgs, BatchReportArgs, BatchRetryArgs, BatchRunArgs, BatchWorkArgs, PaceOptions,
    RerunArgs,
};
pub(crate) use self::global::Global;
pub(crate) use self::jobs::{
    BudgetArgs, CancelArgs, CollectOptions, JobArgs, ListArgs, PruneArgs, ResultArgs, ResumeArgs,
    WatchArgs,
};
pub(crate) use self::picture::{MoneyOptions, PictureArgs, Preview, ShowOptions};
pub(crate) use self::proxy::ProxyArgs;
pub(crate) use self::studio::StudioArgs;
pub(crate) use self::tools::{
    CompletionsArgs, EmulatorArgs, JournalArgs, JournalCommand, ManArgs, UploadArgs,
};
pub(crate) use self::values::Cap;
pub(crate) use self::webhook::{ListenArgs, VerifyArgs, WebhookArgs, WebhookCommand};

/// Columns of the help at most.
const WIDEST: usize = 100;

/// Pictures from fal's endpoint fal-ai/uso: a content picture in the look of a style picture.
#[derive(Debug, Parser)]
#[command(
    name = "uso",
    bin_name = "uso",
    version,
    max_term_width = WIDEST,
    arg_required_else_help = true,
    after_help = help::ROOT
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes pictures from a content picture, with a prompt, styles, or both.
    #[command(after_help = help::GENERATE)]
    Generate(PictureArgs),
    /// Gives a picture the look of one or two others; layout and size stay.
    #[command(after_help = help::RESTYLE)]
    Restyle(PictureArgs),
    /// Prints the size and the price of a purchase; nothing is sent.
    #[command(after_help = help::ESTIMATE)]
    Estimate(PictureArgs),
    /// Lists the recorded jobs with their state, age, cost and place.
    #[command(after_help = help::LIST, visible_aliases = ["ls", "jobs"], alias = "history")]
    List(ListArgs),
    /// Asks once for the state of a job.
    #[command(after_help = help::STATUS)]
    Status(JobArgs),
    /// Follows a job to its end; with --json, one document a line.
    #[command(after_help = help::WATCH)]
    Watch(WatchArgs),
    /// Saves the pictures of a job.
    #[command(after_help = help::RESULT)]
    Result(ResultArgs),
    /// Asks the service to cancel a job.
    #[command(after_help = help::CANCEL)]
    Cancel(CancelArgs),
    /// Finishes everything that was bought and not saved: after a crash, a Ctrl-C or --detach.
    #[command(after_help = help::RESUME)]
    Resume(ResumeArgs),
    /// Many pictures: a manifest or a folder, bought and collected row by row.
    #[command(after_help = help::BATCH)]
    Batch(BatchArgs),
    /// Buys the picture that a sidecar file describes again, with its seed.
    #[command(after_help = help::RERUN)]
    Rerun(RerunArgs),
    /// Shows what was spent, and caps what may be spent.
    #[command(after_help = help::BUDGET)]
    Budget(BudgetArgs),
    /// Erases prompts, inputs, URLs and paths of closed jobs from the journal.
    #[command(after_help = help::PRUNE)]
    Prune(PruneArgs),
    /// Makes the tables of a journal on a server, or brings them to the newest version.
    #[command(after_help = help::JOURNAL)]
    Journal(JournalArgs),
    /// Uploads files and prints their URLs.
    #[command(after_help = help::UPLOAD)]
    Upload(UploadArgs),
    /// Receives the notifications that --webhook asks for, or checks a captured one.
    #[command(after_help = help::WEBHOOK)]
    Webhook(WebhookArgs),
    /// Serves a page for making pictures, on this machine.
    Studio(StudioArgs),
    /// Serves an agent over stdin and stdout, by the Model Context Protocol.
    #[command(after_help = help::MCP)]
    Mcp(McpArgs),
    /// Prints a page for agents that use this command in a shell.
    #[command(after_help = help::SKILL)]
    Skill,
    /// Serves web pages in fal's place, so that the key stays on this machine.
    Proxy(ProxyArgs),
    /// Runs an emulator of the service on this machine.
    #[command(after_help = help::EMULATOR)]
    Emulator(EmulatorArgs),
    /// Stores the key on this machine.
    #[command(after_help = help::LOGIN)]
    Login,
    /// Removes the stored key.
    #[command(after_help = help::LOGOUT)]
    Logout,
    /// Checks the key, the hosts, the clock, the folders and the settings.
    #[command(after_help = help::DOCTOR)]
    Doctor,
    /// Prints the completion script for a shell.
    #[command(after_help = help::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Writes manual pages.
    #[command(after_help = help::MAN)]
    Man(ManArgs),
}

/// The definitions that parsing, help, completions and manual pages share.
pub(crate) fn command() -> clap::Command {
    // Building spreads the global options over the commands, where some mean nothing.
    let mut command = Cli::command();
    command.build();
    read_as_meant(&mut command);
    for subcommand in command.get_subcommands_mut() {
        shown_as_meant(subcommand, "");
    }
    command
}

/// Hides options and arguments that mean nothing to a command, and wraps its usage.
fn shown_as_meant(command: &mut clap::Command, parent: &str) {
    let path = format!("{parent}{}", command.get_name());
    let hidden = hidden(&path);
    let owned = std::mem::take(command).mut_args(|argument| {
        let is_hidden = hidden.contains(&argument.get_id().as_str());
        match is_hidden {
            true => argument.hide(true),
            false => argument,
        }
    });
    *command = owned;
    let usage = wrapped_usage(command);
    *command = std::mem::take(command).override_usage(usage);
    for nested in command.get_subcommands_mut() {
        shown_as_meant(nested, &format!("{path} "));
    }
}

/// The options and arguments that mean nothing to a command.
fn hidden(path: &str) -> &'static [&'static str] {
    match path {
        "estimate" => &[
            "emulator",
            "base_url",
            "dry_run",
            "output",
            "force",
            "name",
            "open",
            "preview",
            "yes",
            "ask_above",
            "detach",
            "timeout",
            "start_within",
            "webhook",
            "verbose",
        ],
        "generate" => &["rest"],
        "login" | "logout" | "skill" | "completions" | "man" | "help" | "batch new" => {
            &["emulator", "base_url", "journal", "verbose", "quiet"]
        }
        "journal" | "journal migrate" => &["emulator", "base_url"],
        "batch run" => &[],
        "list" | "budget" | "prune" | "status" | "watch" | "result" | "cancel" | "resume"
        | "upload" | "webhook" | "doctor" => &["emulator"],
        nested if nested.starts_with("batch ") || nested.starts_with("webhook ") => &["emulator"],
        "emulator" => &["emulator", "base_url", "journal", "verbose"],
        _ => &[],
    }
}

/// Makes `--seed -1` a wrong value of its option, and no unknown option `-1`; an empty variable is
/// none.
fn read_as_meant(command: &mut clap::Command) {
    let owned = std::mem::take(command).mut_args(|argument| {
        let is_option = !argument.is_positional() && argument.get_action().takes_values();
        let argument = match is_option {
            true => argument.allow_negative_numbers(true),
            false => argument,
        };
        let value = argument.get_env().and_then(std::env::var_os);
        match value.is_some_and(|value| value.is_empty()) {
            true => argument.env(Resettable::Reset),
            false => argument,
        }
    });
    *command = owned;
    for subcommand in command.get_subcommands_mut() {
        read_as_meant(subcommand);
    }
}

/// The usage in lines that fit, which the library wraps nowhere.
fn wrapped_usage(command: &mut clap::Command) -> String {
    const TITLE: usize = "Usage: ".len();
    const INDENT: &str = "           ";
    let width = width().min(WIDEST);
    let usage = command.render_usage().to_string();
    let usage = usage.trim().trim_start_matches("Usage: ");
    let mut lines = String::new();
    let mut column = TITLE;
    for word in usage.split(' ') {
        if column > TITLE && column + 1 + word.len() > width {
            lines.push('\n');
            lines.push_str(INDENT);
            column = INDENT.len();
        } else if column > TITLE {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += word.len();
    }
    lines
}

/// Columns of the terminal, or of `COLUMNS` where there is none.
fn width() -> usize {
    let terminals = [console::Term::stdout(), console::Term::stderr()];
    let columns = terminals
        .iter()
        .find_map(|terminal| Some(usize::from(terminal.size_checked()?.1)));
    let variable = || std::env::var("COLUMNS").ok()?.parse().ok();
    columns.or_else(variable).unwrap_or(WIDEST)
}
