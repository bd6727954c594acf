//! A transaction, and the statements that are run in it.
//!
//! # Durable commits without locks
//!
//! A commit that waits for the disk holds its row locks meanwhile, and all workers of an account
//! book on one row: the account could spend once for each sync of the disk. So every transaction
//! commits without waiting, which releases its locks, and a durable one then flushes the log in a
//! transaction of its own ([`FLUSH`]), which locks nothing. Concurrent flushes share a sync.
//!
//! This is as safe as one commit that waits:
//!
//! - The log is one sequence. A flush puts the whole log before it on the disk, so that the flush
//!   returns after the commit before it is durable.
//! - The caller learns of the outcome after the flush. If the connection is lost between the two,
//!   the transaction is run again, finds that its changes are there, and flushes before it returns.
//! - Other workers see a change before it is durable, and may build on it. Their changes come later
//!   in the log, and nothing is sent to the service before a flush that follows them. A crash of the
//!   server keeps a beginning of the log: never a change without those that it builds on.
//! - If a crash undoes a change whose author has not heard of it yet, the author runs the
//!   transaction again.

use std::collections::HashMap;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use futures_util::future::maybe_done;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::fault::Fault;

/// Statements by their text.
pub(super) type Prepared = Mutex<HashMap<String, Statement>>;

/// A connection, and the statements that are prepared on it.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) prepared: Prepared,
}

/// When a commit returns. Its locks end at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Commit {
    /// Once the server has it on its disk.
    Durable,
    /// At once. The next durable commit of any connection takes it to the disk. A crash of the
    /// server may undo it, and whatever builds on it is then refused, because the fence differs.
    Soon,
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
                     SET LOCAL synchronous_commit TO off";

const COMMIT: &str = "COMMIT";

/// Waits until all of the log before is on the disk: a transaction of its own, which writes a record
/// of some bytes to the log and nothing to a table. Every role may run it.
const FLUSH: &str = "SELECT pg_logical_emit_message(true, 'uso', '')";

/// Values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A statement that writes, and its values.
pub(super) type Write<'a> = (&'a str, Vec<&'a (dyn ToSql + Sync)>);

/// How far a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The server knows nothing of it. Its first statement begins it.
    New,
    Open,
    Ended,
}

/// A transaction, or statements without one.
pub(super) struct Transaction {
    connection: Connection,
    commit: Option<Commit>,
    phase: Mutex<Phase>,
    /// Marks the rows that this transaction writes. Repeats have the same.
    pub(super) token: i64,
    /// Whether an earlier try may have been committed.
    pub(super) is_repeat: bool,
}

impl Transaction {
    pub(super) fn new(
        connection: Connection,
        commit: Option<Commit>,
        (token, is_repeat): (i64, bool),
    ) -> Self {
        let phase = match commit {
            Some(_) => Phase::New,
            // Each statement is a transaction of its own.
            None => Phase::Ended,
        };
        Self {
            connection,
            commit,
            phase: Mutex::new(phase),
            token,
            is_repeat,
        }
    }

    /// Returns the connection, for the next transaction.
    pub(super) async fn commit(self) -> Result<Connection, Fault> {
        if self.phase() == Phase::Open {
            self.finish(&[]).await?;
        }
        Ok(self.connection)
    }

    /// As [`Transaction::commit`], and nothing was changed.
    pub(super) async fn undo(self) -> Result<Connection, Fault> {
        if self.phase() == Phase::Open {
            self.connection.client.batch_execute("ROLLBACK").await?;
        }
        Ok(self.connection)
    }

    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a phase and gives the one before; what has ended stays so.
    fn enter(&self, next: Phase) -> Phase {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *phase;
        if before != Phase::Ended {
            *phase = next;
        }
        before
    }

    /// The statement that has to come before the next one.
    fn begin(&self) -> Option<&'static str> {
        (self.enter(Phase::Open) == Phase::New).then_some(BEGIN)
    }

    /// Runs a script without values.
    pub(super) async fn script(&self, sql: &str) -> Result<(), Fault> {
        let client = &self.connection.client;
        if let Some(begin) = self.begin() {
            client.batch_execute(begin).await?;
        }
        Ok(client.batch_execute(sql).await?)
    }

    pub(super) async fn rows(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, Fault> {
        let [rows] = self.all(&[(sql, values)]).await?;
        Ok(rows)
    }

    pub(super) async fn row(&self, sql: &str, values: Values<'_>) -> Result<Row, Fault> {
        let row = self.row_opt(sql, values).await?;
        row.ok_or(Fault::Missing)
    }

    pub(super) async fn row_opt(
        &self,
        sql: &str,
        values: Values<'_>,
    ) -> Result<Option<Row>, Fault> {
        Ok(self.rows(sql, values).await?.pop())
    }

    /// Says of how many rows.
    pub(super) async fn execute(&self, sql: &str, values: Values<'_>) -> Result<u64, Fault> {
        let statement = self.prepare(sql).await?;
        if let Some(begin) = self.begin() {
            self.connection.client.batch_execute(begin).await?;
        }
        Ok(self.connection.client.execute(&statement, values).await?)
    }

    /// Runs statements in this order, all in one exchange with the server.
    pub(super) async fn all<const N: usize>(
        &self,
        statements: &[(&str, Values<'_>); N],
    ) -> Result<[Vec<Row>; N], Fault> {
        let rows = self.exchange(statements, false).await?;
        rows.try_into().map_err(|_| Fault::Missing)
    }

    /// Runs the last statements of the transaction in this order, and commits it, all in one exchange
    /// with the server, which commits nothing after a statement that fails.
    pub(super) async fn finish(&self, statements: &[Write<'_>]) -> Result<(), Fault> {
        self.exchange(statements, true).await.map(|_| ())
    }

    /// As [`Transaction::finish`], and the transaction goes on.
    pub(super) async fn go_on(&self, statements: &[Write<'_>]) -> Result<(), Fault> {
        self.exchange(statements, false).await.map(|_| ())
    }

    async fn exchange<'v>(
        &self,
        statements: &[(&str, impl AsRef<[&'v (dyn ToSql + Sync)]>)],
        is_last: bool,
    ) -> Result<Vec<Vec<Row>>, Fault> {
        // First, since a statement that is new to the connection waits for the server.
        let mut prepared = Vec::with_capacity(statements.len());
        for (sql, _) in statements {
            prepared.push(self.prepare(sql).await?);
        }
        let client = &self.connection.client;
        let script = async |sql: Option<&'static str>| match sql {
            Some(sql) => client.batch_execute(sql).await,
            None => Ok(()),
        };
        let mut begun = pin!(maybe_done(script(self.begin())));
        let queries = prepared.iter().zip(statements);
        let queries = queries.map(|(query, (_, values))| client.query(query, values.as_ref()));
        let mut queries: Vec<_> = queries.map(|query| Box::pin(maybe_done(query))).collect();
        let ends = is_last && self.enter(Phase::Ended) == Phase::Open;
        let flushes = ends && self.commit == Some(Commit::Durable);
        let mut ended = pin!(maybe_done(script(ends.then_some(COMMIT))));
        let mut flushed = pin!(maybe_done(script(flushes.then_some(FLUSH))));
        // A request is sent when its future is polled first.
        poll_fn(|context| {
            let _ = begun.as_mut().poll(context);
            for query in &mut queries {
                let _ = query.as_mut().poll(context);
            }
            let _ = ended.as_mut().poll(context);
            let _ = flushed.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
        begun.as_mut().await;
        begun.as_mut().take_output().transpose()?;
        let mut rows = Vec::with_capacity(queries.len());
        for mut query in queries {
            query.as_mut().await;
            rows.extend(query.as_mut().take_output().transpose()?);
        }
        for mut last in [ended, flushed] {
            last.as_mut().await;
            last.as_mut().take_output().transpose()?;
        }
        Ok(rows)
    }

    async fn prepare(&self, sql: &str) -> Result<Statement, Fault> {
        let prepared = &self.connection.prepared;
        let known = prepared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(sql)
            .cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.connection.client.prepare(sql).await?;
        let mut prepared = prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}
