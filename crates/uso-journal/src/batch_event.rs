//! Events of a batch, and the counts of them.

use std::time::Duration;

use uso::ErrorKind;

use crate::error::{BudgetStop, Error};
use crate::progress::Progress;
use crate::purchase::Purchase;
use crate::state::State;

/// Event of a batch.
#[derive(Debug)]
#[non_exhaustive]
pub enum BatchEvent {
    /// A purchase begins, or is gone on with.
    Started {
        /// Its key.
        key: String,
    },
    /// A step of a purchase.
    Progress {
        /// Its key.
        key: String,
        /// The step.
        progress: Progress,
    },
    /// A purchase has an outcome.
    Ended {
        /// Its key.
        key: String,
        /// The outcome; [`Error::NotBought`] and [`Error::NotCollected`] are left for the next run.
        outcome: Box<Result<Purchase, Error>>,
    },
    /// A purchase that began goes on no longer and has no outcome here: it begins again later, or
    /// another worker has it, or the batch stops.
    Postponed {
        /// Its key.
        key: String,
    },
    /// A job did not start before its start deadline, which is free: it is bought again later.
    Again {
        /// Its key.
        key: String,
        /// Why, without a full stop.
        message: String,
    },
    /// No purchase begins for now: the account is locked, or the service takes no requests or is not
    /// reached.
    Paused {
        /// The kind of error that the last purchase met.
        kind: ErrorKind,
        /// Why, without a full stop.
        message: String,
        /// When it is tried again.
        again_in: Duration,
    },
    /// Purchases begin again.
    Continued,
    /// No further purchase begins.
    Stopped(Stopped),
}

/// Why a batch stops before its last row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopped {
    /// Its [`Stop`](crate::Stop) was pulled.
    Asked,
    /// A cap leaves no room. This is no failure.
    Budget(BudgetStop),
    /// The key is not accepted.
    Key(String),
    /// The account stayed locked for longer than
    /// [`Batch::wait_while_locked`](crate::Batch::wait_while_locked) allows.
    Locked(String),
    /// Purchases did not reach the service, which accepted none for ten minutes.
    Unreachable(String),
    /// A picture that is bought could not be written to the disk.
    Disk(String),
}

/// State of the purchase of a row, by the row's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RowOutcome {
    /// Every picture is on disk.
    Done,
    /// The job failed or was cancelled.
    Failed,
    /// Bought; its pictures are not on disk yet, or its request id could not be recorded.
    Bought,
    /// Nothing was sent, and the row is as before: the batch was stopped, or a cap leaves no room.
    NotBegun,
    /// The service took no submit; nothing was bought.
    NotBought,
    /// The request itself is refused, or its key belongs to another request.
    Refused,
    /// It may have been bought: nothing proves that it was, or that it was not.
    Unknown,
}

impl RowOutcome {
    /// The outcome that [`BatchEvent::Ended`] has.
    pub fn of(outcome: &Result<Purchase, Error>) -> Self {
        match outcome {
            Ok(purchase) => match purchase.state {
                State::Done | State::HandedOver => Self::Done,
                State::Failed | State::Cancelled => Self::Failed,
                State::Submitted => Self::Bought,
                State::Pending | State::Reserved => Self::NotBegun,
                State::Sending | State::Unknown => Self::Unknown,
            },
            Err(
                Error::NotCollected { .. }
                | Error::NotRecorded { .. }
                | Error::BoughtEarlier { .. },
            ) => Self::Bought,
            Err(Error::Request(_) | Error::Conflict { .. }) => Self::Refused,
            Err(Error::NotBought { source, .. }) => match source {
                Some(error) if error.kind() == ErrorKind::Input => Self::Refused,
                _ => Self::NotBought,
            },
            Err(Error::Budget(_) | Error::WouldBuy(_)) => Self::NotBegun,
            Err(_) => Self::Unknown,
        }
    }
}

/// Counts of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Purchases whose pictures are on disk, also those of earlier runs.
    pub done: u64,
    /// Purchases that failed or were cancelled.
    pub failed: u64,
    /// Purchases that may have been bought.
    pub unknown: u64,
    /// Purchases that were bought and not collected, or not bought: the next run goes on with them.
    pub unfinished: u64,
    /// Rows that the service or the journal refused: wrong requests, keys of other requests.
    pub refused: u64,
    /// Why it stopped before its last row.
    pub stopped: Option<Stopped>,
}

impl Summary {
    pub(crate) fn count(&mut self, event: &BatchEvent) {
        match event {
            BatchEvent::Ended { outcome, .. } => {
                let count = match RowOutcome::of(outcome) {
                    RowOutcome::Done => &mut self.done,
                    RowOutcome::Failed => &mut self.failed,
                    RowOutcome::Unknown => &mut self.unknown,
                    RowOutcome::Refused => &mut self.refused,
                    RowOutcome::Bought | RowOutcome::NotBegun | RowOutcome::NotBought => {
                        &mut self.unfinished
                    }
                };
                *count += 1;
            }
            BatchEvent::Stopped(why) => self.stopped = Some(why.clone()),
            _ => {}
        }
    }
}
