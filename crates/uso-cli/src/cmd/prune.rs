//! `uso prune`: erases what closed purchases hold that is private.

use std::process::ExitCode;
use std::time::SystemTime;

use serde_json::{Value, json};
use uso_journal::{Purchase, State};

use crate::args::{Global, PruneArgs};
use crate::cmd::list::to_json;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::journal;
use crate::printer::Printer;

/// Purchases that are shown by name.
const SHOWN: usize = 20;

pub(crate) async fn run(
    global: &Global,
    args: &PruneArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::open(global).await?;
    let client = &connection.client;
    let journal = journal::open(global, &connection).await?;
    let closed = journal
        .jobs(client)
        .states([State::Done, State::Failed, State::Cancelled])
        .limit(u32::MAX)
        .read()
        .await?;
    let before = SystemTime::now().checked_sub(args.older_than);
    let is_due =
        |job: &Purchase| !job.pruned && before.is_some_and(|before| job.changed_at < before);
    let due: Vec<Purchase> = closed.into_iter().filter(is_due).collect();
    let mut lines: Vec<String> = due
        .iter()
        .take(SHOWN)
        .map(|job| format!("{}  {}  {}", job.id, job.state, journal::place(job)))
        .collect();
    if due.len() > SHOWN {
        lines.push(format!("and {} more", due.len() - SHOWN));
    }
    let documents: Vec<Value> = due.iter().map(to_json).collect();
    let pruned = match args.dry_run {
        true => 0,
        false => journal.prune(client, args.older_than).await?,
    };
    printer.data(&json!({ "pruned": pruned, "jobs": documents }), &lines)?;
    let count = due.len();
    printer.say(&match args.dry_run {
        true => format!(
            "{count} closed jobs would lose prompt, input, URLs and paths; their pictures, keys, fingerprints and outcomes stay"
        ),
        false => format!(
            "{pruned} closed jobs lost prompt, input, URLs and paths; their pictures, keys, fingerprints and outcomes stay"
        ),
    });
    Ok(ExitCode::SUCCESS)
}
