//! The arguments of the commands about jobs that were bought.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::picture::ShowOptions;
use super::values::{self, Cap};

#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// Short id of the job, its request id, or the start of one [default: the newest job].
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Stops watching after this time; the job is not affected [default: 1h].
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = "Connection")]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// Short id of the job, its request id, or the start of one.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Gives up a purchase whose outcome is unknown, or that cannot be collected: what is reserved
    /// for it is free again. Nothing is sent.
    #[arg(long)]
    pub(crate) write_off: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Waits for the job to end first.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Stops waiting after this time; the job is not affected [default: 1h].
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = "Connection",
        requires = "wait")]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) output: CollectOptions,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// Short ids, request ids, or the starts of some [default: everything unfinished].
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Stops waiting after this time; the jobs are not affected [default: 1h].
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = "Connection")]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) output: CollectOptions,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct CollectOptions {
    /// Where the pictures go: a file, a folder, or - for standard output [default: the place that
    /// the purchase named].
    #[arg(short, long, value_name = "FILE|DIR|-", value_hint = ValueHint::AnyPath)]
    pub(crate) output: Option<PathBuf>,
    /// Replaces an existing file.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) show: ShowOptions,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Lists every job, and not only the newest 50 of the last 30 days and the unfinished ones.
    #[arg(short, long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Only jobs that have not changed for this long.
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "30d")]
    pub(crate) older_than: Duration,
    /// Shows what would be erased, and erases nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BudgetArgs {
    /// Caps what the account may spend in any 24 hours, as in 5 or 2.50; none removes the cap.
    #[arg(long, value_name = "USD", value_parser = values::cap)]
    pub(crate) day: Option<Cap>,
    /// Caps what the account may spend in total; none removes the cap.
    #[arg(long, value_name = "USD", value_parser = values::cap)]
    pub(crate) total: Option<Cap>,
}
