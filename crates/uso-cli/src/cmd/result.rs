//! `uso result`: the pictures of a job that has ended.

use std::process::ExitCode;

use crate::args::{Global, ResultArgs};
use crate::cmd::connect::Connection;
use crate::cmd::save::save;
use crate::exit::Failure;
use crate::output::Printer;
use crate::progress::Progress;

pub(crate) async fn run(
    global: &Global,
    args: &ResultArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::open(global).await?;
    let job = connection.client.job_by_id(&args.request_id)?;
    let progress = Progress::start(printer, "fetching the result");
    let output = job.output().await?;
    save(&output, &job, args.output.as_deref(), printer, &progress).await
}
