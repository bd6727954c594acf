//! The part that every batch command which buys or collects ends with: the run, its last line, and
//! its exit code.

use std::collections::HashSet;
use std::process::ExitCode;

use serde_json::json;
use uso_journal::{BudgetStop, Scope, State, Stopped};

use super::plan_text::counted;
use super::planned_row::PlannedRow;
use super::purchases::{Known, Purchases};
use super::record::BatchRecord;
use super::running;
use super::session::Session;
use super::sidecar;
use super::tally::Tally;
use crate::document::merged;
use crate::failure::Failure;
use crate::printer::Printer;

/// Buys and collects rows, and reports what came of it. `bought` has the purchases of earlier runs.
pub(crate) async fn run(
    session: &Session,
    record: &BatchRecord,
    bought: &Purchases,
    mut rows: Vec<PlannedRow>,
    mut tally: Tally,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    rows.sort_by_key(|row| rank(bought.get(&row.key(&record.name))));
    tally.settled = reopen_missing(session, record, bought, &rows).await?;
    match tally.settled.len() {
        0 => {}
        count => printer.say(&format!(
            "{} without its file: fetched again, for as long as the service keeps the pictures",
            counted(count, "row")
        )),
    }
    if rows.is_empty() {
        let is_complete = tally.done_before >= tally.total;
        printer.say(&format!(
            "batch {}{}: {}; nothing to buy",
            record.name,
            if is_complete {
                " is already complete"
            } else {
                ""
            },
            tally.line()
        ));
        for hint in hints(record, &tally) {
            printer.hint(&hint);
        }
        printer.data(&document(record, &tally), &[])?;
        return Ok(ExitCode::from(tally.code()));
    }
    let ended = running::run(session, record, rows, tally, printer).await?;
    let tally = ended.tally;
    printer.say(&format!(
        "batch {}: {}; {}",
        record.name,
        tally.line(),
        tally.billed_line()
    ));
    let hints = hints(record, &tally);
    // A batch whose every row is done was not cut short.
    if let Some(signal) = ended.signal.filter(|_| tally.code() != 0) {
        return Err(
            Failure::interrupted(signal, "interrupted; what is bought stays recorded")
                .with_hint(format!("go on with: uso batch resume {}", record.name))
                .with_partial(document(record, &tally)),
        );
    }
    for hint in &hints {
        printer.hint(hint);
    }
    printer.data(&document(record, &tally), &[])?;
    if session.connection.is_emulated() {
        printer.say("emulated: nothing was bought, and the pictures say so");
    }
    Ok(ExitCode::from(tally.code()))
}

/// Refuses to buy rows of a batch that is in flight with another key, which this key does not see.
pub(crate) async fn refuse_other_accounts(
    session: &Session,
    record: &BatchRecord,
) -> Result<(), Failure> {
    let (journal, client) = (&session.journal, &session.connection.client);
    let name = record.name.as_str();
    let elsewhere = journal.unfinished_of_other_accounts(client, Some(name));
    let elsewhere = elsewhere.await?;
    if elsewhere == 0 {
        return Ok(());
    }
    let rows = counted(usize::try_from(elsewhere).unwrap_or(usize::MAX), "row");
    let message =
        format!("{rows} of batch {name} may be paid and belong to another key; nothing was sent");
    Err(Failure::usage(message).with_hint(format!(
        "finish them with that key: uso batch resume {name}; to buy with this key, begin another batch: uso batch run --batch NAME"
    )))
}

/// The order of rows: what is bought is collected first, as the service keeps it for a limited time,
/// and what is unknown is looked up last, as that can take minutes and rarely has news.
fn rank(known: Option<&Known>) -> u8 {
    match known.map(|known| known.state) {
        Some(State::Submitted | State::Done) => 0,
        Some(State::Unknown | State::Sending) => 2,
        _ => 1,
    }
}

/// Writes the sidecars of rows that are done, where a process ended between picture and sidecar.
pub(crate) async fn write_missing_sidecars(
    session: &Session,
    record: &BatchRecord,
    bought: &Purchases,
    rows: &[PlannedRow],
    printer: &Printer,
) -> Result<(), Failure> {
    for row in rows {
        let known = bought.get(&row.key(&record.name));
        let Some(known) = known.filter(|known| known.is_whole()) else {
            continue;
        };
        if !sidecar::is_missing(&known.pictures) {
            continue;
        }
        let client = &session.connection.client;
        let purchase = session.journal.get(client, known.id).await;
        let purchase = purchase?;
        if let Err(error) = sidecar::write(&row.row, &purchase) {
            printer.warn(&format!(
                "{}: the sidecar cannot be written: {error}",
                row.id
            ));
        }
    }
    Ok(())
}

/// Reopens rows that are done and whose files are gone, so that the run fetches them again. Returns
/// their keys.
async fn reopen_missing(
    session: &Session,
    record: &BatchRecord,
    bought: &Purchases,
    rows: &[PlannedRow],
) -> Result<HashSet<String>, Failure> {
    let mut reopened = HashSet::new();
    for row in rows {
        let key = row.key(&record.name);
        let known = bought.get(&key);
        if let Some(known) = known.filter(|known| known.state == State::Done && !known.is_whole()) {
            let client = &session.connection.client;
            session.journal.reopen(client, known.id).await?;
            reopened.insert(key);
        }
    }
    Ok(reopened)
}

fn document(record: &BatchRecord, tally: &Tally) -> serde_json::Value {
    let batch = json!({ "batch": record.name, "output": record.output.to_string_lossy() });
    merged(tally.to_json(), batch)
}

/// The next steps, one line each.
fn hints(record: &BatchRecord, tally: &Tally) -> Vec<String> {
    let name = &record.name;
    let mut hints = Vec::new();
    if tally.unknown > 0 {
        hints.push(format!(
            "{} may have been bought, as the response was lost: uso batch reconcile {name} asks the service",
            counted(tally.unknown, "row")
        ));
    }
    match &tally.stopped {
        // The caps of the account are no option of a batch.
        Some(Stopped::Budget(
            BudgetStop::Exceeded { scope, .. } | BudgetStop::NoPrice { scope, .. },
        )) if matches!(scope, Scope::Day | Scope::Total) => hints.push(format!(
            "uso budget shows the caps and changes them; go on with: uso batch resume {name}"
        )),
        Some(Stopped::Budget(_)) => hints.push(format!(
            "raise the budget and go on with: uso batch resume {name} --budget USD"
        )),
        Some(Stopped::Locked(_)) => hints.push(format!(
            "top up the account at fal.ai/dashboard/billing, then go on with: uso batch resume {name}"
        )),
        Some(Stopped::Unreachable(_)) => hints.push(format!(
            "find out why with uso doctor, then go on with: uso batch resume {name}"
        )),
        Some(Stopped::Disk(_)) => hints.push(format!(
            "make room on the disk, or the folder writable, then go on with: uso batch resume {name}"
        )),
        Some(Stopped::Key(_)) => hints.push(format!(
            "check the key in FAL_KEY, then go on with: uso batch resume {name}"
        )),
        _ => {}
    }
    if tally.failed > 0 {
        hints.push(format!(
            "{} failed: uso batch retry {name} buys them again",
            counted(tally.failed, "row")
        ));
    }
    if tally.unfinished > 0 {
        hints.push(format!(
            "{} are bought and not collected: uso batch resume {name} collects them",
            counted(tally.unfinished, "row")
        ));
    }
    // A run that was stopped has said how it goes on.
    if tally.left() > 0 && tally.stopped.is_none() {
        hints.push(format!(
            "{} are not bought: uso batch resume {name} buys them",
            counted(tally.left(), "row")
        ));
    }
    hints
}
