//! The arguments of `uso batch` and `uso rerun`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};
use uso::MicroDollars;

use super::picture::{MoneyOptions, OutputOptions};
use super::{help, values};

#[derive(Debug, Args)]
pub(crate) struct BatchArgs {
    #[command(subcommand)]
    pub(crate) command: BatchCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BatchCommand {
    /// Writes a manifest: a CSV row for each picture of a folder.
    #[command(after_help = help::BATCH_NEW)]
    New(BatchNewArgs),
    /// Buys every row of a manifest or every picture of a folder; run again, it goes on.
    #[command(after_help = help::BATCH_RUN)]
    Run(Box<BatchRunArgs>),
    /// Counts the rows of a batch by state and cause, with the money.
    #[command(after_help = help::BATCH_STATUS)]
    Status(BatchNameArgs),
    /// Goes on with a batch: collects what is bought and buys what is not begun.
    #[command(after_help = help::BATCH_RESUME)]
    Resume(BatchAgainArgs),
    /// Buys failed and cancelled rows again.
    #[command(after_help = help::BATCH_RETRY)]
    Retry(BatchRetryArgs),
    /// Looks for rows whose response was lost, and collects those that the service has.
    #[command(after_help = help::BATCH_RECONCILE)]
    Reconcile(BatchReconcileArgs),
    /// Writes a page with content, style and result of every row, the failures and the money.
    #[command(after_help = help::BATCH_REPORT)]
    Report(BatchReportArgs),
    /// Buys and collects rows that a run offered, beside any number of other machines.
    #[command(after_help = help::BATCH_WORK)]
    Work(BatchWorkArgs),
    /// Fetches the pictures of a batch into a folder here, whichever machines made them.
    #[command(after_help = help::BATCH_COLLECT)]
    Collect(BatchCollectArgs),
    /// Cancels every row that is bought and not done.
    #[command(after_help = help::BATCH_CANCEL)]
    Cancel(BatchNameArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BatchNewArgs {
    /// Folder with the content pictures.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    /// Style picture of every row; given twice, two are mixed.
    #[arg(long, value_name = "REF", value_hint = ValueHint::FilePath)]
    pub(crate) style: Vec<OsString>,
    /// Prompt of every row.
    #[arg(short, long, value_name = "TEXT|@FILE")]
    pub(crate) prompt: Option<String>,
    /// File of the manifest [default: standard output].
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BatchRunArgs {
    /// Manifest in CSV or JSON Lines, or a folder of content pictures. The columns are id, command
    /// and name, and the options of uso restyle: content, style, prompt, size, seed and so on.
    /// Paths are relative to the manifest.
    #[arg(value_name = "MANIFEST|DIR", value_hint = ValueHint::AnyPath)]
    pub(crate) source: PathBuf,
    #[command(flatten)]
    pub(crate) rows: RowOptions,
    #[command(flatten)]
    pub(crate) money: BatchMoney,
    #[command(flatten)]
    pub(crate) output: BatchOutput,
    #[command(flatten)]
    pub(crate) pace: PaceOptions,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Rows")]
pub(crate) struct RowOptions {
    /// Style picture of rows that name none; given twice, two are mixed.
    #[arg(long, value_name = "REF", value_hint = ValueHint::FilePath)]
    pub(crate) style: Vec<OsString>,
    /// Prompt of rows that have none.
    #[arg(short, long, value_name = "TEXT|@FILE")]
    pub(crate) prompt: Option<String>,
    /// Value of a column in rows that leave it empty, such as steps=20; can be given several times.
    #[arg(long, value_name = "COLUMN=VALUE")]
    pub(crate) set: Vec<String>,
    /// Buys each row several times, with another value in one column: seed=1..4 or guidance=3,4,5.
    #[arg(long, value_name = "COLUMN=VALUES")]
    pub(crate) vary: Vec<String>,
    /// Buys rows that were added or changed since the last run; without it such a manifest is
    /// refused, and the changes are listed with their price.
    #[arg(long)]
    pub(crate) accept_changes: bool,
    /// Uploads the pictures and offers the rows to every machine that runs uso batch work on this
    /// journal; buys nothing itself.
    #[arg(long)]
    pub(crate) offer: bool,
    /// Name of the batch, by which the other commands find it [default: the manifest's name].
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Money")]
pub(crate) struct BatchMoney {
    /// Checks every row, prints rows, uploads and price, and sends nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Writes a contact sheet: a page with content and style of every row, side by side. With
    /// --dry-run nothing is sent.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) sheet: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) batch: BatchBudget,
    #[command(flatten)]
    pub(crate) limit: RowLimit,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Money")]
pub(crate) struct BatchBudget {
    /// The most that the batch may spend over all of its runs; the run stops before the purchase
    /// that would exceed it [default: as in the run before].
    #[arg(long, value_name = "USD", value_parser = values::dollars)]
    pub(crate) budget: Option<MicroDollars>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Money")]
pub(crate) struct RowLimit {
    /// Refuses rows whose price can be higher: the upper bound of the estimate counts.
    #[arg(long, value_name = "USD", env = "USO_MAX_COST", hide_env_values = true,
        value_parser = values::dollars)]
    pub(crate) max_cost: Option<MicroDollars>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct BatchOutput {
    /// Folder of the pictures [default: a folder beside the manifest, with -pictures added to its
    /// name].
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: Option<PathBuf>,
    /// File name, with {id}, {content_stem}, {style_stem}, {seed}, {index}, {number},
    /// {request_id}, {ext} and {date} filled in [default: {content_stem}.{ext}].
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct PaceOptions {
    /// Purchases in flight at a time [default: 2 at first, then as many as the service starts in
    /// good time].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) concurrency: Option<u16>,
    /// Stops the run when the account stays locked for this long; until then it waits for the
    /// top-up [default: 1h].
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) locked_for: Option<Duration>,
    /// Stops waiting for a job after this time; the next run collects it [default: 1h].
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Receives notifications at this address, in place of a connection for each job. Needs rows
    /// with a webhook that leads here: uso batch run --set webhook=URL.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct BatchNameArgs {
    /// Name of the batch [default: the one that ran last].
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BatchWorkArgs {
    /// Name of the batch.
    #[arg(value_name = "NAME")]
    pub(crate) batch: String,
    /// Folder of the pictures that this machine collects.
    #[arg(short, long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) pace: PaceOptions,
}

#[derive(Debug, Args)]
pub(crate) struct BatchCollectArgs {
    /// Name of the batch.
    #[arg(value_name = "NAME")]
    pub(crate) batch: String,
    /// Folder of the pictures.
    #[arg(short, long, visible_alias = "out", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    /// Stops waiting for a job after this time [default: 1h].
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) timeout: Option<Duration>,
}

/// A batch that ran before, and the limits and the pace of its next run.
#[derive(Debug, Args)]
pub(crate) struct BatchAgainArgs {
    #[command(flatten)]
    pub(crate) batch: BatchNameArgs,
    #[command(flatten)]
    pub(crate) budget: BatchBudget,
    #[command(flatten)]
    pub(crate) limit: RowLimit,
    #[command(flatten)]
    pub(crate) pace: PaceOptions,
}

#[derive(Debug, Args)]
pub(crate) struct BatchRetryArgs {
    /// Only rows of this cause, as uso batch status names the causes, such as service_failed,
    /// not_started or written_off.
    #[arg(long, value_name = "CAUSE")]
    pub(crate) only: Option<String>,
    #[command(flatten)]
    pub(crate) again: BatchAgainArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BatchReconcileArgs {
    /// Gives up rows whose outcome stays unknown, by id; what is reserved for them is free again.
    #[arg(long, value_name = "ID", num_args = 1.., conflicts_with = "buy_again")]
    pub(crate) write_off: Vec<String>,
    /// Gives up rows whose outcome stays unknown and buys them again, by id; a row may be paid
    /// twice then.
    #[arg(long, value_name = "ID", num_args = 1..)]
    pub(crate) buy_again: Vec<String>,
    #[command(flatten)]
    pub(crate) again: BatchAgainArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BatchReportArgs {
    #[command(flatten)]
    pub(crate) batch: BatchNameArgs,
    /// File of the page [default: report.html in the folder of the pictures].
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RerunArgs {
    /// Sidecar of the picture: the JSON file beside it.
    #[arg(value_name = "SIDECAR", value_hint = ValueHint::FilePath)]
    pub(crate) sidecar: PathBuf,
    /// Seed, in place of the one of the picture.
    #[arg(long, value_name = "N", help_heading = "Picture")]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) money: MoneyOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}
