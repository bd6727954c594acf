//! `uso prune`: erases what closed purchases hold that is private.

use std::process::ExitCode;
use std::time::SystemTime;

use serde_json::json;
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
    let before = SystemTime::now().checked_sub(args.older_than);
    let is_due = |job: &Purchase| {
        !job.pruned && !job.in_work && before.is_some_and(|before| job.changed_at < before)
    };
    let closed = State::ALL.into_iter().filter(|state| state.is_closed());
    let (mut count, mut lines, mut documents) = (0_usize, Vec::new(), Vec::new());
    journal::each(journal.jobs(client).states(closed), |job| {
        if !is_due(&job) {
            return Ok(());
        }
        count += 1;
        if count <= SHOWN {
            let place = journal::place(&job);
            lines.push(format!("{}  {}  {place}", job.id, job.state));
        }
        if printer.json {
            documents.push(to_json(&job));
        }
        Ok(())
    })
    .await?;
    if count > SHOWN {
        lines.push(format!("and {} more", count - SHOWN));
    }
    let pruned = match args.dry_run {
        true => 0,
        false => journal.prune(client, args.older_than).await?,
    };
    printer.data(&json!({ "pruned": pruned, "jobs": documents }), &lines)?;
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
