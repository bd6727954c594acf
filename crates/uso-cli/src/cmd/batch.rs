//! `uso batch`: many pictures, planned, bought and collected.

mod cancel;
mod checks;
mod collect;
mod new;
mod offer;
mod reconcile;
mod report;
mod resume;
mod retry;
mod run;
mod status;
mod work;

use std::process::ExitCode;

use crate::args::{BatchArgs, BatchCommand, Global};
use crate::failure::Failure;
use crate::printer::Printer;

pub(crate) async fn run(
    global: &Global,
    args: &BatchArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    if global.emulator && !matches!(args.command, BatchCommand::New(_) | BatchCommand::Run(_)) {
        return Err(
            Failure::usage("--emulator starts a new emulator, which has no batches")
                .with_hint("use an emulator that still runs with --base-url"),
        );
    }
    match &args.command {
        BatchCommand::New(args) => new::run(args, printer),
        BatchCommand::Run(args) => run::run(global, args, printer).await,
        BatchCommand::Status(args) => status::run(global, args, printer).await,
        BatchCommand::Resume(args) => resume::run(global, args, printer).await,
        BatchCommand::Retry(args) => retry::run(global, args, printer).await,
        BatchCommand::Reconcile(args) => reconcile::run(global, args, printer).await,
        BatchCommand::Report(args) => report::run(global, args, printer).await,
        BatchCommand::Work(args) => work::run(global, args, printer).await,
        BatchCommand::Collect(args) => collect::run(global, args, printer).await,
        BatchCommand::Cancel(args) => cancel::run(global, args, printer).await,
    }
}
