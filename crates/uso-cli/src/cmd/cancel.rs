//! `uso cancel`: asks the service to stop a job.

use std::process::ExitCode;

use serde_json::json;
use uso::status::Cancellation;

use crate::args::{CancelArgs, Global};
use crate::cancellation::{describe, is_final};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::recorded_jobs;

pub(crate) async fn run(
    global: &Global,
    args: &CancelArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::open(global).await?;
    let id = recorded_jobs::resolve(&connection.origin(), Some(&args.id))?;
    let job = connection.client.job_by_id(&id)?;
    let cancellation = job.cancel().await?;
    if is_final(cancellation) {
        recorded_jobs::settle(&connection.origin(), &id, printer);
    }
    let (word, text) = describe(cancellation);
    printer.data(
        &json!({ "request_id": id, "cancellation": word }),
        &[text.to_owned()],
    )?;
    if cancellation == Cancellation::AlreadyCompleted {
        printer.say(&format!("collect it with: uso result {id}"));
    }
    Ok(ExitCode::SUCCESS)
}
