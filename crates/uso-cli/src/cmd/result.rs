//! `uso result`: the pictures of a job that has ended.

use std::process::ExitCode;

use crate::args::{Global, ResultArgs};
use crate::cmd::connect::Connection;
use crate::cmd::save::{Place, save};
use crate::exit::Failure;
use crate::output::Printer;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::state::is_over;
use crate::target::Target;

pub(crate) async fn run(
    global: &Global,
    args: &ResultArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let target = Target::of(args.output.as_deref())?;
    let connection = Connection::open(global).await?;
    let job = connection.client.job_by_id(&args.request_id)?;
    let mut signals = Signals::listen().map_err(|error| Failure::other(error.to_string()))?;
    let progress = Progress::start(printer, "fetching the result");
    let place = Place {
        target: &target,
        extension: None,
        again: false,
    };
    let fetching = async {
        let output = job.collect().await?;
        Ok(save(&output, &job, &place).await)
    };
    let fetched = tokio::select! {
        fetched = fetching => fetched,
        () = signals.next() => {
            drop(progress);
            let id = &args.request_id;
            return Err(Failure::other("interrupted while the result was being fetched")
                .with_hint(format!("fetch it again with: uso result {id}")));
        }
    };
    progress.end();
    match fetched {
        Ok(saved) => {
            if saved.complete {
                connection.settle(&args.request_id, printer);
            }
            saved.report(printer)
        }
        Err(error) => {
            if is_over(&error) {
                connection.settle(&args.request_id, printer);
            }
            Err(Failure::from(error).beside(target.folder()))
        }
    }
}
