//! `uso batch run --offer`: rows of a batch, offered to every machine that shares the journal.

use std::collections::BTreeMap;
use std::process::ExitCode;

use futures_util::StreamExt as _;
use serde_json::json;
use uso::MicroDollars;
use uso_journal::{BatchRow, Error, Target, UnitPrice};

use crate::batch::plan_text::counted;
use crate::batch::planned_row::PlannedRow;
use crate::batch::record::BatchRecord;
use crate::batch::session::Session;
use crate::failure::Failure;
use crate::printer::Printer;

/// Rows whose pictures are uploaded at a time.
const AT_ONCE: usize = 8;

/// Uploads the pictures of these rows and offers them; buys nothing.
pub(super) async fn offer(
    session: &Session,
    record: &BatchRecord,
    rows: Vec<PlannedRow>,
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
    printer.say(&format!(
        "batch {name}: {} offered; nothing is bought before a machine runs: uso batch work {name}",
        counted(count, "row")
    ));
    printer.data(
        &json!({ "batch": name, "offered": count, "closed": closed }),
        &[],
    )?;
    Ok(ExitCode::SUCCESS)
}
