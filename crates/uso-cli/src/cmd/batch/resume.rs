//! `uso batch resume`: goes on with a batch.

use std::process::ExitCode;

use crate::args::{BatchAgainArgs, Global};
use crate::batch::planned_row::PlannedRow;
use crate::batch::purchases::Known;
use crate::batch::stored::Stored;
use crate::failure::Failure;
use crate::printer::Printer;

pub(crate) async fn run(
    global: &Global,
    args: &BatchAgainArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let stored = Stored::read(global, args, printer).await?;
    let (rows, tally) = stored.select(|_, known| !known.is_some_and(Known::is_whole));
    let is_new = |row: &&PlannedRow| stored.known(row).is_none_or(Known::is_free);
    Stored::check_limit(rows.iter().filter(is_new), args.limit.max_cost)?;
    stored.go_on((rows, tally), printer).await
}
