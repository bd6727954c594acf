//! Lease of this worker: a row of the table `worker`, renewed by the database's clock.
//!
//! Another worker may take this worker's rows over once the lease has ended by the database's clock.
//! Under a lease this worker sends only during the first half of its length after the last renewal
//! began, by a clock that counts suspended time; so the two never overlap. What was claimed under a
//! lease is never sent under a later one: the row may have changed hands between the two.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::warn;

use super::clock;
use super::connections::{Connections, transact};
use super::fault::Fault;
use super::transaction::{Commit, Transaction};
use crate::error::Error;
use crate::host;

/// Pause after a renewal that failed although it was repeated.
const AFTER_FAULT: Duration = Duration::from_secs(1);

/// Leases of this worker, one after the other.
#[derive(Debug)]
pub(super) struct Lease {
    connections: Arc<Connections>,
    held: Mutex<Held>,
    /// Held during a renewal, so that concurrent claims begin one lease together.
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Held {
    /// `None` before the first lease, and once it was lost or given up.
    current: Option<Current>,
    renewal: Option<AbortHandle>,
}

/// A lease that was neither lost nor given up, as far as this worker knows.
#[derive(Debug)]
struct Current {
    /// This worker, as its rows name it. Each lease has an id of its own.
    worker: String,
    /// Until when this worker may send, by [`clock::now`].
    sends_until: Duration,
}

impl Lease {
    pub(super) fn new(connections: Arc<Connections>) -> Arc<Self> {
        Arc::new(Self {
            connections,
            held: Mutex::default(),
            renewing: tokio::sync::Mutex::default(),
        })
    }

    /// The id of this worker; `None` without a lease.
    pub(super) fn worker(&self) -> Option<String> {
        let held = self.held();
        Some(held.current.as_ref()?.worker.clone())
    }

    /// Whether no other worker can have taken over what was claimed under this id.
    pub(super) fn may_send(&self, worker: &str) -> bool {
        let held = self.held();
        let current = held.current.as_ref();
        current
            .is_some_and(|current| current.worker == worker && clock::now() < current.sends_until)
    }

    /// The id of this worker, whose lease holds.
    pub(super) async fn hold(self: &Arc<Self>) -> Result<String, Error> {
        let worker = match self.sender() {
            Some(worker) => worker,
            None => {
                let _turn = self.renewing.lock().await;
                match self.sender() {
                    Some(worker) => worker,
                    None => self.renew().await?.0,
                }
            }
        };
        let mut held = self.held();
        if held.renewal.as_ref().is_none_or(AbortHandle::is_finished) {
            let renewal = renew_for_ever(Arc::downgrade(self));
            held.renewal = Some(tokio::spawn(renewal).abort_handle());
        }
        Ok(worker)
    }

    /// The id of this worker while it may send.
    fn sender(&self) -> Option<String> {
        self.worker().filter(|worker| self.may_send(worker))
    }

    /// Renews the lease, or begins one where there is none or the old one was lost; gives its id and
    /// its length.
    async fn renew(&self) -> Result<(String, Duration), Error> {
        if let Some(worker) = self.worker() {
            let began = clock::now();
            let write = self.connections.write_at_once(Commit::Soon);
            let extended = transact!(write, |transaction| extend(transaction, &worker));
            let extended = extended?;
            let mut held = self.held();
            let current = held.current.as_mut();
            let current = current.filter(|current| current.worker == worker);
            if let Some(length) = extended {
                if let Some(current) = current {
                    current.sends_until = began + length / 2;
                }
                return Ok((worker, length));
            }
            if current.is_some() {
                held.current = None;
            }
            warn!(
                worker,
                "the lease was lost; its purchases belong to other workers now"
            );
        }
        let began = clock::now();
        // A crash of the server must not forget a lease under which rows are claimed.
        let write = self.connections.write_at_once(Commit::Durable);
        let (worker, length) = transact!(write, |transaction| begin(transaction))?;
        self.held().current = Some(Current {
            worker: worker.clone(),
            sends_until: began + length / 2,
        });
        Ok((worker, length))
    }

    /// Gives up the right to send, and the id of this worker; the next claim takes a lease under a
    /// new one. `None` where there is no lease.
    pub(super) fn give_up(&self) -> Option<String> {
        let mut held = self.held();
        if let Some(renewal) = held.renewal.take() {
            renewal.abort();
        }
        held.current.take().map(|current| current.worker)
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
        let _turn = lease.renewing.lock().await;
        pause = match lease.renew().await {
            Ok((_, length)) => length / 6,
            Err(error) => {
                warn!(%error, "the lease could not be renewed");
                AFTER_FAULT
            }
        };
    }
}

/// Extends the lease of a worker; `None` when another worker ended it.
async fn extend(transaction: &Transaction, worker: &str) -> Result<Option<Duration>, Fault> {
    let sql = "UPDATE worker SET host = $2, expires_at = uso_now() + lease_ms FROM journal \
               WHERE worker.id = $1 RETURNING lease_ms";
    let row = transaction.row_opt(sql, &[&worker, &host::name()]).await?;
    row.map(|row| length(&row)).transpose()
}

/// Begins a lease. Each try has an id of its own: a try that reaches the server late must not renew
/// a lease that another worker has ended.
async fn begin(transaction: &Transaction) -> Result<(String, Duration), Fault> {
    let worker = format!("{:016x}", fastrand::u64(..));
    let sql = "INSERT INTO worker (id, host, expires_at) \
               SELECT $1, $2, uso_now() + lease_ms FROM journal \
               RETURNING (SELECT lease_ms FROM journal)";
    let row = transaction.row(sql, &[&worker, &host::name()]).await?;
    let length = length(&row)?;
    Ok((worker, length))
}

fn length(row: &tokio_postgres::Row) -> Result<Duration, Fault> {
    let milliseconds: i64 = row.try_get(0)?;
    Ok(Duration::from_millis(
        u64::try_from(milliseconds).unwrap_or_default(),
    ))
}
