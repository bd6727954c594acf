//! `uso batch reconcile`: rows whose response was lost, looked for at the service.

use std::process::ExitCode;

use uso_journal::{LocalId, State};

use crate::args::{BatchReconcileArgs, Global};
use crate::batch::purchases::Known;
use crate::batch::stored::Stored;
use crate::failure::Failure;
use crate::printer::Printer;

pub(crate) async fn run(
    global: &Global,
    args: &BatchReconcileArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let mut stored = Stored::read(global, &args.again, printer).await?;
    let given_up = match args.buy_again.is_empty() {
        true => &args.write_off,
        false => &args.buy_again,
    };
    // All names first, so that a wrong one changes nothing.
    let given_up = given_up.iter().map(|name| unknown(&stored, name));
    let given_up = given_up.collect::<Result<Vec<LocalId>, Failure>>()?;
    let (journal, client) = (&stored.session.journal, &stored.session.connection.client);
    let buys_again = !args.buy_again.is_empty();
    if buys_again {
        let is_given_up = |known: &Known| given_up.contains(&known.id);
        let (rows, _) = stored.select(|_, known| known.is_some_and(is_given_up));
        Stored::check_limit(rows.iter(), args.again.limit.max_cost)?;
    }
    for id in &given_up {
        let write_off = journal.write_off(client, *id, State::Unknown);
        let attempt = write_off.await?.attempt;
        if buys_again {
            journal.retry(client, *id, attempt).await?;
        }
    }
    if !given_up.is_empty() {
        stored.read_purchases().await?;
    }
    let is_meant = |known: &Known| {
        let is_lost = matches!(known.state, State::Unknown | State::Sending);
        is_lost || (buys_again && given_up.contains(&known.id))
    };
    let (rows, tally) = stored.select(|_, known| known.is_some_and(is_meant));
    if rows.is_empty() {
        printer.say("no row has an unknown outcome");
    }
    stored.go_on((rows, tally), printer).await
}

/// The short id of an unknown row.
fn unknown(stored: &Stored, name: &str) -> Result<LocalId, Failure> {
    match stored.named(name) {
        Some((_, known)) if known.state == State::Unknown => Ok(known.id),
        Some((id, known)) => Err(Failure::usage(format!(
            "row {id} is {}, and only a row whose outcome is unknown is given up; nothing was changed",
            known.state
        ))),
        None => Err(Failure::usage(format!(
            "batch {} has no row {name:?} that was bought; nothing was changed",
            stored.record.name
        ))
        .with_hint("uso batch status lists the unknown rows")),
    }
}
