//! `uso batch run --offer`: rows of a batch, offered to every machine that shares the journal.

use std::process::ExitCode;

use futures_util::StreamExt as _;
use serde_json::json;
use uso::MicroDollars;
use uso_journal::{BatchRow, Error, Target, UnitPrice};

use crate::batch::plan_text::counted;
use crate::batch::planned_row::PlannedRow;
use crate::batch::purchases::key;
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
    let count = rows.len();
    let offers = futures_util::stream::iter(rows).map(async |row| {
        let key = key(name, &row.id, &row.fingerprint);
        // Each worker has a folder of its own.
        let row = BatchRow::new(key, row.request).target(Target::named("", row.name));
        let price = Some(UnitPrice::published());
        session.journal.offer(client, name, row, price).await
    });
    let mut offers = std::pin::pin!(offers.buffer_unordered(AT_ONCE));
    while let Some(offered) = offers.next().await {
        offered.map_err(|error: Error| {
            Failure::from(error).with_hint("run the command again: rows that are offered stay so")
        })?;
    }
    printer.say(&format!(
        "batch {name}: {} offered; nothing is bought before a machine runs: uso batch work {name}",
        counted(count, "row")
    ));
    printer.data(&json!({ "batch": name, "offered": count }), &[])?;
    Ok(ExitCode::SUCCESS)
}
