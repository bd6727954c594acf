//! `uso journal`: the tables of a journal.

use std::process::ExitCode;

use serde_json::json;

use crate::args::{Global, JournalArgs, JournalCommand};
use crate::failure::Failure;
use crate::journal;
use crate::printer::Printer;

pub(crate) async fn run(
    global: &Global,
    args: &JournalArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    match args.command {
        JournalCommand::Migrate => {
            // Opening a journal brings its tables to the newest version.
            let journal = journal::connect(global).await?;
            let location = journal.location();
            let line = format!("{location} has the newest tables");
            printer.data(&json!({ "journal": location, "migrated": true }), &[line])?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
