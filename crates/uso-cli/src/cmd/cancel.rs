//! `uso cancel`: asks the service to stop a job.

use std::process::ExitCode;

use serde_json::json;
use uso::status::Cancellation;

use crate::args::{Global, JobArgs};
use crate::cmd::connect::Connection;
use crate::exit::Failure;
use crate::output::Printer;

pub(crate) async fn run(
    global: &Global,
    args: &JobArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::open(global).await?;
    let job = connection.client.job_by_id(&args.request_id)?;
    let cancellation = job.cancel().await?;
    if is_final(cancellation) {
        connection.settle(&args.request_id, printer);
    }
    let (word, text) = told(cancellation);
    printer.data(
        &json!({ "request_id": args.request_id, "cancellation": word }),
        &[text.to_owned()],
    );
    if cancellation == Cancellation::AlreadyCompleted {
        printer.say(&format!("collect it with: uso result {}", args.request_id));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether there will be no picture, for certain.
pub(crate) fn is_final(cancellation: Cancellation) -> bool {
    cancellation == Cancellation::Removed
}

/// A cancellation's answer as a word for scripts and as a line for people.
pub(crate) fn told(cancellation: Cancellation) -> (&'static str, &'static str) {
    match cancellation {
        Cancellation::Removed => ("removed", "removed from the queue; it is not billed"),
        Cancellation::Requested => (
            "requested",
            "the cancellation is requested; the job may still complete, and is then billed",
        ),
        Cancellation::AlreadyCompleted => (
            "already_completed",
            "too late: the job had ended, and its result can be fetched",
        ),
        _ => ("accepted", "the service took the cancellation"),
    }
}
