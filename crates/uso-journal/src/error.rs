//! Errors of the journal.

use std::path::{Path, PathBuf};

use uso::MicroDollars;

use crate::purchase::{LocalId, Purchase};
use crate::row::NotAllowed;

/// Error of the journal. Every variant says whether something was bought.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request is wrong; nothing was sent.
    #[error("the request is refused before anything is sent")]
    Request(#[source] uso::Error),

    /// The account's listing shows a request with the input of this purchase, and the request is
    /// another purchase of the journal.
    #[error("the request {0} is another purchase")]
    OtherPurchase(String),

    /// The key belongs to a purchase of something else; nothing was sent.
    #[error("{id} has this key and asks for something else: {}", difference.join("; "))]
    Conflict {
        /// The purchase that has the key.
        id: LocalId,
        /// Each difference: field, recorded value, new value.
        difference: Vec<String>,
    },

    /// A cap leaves no room for the purchase; nothing was sent. This is a stop and no failure.
    #[error(transparent)]
    Budget(#[from] BudgetStop),

    /// Nothing was bought; the next call with the key may buy.
    #[error("{id} was not bought: {message}")]
    NotBought {
        /// The purchase.
        id: LocalId,
        /// Why, without a full stop.
        message: String,
        /// The error of the client, where this caller made the attempt.
        #[source]
        source: Option<Box<uso::Error>>,
    },

    /// The call would have bought, and was made with
    /// [`Buy::only_bought`](crate::Buy::only_bought); nothing was sent.
    #[error("nothing is bought under the key {0:?}, and this call may not buy")]
    WouldBuy(String),

    /// The job is bought, and its pictures are not on disk yet. The next call with the key, or
    /// [`Journal::resume`](crate::Journal::resume), collects it.
    #[error("{} is bought and not collected yet: {message}", purchase.id)]
    NotCollected {
        /// The purchase.
        purchase: Box<Purchase>,
        /// Why, without a full stop.
        message: String,
        /// The error of the client, where this caller waited for the job.
        #[source]
        source: Option<Box<uso::Error>>,
    },

    /// The job is bought and the journal could not record its request id. Keep the ticket.
    #[error("request {} is bought and could not be recorded", ticket.request_id())]
    NotRecorded {
        /// What collects the job.
        ticket: Box<uso::Ticket>,
        /// Why it could not be recorded.
        #[source]
        source: Box<Self>,
    },

    /// An attempt was bought after all that its owner had given up; the purchase is a later attempt,
    /// which was sent too. The journal has the request id with the earlier attempt.
    #[error("request {} is bought by an earlier attempt at {id}", ticket.request_id())]
    BoughtEarlier {
        /// The purchase.
        id: LocalId,
        /// What collects the job.
        ticket: Box<uso::Ticket>,
    },

    /// The state of the purchase does not allow the step.
    #[error("{id}: {source}")]
    NotAllowed {
        /// The purchase.
        id: LocalId,
        /// What was asked for, and the state.
        source: NotAllowed,
    },

    /// Another process took the purchase over; this one's write was refused.
    #[error("{0} was taken over by another process")]
    TakenOver(LocalId),

    /// Another process works on the purchase.
    #[error("another process works on {0}")]
    Busy(LocalId),

    /// No purchase has this id, request id or key.
    #[error("no purchase has the id, request id or key {0:?}")]
    NotFound(String),

    /// The text is the start of several request ids.
    #[error("{text:?} is the start of several request ids, such as {} and {}", ids.0, ids.1)]
    Ambiguous {
        /// The text.
        text: String,
        /// Two of the request ids.
        ids: (String, String),
    },

    /// The service could not be asked about a purchase.
    #[error("the service could not be asked about {id}")]
    Lookup {
        /// The purchase.
        id: LocalId,
        /// The error of the client.
        #[source]
        source: Box<uso::Error>,
    },

    /// There is no place for the default journal.
    #[error("no folder for the journal is known: set USO_JOURNAL to the path of a file")]
    NoPlace,

    /// The file lies on a network file system, where SQLite's locks and shared memory do not hold.
    #[error(
        "{}: the file system {kind} is a network file system, on which the journal is not safe; \
         name a file on a local disk", path.display()
    )]
    NetworkFileSystem {
        /// The journal.
        path: PathBuf,
        /// The file system.
        kind: String,
    },

    /// A newer version of this library made the journal.
    #[error(
        "{journal}: the journal has version {found} and this program reads versions up to {known}; \
         use the newer program, or name another journal"
    )]
    Newer {
        /// The journal: its file, or its server and database.
        journal: String,
        /// Its version.
        found: i64,
        /// The newest version that this library reads.
        known: i64,
    },

    /// The file is damaged, or is something else than a journal. It is left as it is.
    #[error(
        "{}: the file is damaged or is no journal ({why}); it was not changed; restore a copy, or \
         name another file", path.display()
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// What was found.
        why: String,
    },

    /// The program is linked to a SQLite that can damage a journal.
    #[error("SQLite {0} can damage a journal that several processes use; link 3.51.3 or later")]
    OldSqlite(&'static str),

    /// The database refused to read or to write.
    #[error("the journal {journal} cannot be used")]
    Database {
        /// The journal: its file, or its server and database without user and password.
        journal: String,
        /// The database's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The address of a journal on a server cannot be used. The message has no part of a password.
    #[error("the journal's address cannot be used: {0}")]
    Address(String),

    /// The tables on a server are missing or old, and the role may not make them.
    #[error(
        "{journal}: the journal's tables are missing or of an older version; run once, with a role \
         that may make them: uso journal migrate"
    )]
    NotMigrated {
        /// Server and database.
        journal: String,
    },

    /// A file or a folder of the journal cannot be made, read or locked.
    #[error("{} cannot be {verb}", path.display())]
    Io {
        /// The file or the folder.
        path: PathBuf,
        /// What was tried, as in "made".
        verb: &'static str,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },

    /// The work on the purchase ended early, because its runtime ended.
    #[error("the work on {0} ended early; the next call with the key goes on with it")]
    Interrupted(LocalId),
}

impl Error {
    pub(crate) fn io(path: &Path, verb: &'static str, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            verb,
            source,
        }
    }
}

/// A cap that leaves no room for a purchase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetStop {
    /// The cap would be exceeded.
    #[error(
        "the cap of {cap} {} leaves no room: {committed} are spent or reserved, and this purchase \
         costs up to {bound}; raise the cap to go on", scope.as_str()
    )]
    Exceeded {
        /// Which cap.
        scope: Scope,
        /// The cap.
        cap: MicroDollars,
        /// What counts against it already.
        committed: MicroDollars,
        /// Upper bound of the purchase.
        bound: MicroDollars,
    },
    /// No price is known, so that no cap can hold.
    #[error(
        "no price is known for this purchase, so that the cap of {cap} {} cannot hold; give a price, \
         or remove the cap", scope.as_str()
    )]
    NoPrice {
        /// Which cap.
        scope: Scope,
        /// The cap.
        cap: MicroDollars,
    },
}

/// Purchases that a cap covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// One purchase.
    Purchase,
    /// One batch.
    Batch,
    /// The last 24 hours of an account, by the database's clock.
    Day,
    /// Everything that an account ever bought through this journal.
    Total,
}

impl Scope {
    fn as_str(self) -> &'static str {
        match self {
            Self::Purchase => "for this purchase",
            Self::Batch => "for the batch",
            Self::Day => "for 24 hours",
            Self::Total => "in total",
        }
    }
}
