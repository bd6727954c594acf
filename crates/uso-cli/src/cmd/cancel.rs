//! `uso cancel`: asks the service to stop a job, or gives a purchase up.

use std::process::ExitCode;

use serde_json::json;
use uso_journal::{CancelOutcome, Error};

use crate::args::{CancelArgs, Global};
use crate::cancellation::describe;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::journal;
use crate::printer::Printer;
use crate::reservation;

pub(crate) async fn run(
    global: &Global,
    args: &CancelArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::open(global).await?;
    let client = &connection.client;
    let journal = journal::open(global, &connection).await?;
    let recorded = journal::find(&journal, client, Some(&args.id)).await?;
    let id = match &recorded {
        Some(purchase) => journal::shown_id(purchase),
        None => args.id.clone(),
    };
    if args.write_off {
        let purchase = recorded.ok_or_else(|| Failure::from(Error::NotFound(id.clone())))?;
        let closed = journal
            .write_off(client, purchase.id, purchase.state)
            .await?;
        reservation::release(closed.target.as_ref());
        let line = format!("{id} is given up; what was reserved for it is free again");
        let document =
            json!({ "id": closed.id, "request_id": closed.request_id(), "state": closed.state });
        printer.data(&document, &[line])?;
        return Ok(ExitCode::SUCCESS);
    }
    let cancelled = match &recorded {
        Some(purchase) => match journal.cancel(client, purchase.id).await {
            Err(Error::NotAllowed { id, .. })
                if purchase.request_id().is_none() && purchase.state.is_closed() =>
            {
                let reason = purchase.reason.as_ref().map(|reason| &reason.message);
                let why = reason.filter(|message| !message.is_empty());
                let why = why.map_or_else(String::new, |why| format!(" ({why})"));
                return Err(Failure::usage(format!(
                    "{id} is {}{why} and has no request id: there is nothing to cancel",
                    purchase.state
                )));
            }
            Err(Error::NotAllowed { id, .. }) if purchase.request_id().is_none() => {
                return Err(Failure::usage(format!(
                    "{id}: it is not known whether the job was accepted, so it cannot be cancelled"
                ))
                .with_hint(format!(
                    "look for it with uso resume {id}, or give it up with uso cancel --write-off {id}"
                )));
            }
            // The service is asked all the same: it knows whether the job has ended.
            Err(Error::NotAllowed { .. }) => None,
            cancelled => Some(cancelled?),
        },
        None => None,
    };
    let outcome = match cancelled {
        Some(cancelled) => {
            if cancelled.purchase.state.is_closed() {
                reservation::release(cancelled.purchase.target.as_ref());
            }
            cancelled.outcome
        }
        None => {
            let ticket = recorded.and_then(|purchase| purchase.ticket);
            let job = match ticket {
                Some(ticket) => client.job(ticket),
                None => client.job_by_id(&id)?,
            };
            CancelOutcome::from(job.cancel().await?)
        }
    };
    let (word, text) = describe(outcome);
    printer.data(
        &json!({ "request_id": id, "cancellation": word }),
        &[text.to_owned()],
    )?;
    if outcome == CancelOutcome::AlreadyCompleted {
        printer.say(&format!("collect it with: uso result {id}"));
    }
    Ok(ExitCode::SUCCESS)
}
