//! `uso batch retry`: buys failed and cancelled rows again.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use uso_journal::{Cause, Error, LocalId, State};

use crate::args::{BatchRetryArgs, Global};
use crate::batch::purchases::Known;
use crate::batch::stored::Stored;
use crate::failure::Failure;
use crate::printer::Printer;

pub(crate) async fn run(
    global: &Global,
    args: &BatchRetryArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let stored = Stored::read(global, &args.again, printer).await?;
    let only = args.only.as_deref().map(|only| only.replace('-', "_"));
    let is_ended = |known: &Known| matches!(known.state, State::Failed | State::Cancelled);
    let ended = stored.bought.values().filter(|known| is_ended(known));
    let causes: BTreeSet<&str> = ended
        .filter_map(|known| known.cause)
        .map(Cause::as_str)
        .collect();
    if let Some(only) = &only
        && !causes.contains(only.as_str())
    {
        let causes: Vec<&str> = causes.into_iter().collect();
        return Err(
            Failure::usage(format!("--only: no row failed with the cause {only:?}")).with_hint(
                match causes.is_empty() {
                    true => "no row has failed".to_owned(),
                    false => format!("the causes are: {}", causes.join(", ")),
                },
            ),
        );
    }
    let is_meant = |known: &Known| {
        let cause = known.cause.map(Cause::as_str);
        is_ended(known) && only.as_deref().is_none_or(|only| cause == Some(only))
    };
    let (rows, tally) = stored.select(|_, known| known.is_some_and(is_meant));
    Stored::check_limit(rows.iter(), args.again.limit.max_cost)?;
    let seen: BTreeMap<LocalId, u32> = rows
        .iter()
        .filter_map(|row| stored.known(row))
        .filter(|known| !known.is_free())
        .map(|known| (known.id, known.attempt))
        .collect();
    let (journal, client) = (&stored.session.journal, &stored.session.connection.client);
    for (id, attempt) in seen {
        match journal.retry(client, id, attempt).await {
            // Another run asked for the next attempt meanwhile, which this one waits for.
            Ok(_) | Err(Error::NotAllowed { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if rows.is_empty() {
        printer.say("no row has failed");
    }
    stored.go_on((rows, tally), printer).await
}
