//! Session of a batch command: the client, the journal, and the records of batches.

use std::net::SocketAddr;
use std::time::Duration;

use uso_journal::Journal;

use super::record::Records;
use crate::args::{Global, PaceOptions};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::{journal, spending};

/// What the batch commands work with.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) journal: Journal,
    pub(crate) records: Records,
    /// Where notifications arrive that tell the ends of jobs.
    pub(crate) listen: Option<SocketAddr>,
}

impl Session {
    pub(crate) async fn open(global: &Global, timeout: Option<Duration>) -> Result<Self, Failure> {
        let connection = Connection::waiting(global, timeout).await?;
        let journal = journal::open(global, &connection).await?;
        Ok(Self::of(connection, journal))
    }

    fn of(connection: Connection, journal: Journal) -> Self {
        Self {
            records: Records::beside(journal.path()),
            connection,
            journal,
            listen: None,
        }
    }

    /// The session of a dry run, which makes and changes no journal, and is told where it cannot be
    /// read.
    pub(crate) async fn dry(global: &Global, printer: &Printer) -> Result<Self, Failure> {
        if global.emulator {
            return Err(Failure::usage("a dry run needs no emulator"));
        }
        let connection = Connection::open(global).await?;
        let journal = journal::look_or_empty(global, &connection.client).await;
        let journal = journal.inspect_err(|failure| spending::warn_of_no_caps(failure, printer))?;
        Ok(Self::of(connection, journal))
    }

    /// The session of a command that buys.
    pub(crate) async fn paced(global: &Global, pace: &PaceOptions) -> Result<Self, Failure> {
        let session = Self::open(global, pace.timeout).await?;
        Ok(Self {
            listen: pace.listen,
            ..session
        })
    }
}
