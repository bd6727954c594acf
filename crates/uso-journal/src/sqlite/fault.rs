//! Fault of a write: an error of the database, or a refusal of the journal.

use crate::error::Error;

/// Why a write did not happen; what it did is undone.
pub(super) enum Fault {
    Database(rusqlite::Error),
    Refused(Box<Error>),
}

/// The outcome of a write.
pub(super) type Done<T> = Result<T, Fault>;

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(Box::new(error))
    }
}
