//! A transaction, and the statements that are run in it.

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

/// When a commit returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Commit {
    /// Once the server has it on its disk.
    Durable,
    /// At once. The next durable commit of any connection takes it to the disk. A crash of the
    /// server may undo it, and whatever builds on it is then refused, because the fence differs.
    Soon,
}

/// Values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A statement and its values.
pub(super) type Bound<'a> = (&'a str, Values<'a>);

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
        self.end("COMMIT").await
    }

    /// As [`Transaction::commit`], and nothing was changed.
    pub(super) async fn undo(self) -> Result<Connection, Fault> {
        self.end("ROLLBACK").await
    }

    async fn end(self, word: &str) -> Result<Connection, Fault> {
        if self.enter(Phase::Ended) == Phase::Open {
            self.connection.client.batch_execute(word).await?;
        }
        Ok(self.connection)
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
        (self.enter(Phase::Open) == Phase::New).then_some(match self.commit {
            None | Some(Commit::Durable) => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            Some(Commit::Soon) => {
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
                 SET LOCAL synchronous_commit TO off"
            }
        })
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
        statements: &[Bound<'_>; N],
    ) -> Result<[Vec<Row>; N], Fault> {
        let rows = self.exchange(statements, None).await?;
        rows.try_into().map_err(|_| Fault::Missing)
    }

    /// Runs the last statements of the transaction in this order, and commits it, all in one exchange
    /// with the server, which commits nothing after a statement that fails.
    pub(super) async fn finish(&self, statements: &[Bound<'_>]) -> Result<(), Fault> {
        self.exchange(statements, Some("COMMIT")).await.map(|_| ())
    }

    /// As [`Transaction::finish`], and the transaction goes on.
    pub(super) async fn go_on(&self, statements: &[Bound<'_>]) -> Result<(), Fault> {
        self.exchange(statements, None).await.map(|_| ())
    }

    async fn exchange(
        &self,
        statements: &[Bound<'_>],
        end: Option<&'static str>,
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
        let queries = queries.map(|(query, (_, values))| client.query(query, values));
        let mut queries: Vec<_> = queries.map(|query| Box::pin(maybe_done(query))).collect();
        let end = end.filter(|_| self.enter(Phase::Ended) == Phase::Open);
        let mut ended = pin!(maybe_done(script(end)));
        // A request is sent when its future is polled first.
        poll_fn(|context| {
            let _ = begun.as_mut().poll(context);
            for query in &mut queries {
                let _ = query.as_mut().poll(context);
            }
            let _ = ended.as_mut().poll(context);
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
        ended.as_mut().await;
        ended.as_mut().take_output().transpose()?;
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
