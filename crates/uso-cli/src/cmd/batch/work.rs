//! `uso batch work`: buys and collects the offered rows of a batch, beside other workers of the
//! journal.

use std::collections::HashMap;
use std::process::ExitCode;

use serde_json::json;
use uso_journal::State;

use crate::args::{BatchWorkArgs, Global};
use crate::batch::offered::Counts;
use crate::batch::running;
use crate::batch::session::Session;
use crate::batch::tally::Tally;
use crate::exit_code::{self, worst};
use crate::failure::Failure;
use crate::printer::Printer;
use crate::reservation;

pub(crate) async fn run(
    global: &Global,
    args: &BatchWorkArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let session = Session::paced(global, &args.pace).await?;
    let client = &session.connection.client;
    let before = Counts::read(&session, &args.batch).await?;
    before.refuse_none(&args.batch)?;
    reservation::writable_folder(&args.output)?;
    let work = session.journal.work(client, &args.batch, &args.output);
    let tally = Tally {
        total: before.total(),
        done_before: before.of(State::Done),
        ..Tally::default()
    };
    let name = &args.batch;
    let batch = running::paced(
        work.await?.name(name),
        args.pace.concurrency,
        args.pace.locked_for,
    );
    let ended = running::drive(&session, name, batch, &HashMap::new(), tally, printer).await?;
    let after = Counts::read(&session, name).await?;
    let stopped = Tally {
        stopped: ended.tally.stopped.clone(),
        ..Tally::default()
    };
    let code = worst([after.code(), stopped.code()].into_iter());
    let document = json!({
        "batch": name,
        "output": args.output.to_string_lossy(),
        "done_here": ended.tally.done,
        "states": after.to_json(),
        "exit_code": code,
    });
    if let Some(signal) = ended.signal.filter(|_| code != 0) {
        return Err(
            Failure::interrupted(signal, "interrupted; what is bought stays recorded")
                .with_hint(format!("go on with: uso batch work {name}"))
                .with_partial(document),
        );
    }
    printer.say(&format!(
        "batch {name}: {}; {} done by this worker; {}",
        after.line(),
        ended.tally.done,
        ended.tally.billed_line()
    ));
    if code == exit_code::OUTCOME_UNKNOWN {
        printer.hint("rows that may have been bought are looked up with: uso resume");
    }
    printer.data(&document, &[])?;
    Ok(ExitCode::from(code))
}
