//! Errors of the journal, and outcomes of purchases that are none of what was asked for, as
//! failures of a command.

use std::path::Path;
use std::sync::Arc;

use uso::ErrorKind;
use uso_journal::{BudgetStop, Cause, Error, LocalId, Purchase, State};

use super::{BUSY, Failure};
use crate::exit_code::{FAILED, OTHER};
use crate::journal::asked;
use crate::root_cause::message_of;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Request(error) => error.into(),
            Error::NotBought {
                source: Some(error),
                ..
            }
            | Error::NotCollected {
                source: Some(error),
                ..
            } => (*error).into(),
            Error::Lookup { id, source } if source.ticket().is_none() => not_looked_up(id, *source),
            Error::Lookup { source, .. } => (*source).into(),
            Error::Budget(stop) => budget(&stop),
            Error::NotCollected {
                purchase, message, ..
            } => Self::io(message).with_hint(format!(
                "the job is bought; collect it with: uso result {}, and -o FILE for another place",
                purchase.id
            )),
            Error::NotRecorded { ticket, source } => Self::unknown(format!(
                "bought as {}, which could not be recorded: {source}",
                ticket.request_id()
            ))
            .with_hint(format!(
                "collect it with: uso result {}",
                ticket.request_id()
            )),
            Error::BoughtEarlier { ref ticket, .. } => {
                let hint = format!("collect it with: uso result {}", ticket.request_id());
                Self::unknown(error.to_string()).with_hint(hint)
            }
            Error::Busy(id) => Self::new(OTHER, BUSY, format!("another process works on {id}"))
                .with_hint("wait for that process, or follow the job with uso watch"),
            Error::TakenOver(id) => {
                Self::new(OTHER, BUSY, format!("another process took {id} over"))
                    .with_hint(format!("follow the job with: uso watch {id}"))
            }
            Error::Interrupted(id) => Self::other(format!("the work on {id} ended early"))
                .with_hint(format!("go on with: uso resume {id}")),
            Error::NotFound(text) => Self::usage(format!("no job {text} is recorded"))
                .with_hint("uso list --all shows every job with its id"),
            Error::Ambiguous { .. } => {
                Self::usage(error.to_string()).with_hint("give more of the id")
            }
            Error::NotAllowed { .. } | Error::Conflict { .. } => Self::usage(error.to_string()),
            Error::NoPlace => Self::other("there is no place to record the purchase")
                .with_hint("nothing was sent; name a file with --journal or USO_JOURNAL"),
            other => {
                let is_server = other.to_string().contains("://");
                let is_there = matches!(&other, Error::Database { journal, .. } if Path::new(journal).is_file());
                Self::other(message_of(&other)).with_hint(match (is_server, is_there) {
                    (true, _) => "check that the server runs, and the address in --journal or USO_JOURNAL",
                    (false, true) => "make its disk writable and free some space on it: what was bought is recorded in this file alone",
                    (false, false) => "name another file with --journal or USO_JOURNAL",
                })
            }
        }
    }
}

fn budget(stop: &BudgetStop) -> Failure {
    Failure::budget(format!("{stop}; nothing was sent"))
        .with_hint("uso budget shows the caps and changes them")
}

/// An unknown purchase that could not be looked for: the error says nothing about the purchase.
fn not_looked_up(id: LocalId, error: uso::Error) -> Failure {
    let first = match error.kind() {
        ErrorKind::Auth => "check the key in FAL_KEY, then ",
        ErrorKind::Locked => "top up the account at fal.ai/dashboard/billing, then ",
        _ => "",
    };
    let message = format!("it is not known whether {id} was accepted: {error}");
    let mut failure = Failure::unknown(message).with_hint(format!(
        "{first}look again with: uso resume {id}; until it is found, running the command again may pay twice"
    ));
    failure.error = Some(Box::new(error));
    failure
}

impl Failure {
    /// A purchase whose submit left and whose outcome the journal could not record, with the error
    /// that the response was lost with.
    pub(crate) fn unrecorded(error: &Error, lost: Option<Arc<uso::Error>>) -> Self {
        let failure = match lost.and_then(Arc::into_inner) {
            Some(lost) => Self::from(lost),
            None => Self::unknown("the purchase may have been accepted and billed")
                .with_hint("look for it with uso resume before running the command again"),
        };
        let why = format!("the outcome could not be recorded: {}", message_of(error));
        failure.because(Some(why))
    }

    /// A purchase that may be bought, and whose journal failed while it was looked for or collected.
    pub(crate) fn unfinished(error: Error, purchase: &Purchase) -> Self {
        let is_journals = matches!(error, Error::Database { .. } | Error::Io { .. });
        let failure = Self::from(error);
        if !is_journals || !purchase.state.may_be_bought() {
            return failure;
        }
        let id = purchase.id;
        let first = failure.hint.unwrap_or_default();
        match purchase.request_id() {
            Some(request_id) => Self::io(failure.message).with_hint(format!(
                "{first}; the job is bought: collect it with uso result {request_id}"
            )),
            None => Self::unknown(format!(
                "it is not known whether {id} was accepted: {}",
                failure.message
            ))
            .with_hint(format!(
                "{first}; look again with: uso resume {id}; until it is found, running the command again may pay twice"
            )),
        }
    }

    /// A purchase whose job is bought and whose pictures are not all on disk, with the failure that
    /// says so; every other error is a failure without a purchase.
    pub(crate) fn uncollected(error: Error) -> Result<(Purchase, Self), Self> {
        let Error::NotCollected { purchase, .. } = &error else {
            return Err(error.into());
        };
        let purchase = Purchase::clone(purchase);
        let asked = asked(&purchase);
        let is_there = |number: &u32| {
            purchase
                .pictures
                .iter()
                .any(|saved| saved.number == *number)
        };
        let missing = (1..=asked).find(|number| !is_there(number));
        let failure = Self::from(error);
        let failure = match missing.filter(|_| !purchase.pictures.is_empty()) {
            Some(missing) => failure.at(&format!("picture {missing} of {asked}")),
            None => failure,
        };
        Ok((purchase, failure))
    }

    /// The failure of a purchase that has no pictures, or not yet; `None` for one that is done, or
    /// bought and under way. The error is the one that decided, where this process saw it.
    pub(crate) fn of_purchase(purchase: &Purchase, error: Option<Arc<uso::Error>>) -> Option<Self> {
        if matches!(purchase.state, State::Done | State::Submitted) {
            return None;
        }
        if let Some(error) = error.and_then(Arc::into_inner) {
            return Some(error.into());
        }
        let id = purchase.id;
        let reason = purchase.reason.as_ref();
        let message = reason.map_or("", |reason| reason.message.as_str());
        Some(match purchase.state {
            State::Unknown | State::Sending => Self::unknown(message).with_hint(format!(
                "the job may have been accepted and billed: look for it with uso resume {id}, or among the requests in fal's dashboard, before running the command again"
            )),
            State::Failed | State::Cancelled => {
                let kind = reason.and_then(|reason| reason.kind);
                let cause = reason.map(|reason| reason.cause);
                let (code, word) = match kind {
                    Some(ErrorKind::Input) if purchase.ticket.is_some() => {
                        (FAILED, ErrorKind::Input.as_str())
                    }
                    Some(kind) => (super::code_of(kind), kind.as_str()),
                    None => (FAILED, ErrorKind::Failed.as_str()),
                };
                let hint = match cause {
                    Some(Cause::NotBought) => "nothing was bought",
                    _ => "the job ended without a picture; running the command again is a new purchase",
                };
                Self::new(code, word, message).with_hint(hint)
            }
            _ => Self::other("nothing was sent yet").with_hint("run the command again"),
        })
    }
}
