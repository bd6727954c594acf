//! `uso batch cancel`: cancels what is bought and not done.

use std::process::ExitCode;

use serde_json::json;
use uso_journal::State;

use crate::args::{BatchNameArgs, Global};
use crate::batch::plan_text::counted;
use crate::batch::purchases;
use crate::batch::session::Session;
use crate::exit_code;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::root_cause::message_of;

pub(crate) async fn run(
    global: &Global,
    args: &BatchNameArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let session = Session::open(global, None).await?;
    let record = session.records.find(args.name.as_deref())?;
    let client = &session.connection.client;
    let bought = purchases::read(&session.journal, client, &record.name).await?;
    let (mut asked, mut failed) = (0_usize, 0_usize);
    for (key, known) in &bought {
        if !matches!(
            known.state,
            State::Submitted | State::Pending | State::Reserved
        ) {
            continue;
        }
        match session.journal.cancel(client, known.id).await {
            Ok(_) => asked += 1,
            Err(error) => {
                failed += 1;
                let id = purchases::id_of(&record.name, key).unwrap_or(key);
                printer.warn(&format!("{id}: {}", message_of(&error)));
            }
        }
    }
    let document = json!({ "batch": record.name, "cancelled": asked, "not_cancelled": failed });
    printer.data(&document, &[])?;
    printer.say(&match asked + failed {
        0 => format!("batch {}: no row is in flight; nothing to cancel", record.name),
        _ => format!(
            "{} asked to be cancelled; uso batch resume {} learns which of them completed all the same",
            counted(asked, "row"),
            record.name
        ),
    });
    Ok(ExitCode::from(match failed {
        0 => 0,
        _ => exit_code::OTHER,
    }))
}
