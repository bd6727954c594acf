//! Connections to the file of a journal, and the errors that they end with.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::writer::Failure;
use crate::error::Error;

/// How long a write waits for another process. Each holds the lock for one commit.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two tries of what SQLite does not wait for by itself.
const PAUSE: Duration = Duration::from_millis(5);

/// Readers that are kept for the next read.
const IDLE_READERS: usize = 4;

/// The file of a journal, with connections that only read.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) path: PathBuf,
    readers: Mutex<Vec<Connection>>,
}

impl Connections {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            readers: Mutex::default(),
        }
    }

    pub(super) fn connect(&self) -> Result<Connection, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&self.path, flags);
        let connection = opened.map_err(|error| self.fault(&error))?;
        let patient = connection.busy_timeout(PATIENCE);
        patient.map_err(|error| self.fault(&error))?;
        // Without it, SQLite prepares a statement again for each value that is bound to it.
        let stable = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
        stable.map_err(|error| self.fault(&error))?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }

    pub(super) fn reader(&self) -> Result<Connection, Error> {
        let kept = self
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(connection) = kept {
            return Ok(connection);
        }
        let connection = self.connect()?;
        let only = connection.pragma_update(None, "query_only", true);
        only.map_err(|error| self.fault(&error))?;
        Ok(connection)
    }

    pub(super) fn put_back(&self, connection: Connection) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
    }

    pub(super) fn fault(&self, error: &rusqlite::Error) -> Error {
        self.failed(Failure::of(error))
    }

    pub(super) fn failed(&self, failure: Failure) -> Error {
        match failure.is_damage {
            true => self.damaged(failure.message),
            false => Error::Database {
                journal: self.path.display().to_string(),
                source: failure.message.into(),
            },
        }
    }

    pub(super) fn damaged(&self, why: String) -> Error {
        Error::Damaged {
            path: self.path.clone(),
            why,
        }
    }
}

/// Settings under which a commit is on the disk when it returns.
pub(super) fn durable(connection: &Connection) -> rusqlite::Result<()> {
    let mode = write_ahead(connection)?;
    if mode != "wal" {
        let why = format!("the file system does not take the journal mode WAL, only {mode}");
        return Err(rusqlite::Error::ToSqlConversionFailure(why.into()));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On macOS a sync reaches the disk only so; elsewhere these change nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is pruned is not to be found in the file's free pages.
    connection.pragma_update(None, "secure_delete", true)
}

/// Asks for the journal mode WAL, and returns the mode of the file. SQLite refuses the change at
/// once, without its busy timeout, while another process makes the file or closes it.
fn write_ahead(connection: &Connection) -> rusqlite::Result<String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        let code = mode
            .as_ref()
            .err()
            .and_then(rusqlite::Error::sqlite_error_code);
        if code != Some(ErrorCode::DatabaseBusy) || Instant::now() >= until {
            return mode;
        }
        std::thread::sleep(PAUSE);
    }
}
