//! The work on one purchase: buying it, looking it up, collecting it.
//!
//! It runs in a task of its own, so that a caller who no longer waits loses nothing. Each step is
//! recorded before the next one begins.

mod buying;
mod collecting;
mod ending;
mod looking;

use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;
use uso::error::Operation;
use uso::purchase::Prepared;
use uso::{Client, Error as ClientError, ErrorKind};

use crate::active::Turn;
use crate::asked::Asked;
use crate::error::Error;
use crate::progress::Listener;
use crate::purchase::{Cause, Purchase, Reason};
use crate::row::{Row, Step};
use crate::shared::Shared;
use crate::state::State;
use crate::stop::Stop;
use crate::store::Reply;

/// How often a step is recorded again when the database refuses it, and how long apart. What was
/// bought has to be recorded: the request id is tried for longer.
const RECORD_AGAIN: u32 = 5;
const RECORD_BOUGHT_AGAIN: u32 = 60;
const RECORD_PAUSE: Duration = Duration::from_millis(500);

/// What the work on one purchase needs.
pub(crate) struct Work {
    pub(crate) shared: Shared,
    pub(crate) client: Client,
    pub(crate) row: Row,
    /// What to buy, where this caller has it.
    pub(crate) asked: Option<Asked>,
    pub(crate) stop: Option<Stop>,
    /// Whether a later run goes on with the row if it is withdrawn.
    pub(crate) in_batch: bool,
    pub(crate) listener: Listener,
    pub(crate) until: Until,
    /// Whether a notification tells the end of the job.
    pub(crate) by_notification: bool,
    pub(crate) turn: Turn,
    /// What was sent by this work.
    prepared: Option<Prepared>,
    /// Whether the attempt was proved free and failed for want of an upload that is forgotten now.
    lost_upload: bool,
}

/// How far the work goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Until {
    /// Until the pictures are on disk.
    #[default]
    Saved,
    /// Until the job is bought.
    Bought,
    /// Until the pictures of a job that has ended are on disk; a job that goes on is left alone.
    SavedIfEnded,
}

/// The outcome of the work.
pub(crate) struct Worked {
    pub(crate) outcome: Result<Purchase, Error>,
    /// Whether a second attempt is due: the first one was proved free, and the service had lost a
    /// picture that was uploaded earlier.
    pub(crate) again: bool,
    /// Whether the journal could not be written, so that the row is not as its outcome says.
    pub(crate) is_unwritten: bool,
}

impl Work {
    pub(crate) fn new(shared: Shared, client: Client, row: Row, turn: Turn) -> Self {
        Self {
            shared,
            client,
            row,
            asked: None,
            stop: None,
            in_batch: false,
            listener: Listener::none(),
            until: Until::Saved,
            by_notification: false,
            turn,
            prepared: None,
            lost_upload: false,
        }
    }

    /// Does the work to its end in a task of its own.
    pub(crate) async fn run(self) -> Worked {
        let id = self.row.purchase.id;
        let task = tokio::spawn(async move {
            let mut work = self;
            let ended = work.steps().await;
            let is_unwritten = matches!(ended, Err(Error::Database { .. }));
            let ended = ended.map_err(|error| with_purchase(error, &work.row.purchase));
            if let Err(error) = &ended {
                work.let_go(error).await;
            }
            drop(work.turn);
            Worked {
                outcome: ended.map(|()| work.row.purchase),
                again: work.lost_upload,
                is_unwritten,
            }
        });
        task.await.unwrap_or(Worked {
            outcome: Err(Error::Interrupted(id)),
            again: false,
            is_unwritten: false,
        })
    }

    async fn steps(&mut self) -> Result<(), Error> {
        match self.row.purchase.state {
            State::Reserved => self.buy().await?,
            State::Unknown => self.look().await?,
            _ => {}
        }
        match self.row.purchase.state {
            State::Submitted if self.until == Until::Bought => self.pause(None).await,
            State::Submitted => self.collect().await,
            _ => Ok(()),
        }
    }

    /// Leaves the row to the next caller.
    async fn let_go(&mut self, error: &Error) {
        let is_lost = matches!(error, Error::TakenOver(_) | Error::BoughtEarlier { .. });
        if is_lost || self.row.worker.is_none() {
            return;
        }
        let reason = match error {
            Error::NotCollected {
                source: Some(error),
                ..
            } => match error.kind() {
                ErrorKind::NotReady => None,
                _ => Some(Reason::of(Cause::NotCollected, error)),
            },
            Error::NotCollected { message, .. } => {
                Some(Reason::new(Cause::NotCollected, message.clone()))
            }
            _ => None,
        };
        let pictures = self.row.purchase.pictures.clone();
        if let Err(error) = self.record(Step::Pause { reason, pictures }).await {
            warn!(id = %self.row.purchase.id, %error, "the row could not be released");
            self.shared.release_later(&self.row);
        }
    }

    /// Records a step of this claim.
    async fn record(&mut self, step: Step) -> Result<(), Error> {
        self.row = self.apply(step).await?;
        Ok(())
    }

    async fn apply(&self, step: Step) -> Result<Row, Error> {
        let (id, fence) = (self.row.purchase.id, self.row.fence);
        let again = match step {
            Step::Accept { .. } | Step::AcceptEarlier { .. } => RECORD_BOUGHT_AGAIN,
            _ => RECORD_AGAIN,
        };
        let store = &self.shared.store;
        repeated(again, || store.apply(id, Some(fence), step.clone())).await
    }

    async fn pause(&mut self, reason: Option<Reason>) -> Result<(), Error> {
        let pictures = Vec::new();
        self.record(Step::Pause { reason, pictures }).await
    }
}

/// The outcome of a write, which is repeated so often while the database refuses it.
async fn repeated<'a, T>(again: u32, write: impl Fn() -> Reply<'a, T>) -> Result<T, Error> {
    for _ in 0..again {
        match write().await {
            Err(Error::Database { .. }) => sleep(RECORD_PAUSE).await,
            outcome => return outcome,
        }
    }
    write().await
}

/// The error of a purchase that is bought: where the journal itself failed, with the purchase.
fn with_purchase(error: Error, purchase: &Purchase) -> Error {
    let source = match &error {
        Error::Database { .. } => None,
        Error::Io { source, .. } => {
            let message = format!("{error}: {source}");
            Some(ClientError::new(
                Operation::Download,
                ErrorKind::Io,
                message,
            ))
        }
        _ => return error,
    };
    let Some(ticket) = &purchase.ticket else {
        return error;
    };
    Error::NotCollected {
        purchase: Box::new(purchase.clone()),
        message: error.to_string(),
        source: source.map(|source| Box::new(source.with_ticket(ticket))),
    }
}
