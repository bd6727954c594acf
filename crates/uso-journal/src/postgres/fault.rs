//! Fault of a statement: an error of the database, or a refusal of the journal.

use std::error::Error as StdError;

use tokio_postgres::error::SqlState;

use crate::columns::Columns;
use crate::error::Error;

/// Why a transaction did not happen.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database, or the connection.
    Database(tokio_postgres::Error),
    /// A column holds what this library does not understand.
    Unreadable {
        column: usize,
        why: Box<dyn StdError + Send + Sync>,
    },
    /// A statement that gives a row gave none.
    Missing,
    /// The journal refuses; the transaction is undone.
    Refused(Box<Error>),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(Box::new(error))
    }
}

impl From<serde_json::Error> for Fault {
    fn from(why: serde_json::Error) -> Self {
        let (column, why) = (0, why.into());
        Self::Unreadable { column, why }
    }
}

impl Fault {
    /// Whether the same transaction may succeed soon: the connection was lost, the server restarts
    /// or is short of something, or another transaction was in the way.
    pub(super) fn may_pass(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        let Some(code) = error.code() else {
            // A certificate that is not trusted now is not trusted in a second.
            return !is_about_tls(error);
        };
        // Classes: connection, resources, operator intervention, system error.
        let class = code.code().get(..2).unwrap_or_default();
        matches!(class, "08" | "53" | "57" | "58")
            || [
                SqlState::T_R_SERIALIZATION_FAILURE,
                SqlState::T_R_DEADLOCK_DETECTED,
                SqlState::LOCK_NOT_AVAILABLE,
                // A server that was replaced by its standby.
                SqlState::READ_ONLY_SQL_TRANSACTION,
            ]
            .contains(code)
    }

    /// As an error of the journal at this place.
    pub(super) fn into_error(self, location: &str) -> Error {
        match self {
            Self::Refused(error) => *error,
            Self::Database(error) => Error::Database {
                journal: location.to_owned(),
                source: error.into(),
            },
            Self::Missing => Error::Database {
                journal: location.to_owned(),
                source: "a row is missing in its tables".into(),
            },
            Self::Unreadable { column, why } => Error::Database {
                journal: location.to_owned(),
                source: format!("column {column} of a row cannot be read: {why}").into(),
            },
        }
    }
}

fn is_about_tls(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(found) = cause {
        let io = found.downcast_ref::<std::io::Error>();
        let inner = io.and_then(std::io::Error::get_ref);
        if inner.is_some_and(<dyn StdError + Send + Sync>::is::<rustls::Error>) {
            return true;
        }
        cause = found.source();
    }
    false
}

impl Columns for tokio_postgres::Row {
    type Error = Fault;

    fn text(&self, column: usize) -> Result<Option<String>, Fault> {
        Ok(self.try_get(column)?)
    }

    fn number(&self, column: usize) -> Result<Option<i64>, Fault> {
        Ok(self.try_get(column)?)
    }

    fn flag(&self, column: usize) -> Result<bool, Fault> {
        Ok(self.try_get(column)?)
    }

    fn unreadable(column: usize, why: Box<dyn StdError + Send + Sync>) -> Fault {
        Fault::Unreadable { column, why }
    }
}
