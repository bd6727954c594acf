//! `uso cancel`: asks the service to stop a job.

use std::process::ExitCode;

use serde_json::json;
use uso::Cancellation;

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
    let (word, text) = match job.cancel().await? {
        Cancellation::Removed => ("removed", "removed from the queue; it is not billed"),
        Cancellation::Requested => (
            "requested",
            "requested; the job may still complete, and is then billed",
        ),
        Cancellation::AlreadyCompleted => (
            "already_completed",
            "too late: the job had ended, and its result can be fetched",
        ),
        _ => ("accepted", "accepted"),
    };
    printer.data(
        &json!({ "request_id": args.request_id, "cancellation": word }),
        &[text.to_owned()],
    );
    Ok(ExitCode::SUCCESS)
}
