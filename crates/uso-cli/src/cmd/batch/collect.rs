//! `uso batch collect`: pictures of a batch in one folder, whichever machines made them.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use uso_journal::{Purchase, State, Target};

use crate::args::{BatchCollectArgs, Global};
use crate::batch::offered::Counts;
use crate::batch::session::Session;
use crate::exit_code::{FAILED, OUTCOME_UNKNOWN};
use crate::failure::Failure;
use crate::printer::Printer;
use crate::root_cause::message_of;

/// Purchases that are read at a time.
const PAGE: u32 = 500;

pub(crate) async fn run(
    global: &Global,
    args: &BatchCollectArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let session = Session::open(global, args.timeout).await?;
    Counts::read(&session, &args.batch)
        .await?
        .refuse_none(&args.batch)?;
    let client = &session.connection.client;
    let bought = [State::Done, State::Submitted, State::Unknown];
    let jobs = session
        .journal
        .jobs(client)
        .batch(&args.batch)
        .states(bought);
    let (mut jobs, mut saved, mut missing, mut unknown) = (jobs.limit(PAGE), 0, 0, 0);
    loop {
        let page = jobs.next_page().await?;
        if page.is_empty() {
            break;
        }
        for purchase in page {
            match collect(&session, &purchase, &args.output).await {
                Ok(Some(paths)) => {
                    saved += paths.len();
                    if !printer.json {
                        printer.paths(&json!(null), &paths)?;
                    }
                }
                Ok(None) => unknown += 1,
                Err(why) => {
                    missing += 1;
                    printer.warn(&format!("{}: {why}", purchase.key));
                }
            }
        }
    }
    let code = match (unknown, missing) {
        (0, 0) => 0,
        (0, _) => FAILED,
        _ => OUTCOME_UNKNOWN,
    };
    printer.say(&format!(
        "batch {}: {saved} pictures are in {}; {missing} rows could not be collected, {unknown} may have been bought",
        args.batch,
        args.output.display()
    ));
    let document = json!({
        "batch": args.batch,
        "output": args.output.to_string_lossy(),
        "saved": saved,
        "missing": missing,
        "unknown": unknown,
        "exit_code": code,
    });
    printer.data(&document, &[])?;
    Ok(ExitCode::from(code))
}

/// The pictures of a purchase in this folder; `None` while it is not known whether it was bought.
async fn collect(
    session: &Session,
    purchase: &Purchase,
    folder: &Path,
) -> Result<Option<Vec<std::path::PathBuf>>, String> {
    let client = &session.connection.client;
    let journal = &session.journal;
    let name = match &purchase.target {
        Some(Target::Folder { name, .. }) => Target::named(folder, name),
        _ => Target::folder(folder),
    };
    if purchase.state == State::Done {
        let copies = journal.copy(client, purchase.id, name).await;
        return copies.map(Some).map_err(|error| message_of(&error));
    }
    let moved = journal.set_target(client, purchase.id, name).await;
    moved.map_err(|error| message_of(&error))?;
    let collected = journal.resume(client, purchase.id, |_| {}).await;
    let collected = collected.map_err(|error| message_of(&error))?;
    let paths = collected
        .pictures
        .iter()
        .map(|picture| picture.path.clone());
    match collected.state {
        State::Done => Ok(Some(paths.collect())),
        State::Unknown => Ok(None),
        state => Err(state.to_string()),
    }
}
