//! The arguments of the commands about jobs that were bought.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use super::picture::Preview;
use super::values;

#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// Request id of the job, or the start of one [default: the newest job].
    #[arg(value_name = "ID", add = ArgValueCandidates::new(job_candidates))]
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
    /// Request id of the job, or the start of one.
    #[arg(value_name = "ID", add = ArgValueCandidates::new(job_candidates))]
    pub(crate) id: String,
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
    /// Request ids, or the starts of some [default: everything unfinished].
    #[arg(value_name = "ID", add = ArgValueCandidates::new(job_candidates))]
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
    /// Opens each saved picture in the system's viewer.
    #[arg(long)]
    pub(crate) open: bool,
    /// Shows each saved picture in the terminal; never where stderr is not a terminal.
    #[arg(long, value_enum, value_name = "HOW", num_args = 0..=1, require_equals = true,
        default_missing_value = "auto", default_value = "never")]
    pub(crate) preview: Preview,
}

fn job_candidates() -> Vec<CompletionCandidate> {
    let ids = crate::recorded_jobs::known_ids().into_iter();
    ids.map(|(id, help)| CompletionCandidate::new(id).help(Some(help.into())))
        .collect()
}
