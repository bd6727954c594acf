//! A transaction, and the statements that are run in it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

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

/// A transaction, or statements without one.
pub(super) struct Transaction {
    connection: Connection,
    commit: Option<Commit>,
    /// Marks the rows that this transaction writes. Repeats have the same.
    pub(super) token: i64,
    /// Whether an earlier try may have been committed.
    pub(super) is_repeat: bool,
}

impl Transaction {
    pub(super) async fn begin(
        connection: Connection,
        commit: Option<Commit>,
        (token, is_repeat): (i64, bool),
    ) -> Result<Self, Fault> {
        let begin = match commit {
            None | Some(Commit::Durable) => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            Some(Commit::Soon) => {
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
                 SET LOCAL synchronous_commit TO off"
            }
        };
        let transaction = Self {
            connection,
            commit,
            token,
            is_repeat,
        };
        if commit.is_some() {
            transaction.script(begin).await?;
        }
        Ok(transaction)
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
        if self.commit.is_some() {
            self.script(word).await?;
        }
        Ok(self.connection)
    }

    /// Runs a script without values.
    pub(super) async fn script(&self, sql: &str) -> Result<(), Fault> {
        Ok(self.connection.client.batch_execute(sql).await?)
    }

    pub(super) async fn rows(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, Fault> {
        let statement = self.prepare(sql).await?;
        Ok(self.connection.client.query(&statement, values).await?)
    }

    pub(super) async fn row(&self, sql: &str, values: Values<'_>) -> Result<Row, Fault> {
        let statement = self.prepare(sql).await?;
        Ok(self.connection.client.query_one(&statement, values).await?)
    }

    pub(super) async fn row_opt(
        &self,
        sql: &str,
        values: Values<'_>,
    ) -> Result<Option<Row>, Fault> {
        let statement = self.prepare(sql).await?;
        Ok(self.connection.client.query_opt(&statement, values).await?)
    }

    /// Says of how many rows.
    pub(super) async fn execute(&self, sql: &str, values: Values<'_>) -> Result<u64, Fault> {
        let statement = self.prepare(sql).await?;
        Ok(self.connection.client.execute(&statement, values).await?)
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
