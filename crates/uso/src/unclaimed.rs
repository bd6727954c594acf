//! Purchases whose call was dropped before it returned.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tracing::warn;
use uso_transport::{Intent, Order, Result, Submission, Ticket, Transport};

/// A purchase whose call was dropped before it returned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unclaimed {
    /// The job was bought; [`Client::job`](crate::Client::job) collects it.
    Bought(Ticket),
    /// The job may have been bought; [`Client::recover`](crate::Client::recover) finds out.
    Unknown(Intent),
}

/// The purchases of a client whose calls were dropped.
#[derive(Default)]
pub(crate) struct Unclaims {
    arrived: Mutex<Vec<Held>>,
    settling: tokio::sync::Mutex<Vec<Held>>,
}

enum Held {
    Placing(Submission),
    Settled(Option<Unclaimed>),
}

impl Unclaims {
    /// Buys an order; the purchase continues when this future is dropped.
    pub(crate) async fn place(&self, transport: &Transport, order: &Order) -> Result<Ticket> {
        let mut claim = Claim {
            of: self,
            held: Some(Held::Placing(transport.submit(order))),
        };
        let placed = poll_fn(|context| match &mut claim.held {
            Some(Held::Placing(submission)) => Pin::new(submission).poll(context),
            // Not reached: the submission stays in the claim until the claim ends below.
            _ => Poll::Pending,
        })
        .await;
        claim.release();
        placed
    }

    /// Keeps a ticket until the claim is released, and for good when the claim is dropped.
    pub(crate) fn hold(&self, ticket: &Ticket) -> Claim<'_> {
        let bought = Unclaimed::Bought(ticket.clone());
        Claim {
            of: self,
            held: Some(Held::Settled(Some(bought))),
        }
    }

    fn arrived(&self) -> MutexGuard<'_, Vec<Held>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn take(&self) -> Vec<Unclaimed> {
        let mut settling = self.settling.lock().await;
        settling.append(&mut self.arrived());
        for held in settling.iter_mut() {
            // Each outcome is kept in its place, so that dropping this future loses none.
            if let Held::Placing(submission) = held {
                let unclaimed = match submission.await {
                    Ok(ticket) => Some(Unclaimed::Bought(ticket)),
                    Err(error) => error.intent().cloned().map(Unclaimed::Unknown),
                };
                *held = Held::Settled(unclaimed);
            }
        }
        let settled = settling.drain(..).filter_map(|held| match held {
            Held::Settled(unclaimed) => unclaimed,
            Held::Placing(_) => None,
        });
        settled.collect()
    }
}

/// A purchase that a caller waits for.
pub(crate) struct Claim<'a> {
    of: &'a Unclaims,
    held: Option<Held>,
}

impl Claim<'_> {
    /// The caller has what the purchase came to.
    pub(crate) fn release(mut self) {
        self.held = None;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let Some(mut held) = self.held.take() else {
            return;
        };
        match &mut held {
            Held::Placing(submission) => {
                if !submission.detach() {
                    return;
                }
                warn!("the call of a purchase was dropped before its response");
            }
            Held::Settled(Some(Unclaimed::Bought(ticket))) => warn!(
                request_id = ticket.request_id(),
                "the call of a bought job was dropped"
            ),
            Held::Settled(_) => {}
        }
        self.of.arrived().push(held);
    }
}
