//! `uso batch report`: a page that shows what a batch made.

use std::process::ExitCode;

use serde_json::json;

use crate::args::{BatchReportArgs, Global};
use crate::batch::session::Session;
use crate::batch::{purchases, report};
use crate::failure::Failure;
use crate::printer::Printer;

pub(crate) async fn run(
    global: &Global,
    args: &BatchReportArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let session = Session::open(global, None).await?;
    let record = session.records.find(args.batch.name.as_deref())?;
    let rows = session.records.rows(&record.name)?;
    let client = &session.connection.client;
    let bought = purchases::read(&session.journal, client, &record.name).await?;
    let file = args.output.clone();
    let file = file.unwrap_or_else(|| record.output.join("report.html"));
    let file = std::path::absolute(&file).unwrap_or(file);
    let written = file.clone();
    let write = move || report::write(&record, &rows, &bought, &written);
    let outcome = tokio::task::spawn_blocking(write).await;
    outcome.map_err(|error| Failure::other(error.to_string()))??;
    let file = file.display().to_string();
    printer.data(&json!({ "report": file }), &[file])?;
    Ok(ExitCode::SUCCESS)
}
