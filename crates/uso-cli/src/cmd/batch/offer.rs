//! `uso batch run --offer`: rows of a batch, offered to every machine that shares the journal.

use std::collections::{BTreeMap, HashSet};
use std::process::ExitCode;

use futures_util::StreamExt as _;
use serde_json::json;
use uso::MicroDollars;
use uso_journal::{BatchRow, Error, State, Target, UnitPrice};

use crate::batch::changes::Changes;
use crate::batch::plan_text::counted;
use crate::batch::planned_row::PlannedRow;
use crate::batch::purchases::{Purchases, id_of};
use crate::batch::record::BatchRecord;
use crate::batch::session::Session;
use crate::failure::Failure;
use crate::printer::Printer;

/// Rows whose pictures are uploaded at a time.
const AT_ONCE: usize = 8;

/// Takes back what an earlier offer asked for and this one does not: rows that were changed, or
/// removed from the manifest. Says how many.
pub(super) async fn take_back(
    session: &Session,
    name: &str,
    rows: &[PlannedRow],
    changes: &Changes<'_>,
    bought: &Purchases,
) -> Result<usize, Failure> {
    let keys: HashSet<String> = rows.iter().map(|row| row.key(name)).collect();
    let ids = rows.iter().map(|row| row.id.as_str());
    let ids: HashSet<&str> = ids
        .chain(changes.removed.iter().map(String::as_str))
        .collect();
    let mut count = 0;
    for (key, known) in bought {
        let is_open = matches!(
            known.state,
            State::Pending | State::Reserved | State::Sending
        );
        let Some(id) = id_of(name, key).filter(|id| is_open && ids.contains(id)) else {
            continue;
        };
        if keys.contains(key) {
            continue;
        }
        let taken = session
            .journal
            .take_back(&session.connection.client, known.id);
        taken.await.map_err(|error| match error {
            Error::Busy(_) | Error::NotAllowed { .. } => Failure::input(format!(
                "row {id} was offered with other values, and a machine buys it now"
            ))
            .with_hint("run the command again once the row is bought; uso batch cancel cancels it"),
            error => error.into(),
        })?;
        count += 1;
    }
    Ok(count)
}

/// Uploads the pictures of these rows and offers them; buys nothing.
pub(super) async fn offer(
    session: &Session,
    record: &BatchRecord,
    rows: Vec<PlannedRow>,
    taken_back: usize,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let (client, name) = (&session.connection.client, record.name.as_str());
    let cap = record.budget.map(MicroDollars::new);
    session.journal.set_batch_cap(client, name, cap).await?;
    let offers = futures_util::stream::iter(rows).map(async |row| {
        let key = row.key(name);
        // Each worker has a folder of its own.
        let row = BatchRow::new(key, row.request).target(Target::named("", row.name));
        let price = Some(UnitPrice::published());
        session.journal.offer(client, name, row, price).await
    });
    let mut offers = std::pin::pin!(offers.buffer_unordered(AT_ONCE));
    let (mut count, mut closed) = (0, BTreeMap::<&str, usize>::new());
    while let Some(offered) = offers.next().await {
        let offered = offered.map_err(|error: Error| {
            Failure::from(error).with_hint("run the command again: rows that are offered stay so")
        })?;
        match offered.state.is_closed() {
            true => *closed.entry(offered.state.as_str()).or_default() += 1,
            false => count += 1,
        }
    }
    for (state, count) in &closed {
        let rows = counted(*count, "row");
        let are = if *count == 1 { "is" } else { "are" };
        printer.warn(&format!(
            "{rows} {are} {state} and not offered again; uso batch retry buys what failed or was cancelled"
        ));
    }
    if taken_back > 0 {
        printer.say(&format!(
            "{} of an earlier offer taken back: the manifest asks for something else",
            counted(taken_back, "row")
        ));
    }
    printer.say(&format!(
        "batch {name}: {} offered; nothing is bought before a machine runs: uso batch work {name}",
        counted(count, "row")
    ));
    printer.data(
        &json!({ "batch": name, "offered": count, "taken_back": taken_back, "closed": closed }),
        &[],
    )?;
    Ok(ExitCode::SUCCESS)
}
