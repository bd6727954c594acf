//! Connections to the server: a small pool, and transactions that are repeated when a connection
//! is lost.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};
use tokio_postgres::NoTls;
use tracing::{debug, warn};

use super::address::Address;
use super::fault::Fault;
use super::tls::Tls;
use super::transaction::{Commit, Connection, Prepared, Transaction};
use crate::error::Error;

/// Connections that one journal has open. Each has a process of its own on the server.
const MOST: usize = 6;

/// How long a transaction is tried again while the server is away, restarts or has no space.
const PATIENCE: Duration = Duration::from_secs(60);

/// As [`PATIENCE`], for the first connection: the address may be wrong.
const FIRST_PATIENCE: Duration = Duration::from_secs(5);

/// Pauses between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Session settings: names are looked up in the journal's own schema, every commit is on the
/// server's disk, and a transaction whose client is gone does not keep its locks.
const SESSION: &str = "
SET search_path TO uso;
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') IN ('off', 'local');
SET idle_in_transaction_session_timeout TO '30s';
";

/// A pool of connections.
pub(super) struct Connections {
    address: Address,
    tls: Option<Tls>,
    idle: Mutex<Vec<Connection>>,
    room: Semaphore,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connections").field(&self.address).finish()
    }
}

impl Connections {
    pub(super) fn new(address: Address) -> Result<Self, Error> {
        let roots = address.root_certificates.as_deref();
        let tls = address.is_encrypted.then(|| Tls::new(roots)).transpose()?;
        Ok(Self {
            address,
            tls,
            idle: Mutex::default(),
            room: Semaphore::new(MOST),
        })
    }

    /// Server and database, without user and password.
    pub(super) fn location(&self) -> &str {
        &self.address.location
    }

    /// Tries of a transaction that changes rows.
    pub(super) fn write(&self, commit: Commit) -> Tries<'_> {
        self.tries(Some(commit))
    }

    /// As [`Connections::write`], without waiting for a place in the pool: a lease has to be renewed
    /// however busy its worker is.
    pub(super) fn write_at_once(&self, commit: Commit) -> Tries<'_> {
        Tries {
            waits: false,
            ..self.tries(Some(commit))
        }
    }

    /// As [`Connections::write_at_once`], for what the server may also learn later by itself.
    pub(super) fn write_briefly(&self) -> Tries<'_> {
        Tries {
            deadline: Instant::now(),
            ..self.write_at_once(Commit::Soon)
        }
    }

    /// Tries of statements that change nothing, each by itself.
    pub(super) fn read(&self) -> Tries<'_> {
        self.tries(None)
    }

    /// As [`Connections::read`], for the first look at a server.
    pub(super) fn first_read(&self) -> Tries<'_> {
        Tries {
            deadline: Instant::now() + FIRST_PATIENCE,
            ..self.tries(None)
        }
    }

    fn tries(&self, commit: Option<Commit>) -> Tries<'_> {
        Tries {
            connections: self,
            commit,
            token: fastrand::i64(1..),
            deadline: Instant::now() + PATIENCE,
            pause: FIRST_PAUSE,
            is_repeat: false,
            waits: true,
            room: None,
        }
    }

    async fn connection(&self) -> Result<Connection, Fault> {
        loop {
            let idle = self.idle().pop();
            match idle {
                Some(connection) if connection.client.is_closed() => {}
                Some(connection) => return Ok(connection),
                None => return self.connect().await,
            }
        }
    }

    async fn connect(&self) -> Result<Connection, Fault> {
        let config = &self.address.config;
        let client = match &self.tls {
            Some(tls) => {
                let (client, connection) = config.connect(tls.clone()).await?;
                // Ends with the client.
                tokio::spawn(connection);
                client
            }
            None => {
                let (client, connection) = config.connect(NoTls).await?;
                tokio::spawn(connection);
                client
            }
        };
        client.batch_execute(SESSION).await?;
        Ok(Connection {
            client,
            prepared: Prepared::default(),
        })
    }

    fn put_back(&self, connection: Connection) {
        self.idle().push(connection);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tries of one transaction. See [`transact`].
///
/// When the connection is lost during the commit, nothing tells whether it happened. The work is
/// then run again with the same token, and finds its own mark in the rows if it did.
pub(super) struct Tries<'c> {
    connections: &'c Connections,
    /// `None` for statements that change nothing.
    commit: Option<Commit>,
    token: i64,
    deadline: Instant,
    pause: Duration,
    is_repeat: bool,
    /// Whether it waits for a place in the pool.
    waits: bool,
    room: Option<SemaphorePermit<'c>>,
}

impl<'c> Tries<'c> {
    /// A transaction to try, as soon as the server can be reached.
    pub(super) async fn begin(&mut self) -> Result<Transaction, Error> {
        if self.waits && self.room.is_none() {
            self.room = self.connections.room.acquire().await.ok();
        }
        loop {
            match self.connections.connection().await {
                Ok(connection) => {
                    let marks = (self.token, self.is_repeat);
                    return Ok(Transaction::new(connection, self.commit, marks));
                }
                Err(fault) => self.passes(fault).await?,
            }
        }
    }

    /// Ends a try; `None` when another one is due.
    pub(super) async fn end<T>(
        &mut self,
        transaction: Transaction,
        outcome: Result<T, Fault>,
    ) -> Option<Result<T, Error>> {
        let ended = match &outcome {
            Ok(_) => transaction.commit().await,
            Err(Fault::Refused(_)) => transaction.undo().await,
            // The connection is given up, which undoes the transaction.
            Err(_) => return self.passes(outcome.err()?).await.err().map(Err),
        };
        match ended {
            Ok(connection) => {
                self.connections.put_back(connection);
                let location = self.connections.location();
                Some(outcome.map_err(|fault| fault.into_error(location)))
            }
            Err(fault) => self.passes(fault).await.err().map(Err),
        }
    }

    /// Waits before another try; fails when none is worth it.
    async fn passes(&mut self, fault: Fault) -> Result<(), Error> {
        let location = self.connections.location();
        if !fault.may_pass() || Instant::now() >= self.deadline {
            return Err(fault.into_error(location));
        }
        match self.is_repeat {
            false => warn!(journal = location, ?fault, "the database is asked again"),
            true => debug!(journal = location, ?fault, "the database is asked again"),
        }
        self.is_repeat = true;
        sleep(self.pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// Runs the work on a transaction until a try of it has an outcome.
macro_rules! transact {
    ($tries:expr, |$transaction:ident| $work:expr) => {{
        let mut tries = $tries;
        loop {
            let begun = tries.begin().await?;
            let $transaction = &begun;
            let outcome: Result<_, $crate::postgres::fault::Fault> = $work.await;
            if let Some(outcome) = tries.end(begun, outcome).await {
                break outcome;
            }
        }
    }};
}
pub(super) use transact;
