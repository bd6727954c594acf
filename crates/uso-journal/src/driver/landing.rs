//! Outcomes of the purchases of a batch, and what the batch does about each.

use uso::error::Delivery;
use uso::{Error as ClientError, ErrorKind};

use super::{Driver, Flight};
use crate::batch_event::{BatchEvent, Stopped};
use crate::error::Error;
use crate::purchase::{Cause, Purchase};
use crate::row::Step;
use crate::source::Begun;
use crate::state::State;

/// How often a row is bought again whose job did not start in time.
const NEW_STARTS: u32 = 3;

impl Driver {
    /// Takes note of an outcome: of a row that begins again later, of a stop, or of the end of a row.
    pub(super) async fn landed(&mut self, flight: Flight) {
        let Flight {
            begun,
            began,
            _place,
            outcome,
            is_unwritten,
        } = flight;
        if let Some(pause) = &mut self.pause
            && began > pause.refused
        {
            pause.is_tried = false;
        }
        match &outcome {
            Err(Error::NotBought {
                source: Some(error),
                ..
            }) if takes_none(error) => {
                let (kind, message) = (error.kind(), error.to_string());
                self.begin_again(begun).await;
                return self.refused(kind, message, began).await;
            }
            // The lease was about to end; nothing was sent.
            Err(Error::NotBought {
                source: Some(error),
                ..
            }) if error.kind() == ErrorKind::Deadline && matches!(begun, Begun::Held { .. }) => {
                return self.begin_again(begun).await;
            }
            // Another worker has the row, and tells its outcome.
            Err(Error::TakenOver(_)) if matches!(begun, Begun::Held { .. }) => {
                return self.postponed(&begun).await;
            }
            // The row begins again once the journal can be written and the row is free.
            Err(_) if is_unwritten => {
                self.exhausted = false;
                return self.postponed(&begun).await;
            }
            Err(Error::NotCollected {
                purchase, source, ..
            }) => {
                self.source.give_up(purchase.id);
                let is_disk = |error: &&ClientError| error.kind() == ErrorKind::Io;
                if let Some(error) = source.as_deref().filter(is_disk) {
                    let why = || Stopped::Disk(error.to_string());
                    self.stopped.get_or_insert_with(why);
                }
            }
            Err(Error::Busy(id)) => self.source.give_up(*id),
            Err(Error::Budget(stop)) => {
                self.stopped.get_or_insert(Stopped::Budget(stop.clone()));
                return self.postponed(&begun).await;
            }
            Err(Error::NotBought {
                source: Some(error),
                ..
            }) if error.kind() == ErrorKind::Auth => {
                self.stopped.get_or_insert(Stopped::Key(error.to_string()));
            }
            Ok(purchase) if self.stopped.is_none() => {
                if let Some(message) = self.may_start_later(purchase).await {
                    let key = begun.key().to_owned();
                    self.begin_again(begun).await;
                    let _ = self.tell.send(BatchEvent::Again { key, message }).await;
                    return;
                }
            }
            _ => {}
        }
        let (key, outcome) = (begun.key().to_owned(), Box::new(outcome));
        let _ = self.tell.send(BatchEvent::Ended { key, outcome }).await;
    }

    async fn postponed(&mut self, begun: &Begun) {
        let key = begun.key().to_owned();
        let _ = self.tell.send(BatchEvent::Postponed { key }).await;
    }

    async fn begin_again(&mut self, begun: Begun) {
        self.postponed(&begun).await;
        self.source.again(begun, &self.terms.shared).await;
        self.exhausted = false;
    }

    /// Asks for a new attempt at a job that did not start in time, which is free. Says why it did
    /// not.
    async fn may_start_later(&mut self, purchase: &Purchase) -> Option<String> {
        let reason = purchase.reason.as_ref()?;
        if purchase.state != State::Failed || reason.cause != Cause::NotStarted {
            return None;
        }
        self.pace.missed();
        let late = self.late.entry(purchase.key.clone()).or_default();
        *late += 1;
        if *late > NEW_STARTS {
            return None;
        }
        let store = &self.terms.shared.store;
        let attempt = purchase.attempt;
        let retry = store.apply(purchase.id, None, Step::Retry { attempt });
        let retried = retry.await;
        retried.ok().map(|_| reason.message.clone())
    }
}

/// Whether an error is one of every purchase for now: the account is locked, or the service takes no
/// submits or is not reached.
fn takes_none(error: &ClientError) -> bool {
    match error.kind() {
        ErrorKind::Locked | ErrorKind::Throttled => true,
        ErrorKind::Unreachable => error.delivery() == Delivery::NotSent,
        _ => false,
    }
}
