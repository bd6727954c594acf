//! Cancelling a purchase.

use serde::Serialize;
use uso::status::{Cancellation, State as JobState};
use uso::{Client, ErrorKind, Job, MicroDollars};

use crate::error::Error;
use crate::journal::Journal;
use crate::purchase::{Cause, LocalId, Purchase, Reason};
use crate::row::Step;
use crate::state::State;

/// A purchase whose cancellation was asked for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Cancelled {
    /// The purchase afterwards.
    pub purchase: Purchase,
    /// The response to the cancellation.
    pub outcome: CancelOutcome,
}

/// Response to a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CancelOutcome {
    /// Nothing had been sent; the purchase is closed and nothing was bought.
    Withdrawn,
    /// The job was still queued and is removed; it is not billed.
    Removed,
    /// The runner was told. The job may still complete, and is then billed.
    Requested,
    /// The job had ended. Its pictures can be collected.
    AlreadyCompleted,
    /// The service does not know the job, or no longer.
    NotFound,
}

impl From<Cancellation> for CancelOutcome {
    fn from(cancellation: Cancellation) -> Self {
        match cancellation {
            Cancellation::Removed => Self::Removed,
            Cancellation::AlreadyCompleted => Self::AlreadyCompleted,
            _ => Self::Requested,
        }
    }
}

impl Journal {
    /// Cancels a purchase. One that was not sent is withdrawn; for one that is bought the service is
    /// asked, and the purchase is closed once the service says twice that it was cancelled. It may
    /// complete all the same, and is then billed: [`Journal::resume`] finds out.
    ///
    /// # Errors
    ///
    /// [`Error::NotAllowed`] when its outcome is unknown or it is closed; [`Error::Lookup`] when the
    /// service cannot be asked, and then no later look at the job cancels it.
    pub async fn cancel(&self, client: &Client, id: LocalId) -> Result<Cancelled, Error> {
        let realm = self.shared.realm(client).await?;
        let row = self.own(realm, id).await?;
        if matches!(row.purchase.state, State::Pending | State::Reserved) {
            let purchase = self.step(client, id, Step::Withdraw).await?;
            let outcome = CancelOutcome::Withdrawn;
            return Ok(Cancelled { purchase, outcome });
        }
        let was_asked = row.purchase.cancel_asked;
        let row = self.shared.store.apply(id, None, Step::AskCancel).await?;
        let mut purchase = row.purchase;
        let Some(ticket) = purchase.ticket.clone() else {
            return Err(Error::NotFound(id.to_string()));
        };
        let job = client.job(ticket);
        let outcome = match job.cancel().await {
            Ok(cancellation) => cancellation.into(),
            Err(error) if error.kind() == ErrorKind::Gone => CancelOutcome::NotFound,
            Err(error) => {
                // A later look at the job is made for its pictures.
                if !was_asked {
                    let _ = self.drop_cancel(id).await;
                }
                return Err(Error::Lookup {
                    id,
                    source: Box::new(error),
                });
            }
        };
        // The result of a job that was not cancelled expires too. After an earlier cancel, a job that
        // the service does not know may have ended by that one.
        let is_in_vain = match outcome {
            CancelOutcome::AlreadyCompleted => true,
            CancelOutcome::NotFound => !was_asked,
            _ => false,
        };
        if is_in_vain {
            purchase = self.drop_cancel(id).await?;
        }
        // The removal is the first statement of the service, and the job's end the second.
        if outcome == CancelOutcome::Removed && has_ended_cancelled(&job).await {
            let step = Step::Cancel {
                reason: Reason::new(Cause::Cancelled, "removed from the queue"),
                billed: Some(MicroDollars::new(0)),
            };
            match self.step(client, id, step).await {
                Ok(closed) => purchase = closed,
                // The caller that watches the job closes the purchase. Where the journal cannot be
                // written, the next look at the job does: the service has removed it.
                Err(Error::Busy(_) | Error::NotAllowed { .. } | Error::Database { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Cancelled { purchase, outcome })
    }

    async fn drop_cancel(&self, id: LocalId) -> Result<Purchase, Error> {
        let dropped = self.shared.store.apply(id, None, Step::DropCancel);
        Ok(dropped.await?.purchase)
    }
}

/// Whether the service says that a job ended by its cancellation: in the status, or where the status
/// says something else, in the result, which takes a second look half a second later.
async fn has_ended_cancelled(job: &Job) -> bool {
    if let Ok(status) = job.status().await
        && let JobState::Completed(completion) = status.state
        && completion.error_type.as_deref() == Some("client_cancelled")
    {
        return true;
    }
    let Err(error) = job.output().await else {
        return false;
    };
    matches!(error.kind(), ErrorKind::Gone | ErrorKind::Cancelled) || error.status() == Some(499)
}
