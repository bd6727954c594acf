//! Lease of this worker: a row of the table `worker`, renewed by the database's clock.
//!
//! Another worker may take this worker's rows over once the lease has ended by the database's clock.
//! This worker sends only during the first half of the lease after the last renewal began, by a
//! clock that counts suspended time; so the two never overlap.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::warn;

use super::clock;
use super::connections::{Connections, transact};
use super::fault::Fault;
use super::transaction::Transaction;
use crate::error::Error;
use crate::host;

/// Pause after a renewal that failed although it was repeated.
const AFTER_FAULT: Duration = Duration::from_secs(1);

/// Lease of this worker.
#[derive(Debug)]
pub(super) struct Lease {
    connections: Arc<Connections>,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    /// Changes when a lease was lost: the rows of the old id belong to others then.
    worker: String,
    /// Until when this worker may send, by [`clock::now`]; `None` before the first renewal.
    sends_until: Option<Duration>,
    renewal: Option<AbortHandle>,
}

impl Lease {
    pub(super) fn new(connections: Arc<Connections>) -> Arc<Self> {
        Arc::new(Self {
            connections,
            held: Mutex::new(Held {
                worker: new_id(),
                sends_until: None,
                renewal: None,
            }),
        })
    }

    pub(super) fn worker(&self) -> String {
        self.held().worker.clone()
    }

    /// Whether no other worker can have taken this one's rows over.
    pub(super) fn may_send(&self) -> bool {
        let until = self.held().sends_until;
        until.is_some_and(|until| clock::now() < until)
    }

    /// The id of this worker, whose lease holds.
    pub(super) async fn hold(self: &Arc<Self>) -> Result<String, Error> {
        if !self.may_send() {
            self.renew().await?;
        }
        let mut held = self.held();
        if held.renewal.as_ref().is_none_or(AbortHandle::is_finished) {
            let renewal = renew_for_ever(Arc::downgrade(self));
            held.renewal = Some(tokio::spawn(renewal).abort_handle());
        }
        Ok(held.worker.clone())
    }

    /// Renews the lease, or takes a new one under a new id when the old one was lost; says for how
    /// long the lease is.
    async fn renew(&self) -> Result<Duration, Error> {
        let worker = self.worker();
        let is_new = self.held().sends_until.is_none();
        let began = clock::now();
        let write = self.connections.write_at_once();
        let renewed = transact!(write, |transaction| renew(transaction, &worker, is_new));
        let Some(length) = renewed? else {
            warn!(
                worker,
                "the lease was lost; its purchases belong to other workers now"
            );
            self.start_again(&worker);
            return Box::pin(self.renew()).await;
        };
        let mut held = self.held();
        if held.worker == worker {
            held.sends_until = Some(began + length / 2);
        }
        Ok(length)
    }

    /// Gives up the right to send, and the id of this worker; the next claim takes a lease under a
    /// new one. `None` where there is no lease.
    pub(super) fn give_up(&self) -> Option<String> {
        let mut held = self.held();
        if let Some(renewal) = held.renewal.take() {
            renewal.abort();
        }
        held.sends_until.take()?;
        Some(std::mem::replace(&mut held.worker, new_id()))
    }

    /// Takes another id, unless another task did so already.
    fn start_again(&self, lost: &str) {
        let mut held = self.held();
        if held.worker == lost {
            held.worker = new_id();
            held.sends_until = None;
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(renewal) = self.held().renewal.take() {
            renewal.abort();
        }
    }
}

async fn renew_for_ever(lease: Weak<Lease>) {
    let mut pause = Duration::ZERO;
    loop {
        sleep(pause).await;
        let Some(lease) = lease.upgrade() else { return };
        pause = match lease.renew().await {
            Ok(length) => length / 6,
            Err(error) => {
                warn!(%error, "the lease could not be renewed");
                AFTER_FAULT
            }
        };
    }
}

/// Extends the lease of a worker that has one; `None` when another worker ended it.
async fn renew(
    transaction: &Transaction,
    worker: &str,
    is_new: bool,
) -> Result<Option<Duration>, Fault> {
    let sql = match is_new {
        true => {
            "INSERT INTO worker (id, host, expires_at) \
             SELECT $1, $2, uso_now() + lease_ms FROM journal \
             ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at \
             RETURNING (SELECT lease_ms FROM journal)"
        }
        false => {
            "UPDATE worker SET host = $2, expires_at = uso_now() + lease_ms FROM journal \
             WHERE worker.id = $1 RETURNING lease_ms"
        }
    };
    let row = transaction.row_opt(sql, &[&worker, &host::name()]).await?;
    let length = row.map(|row| row.try_get::<_, i64>(0)).transpose()?;
    Ok(length.map(|length| Duration::from_millis(u64::try_from(length).unwrap_or_default())))
}

fn new_id() -> String {
    format!("{:016x}", fastrand::u64(..))
}
