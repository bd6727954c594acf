//! Events of a batch, and the counts of them.

use std::time::Duration;

use uso::ErrorKind;

use crate::error::{BudgetStop, Error};
use crate::progress::Progress;
use crate::purchase::Purchase;
use crate::state::State;

/// What happens in a batch.
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
    /// No purchase begins for now: the account is locked, or the service takes no requests.
    Paused {
        /// The kind of error that the service answered with.
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
            BatchEvent::Ended { outcome, .. } => *self.place(outcome) += 1,
            BatchEvent::Stopped(why) => self.stopped = Some(why.clone()),
            _ => {}
        }
    }

    fn place(&mut self, outcome: &Result<Purchase, Error>) -> &mut u64 {
        match outcome {
            Ok(purchase) => match purchase.state {
                State::Done => &mut self.done,
                State::Failed | State::Cancelled => &mut self.failed,
                State::Unknown => &mut self.unknown,
                _ => &mut self.unfinished,
            },
            Err(Error::Request(_) | Error::Conflict { .. }) => &mut self.refused,
            Err(Error::NotBought {
                source: Some(error),
                ..
            }) if error.kind() == ErrorKind::Input => &mut self.refused,
            Err(_) => &mut self.unfinished,
        }
    }
}
