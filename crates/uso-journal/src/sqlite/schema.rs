//! Tables of the journal, and the way from one version to the next.

use rusqlite::{Connection, TransactionBehavior};

/// Marks a file as a journal: "usoJ".
pub(super) const APPLICATION_ID: i64 = 0x7573_6f4a;

/// Each entry leads from the version of its index to the next one. An entry that was released is
/// never changed.
const MIGRATIONS: [&str; 3] = [V1, V2, V3];

/// The newest version that this library reads.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Amounts are micro-dollars, times are milliseconds since 1970.
const V1: &str = "
CREATE TABLE realm (
    id INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    account TEXT NOT NULL,
    day_cap INTEGER,
    total_cap INTEGER,
    committed INTEGER NOT NULL DEFAULT 0,
    is_locked INTEGER NOT NULL DEFAULT 0,
    UNIQUE (origin, account)
) STRICT;

CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    realm INTEGER NOT NULL REFERENCES realm,
    key TEXT NOT NULL,
    batch TEXT,
    endpoint TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    cause TEXT,
    kind TEXT,
    message TEXT,
    fingerprint TEXT NOT NULL,
    input TEXT,
    target TEXT,
    intent TEXT,
    attempt_digest TEXT,
    ticket TEXT,
    request_id TEXT,
    pictures TEXT NOT NULL,
    seed TEXT,
    unit_price TEXT,
    estimate INTEGER,
    reserved INTEGER,
    billed INTEGER,
    reserved_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    worker TEXT,
    fence INTEGER NOT NULL,
    cancel_asked INTEGER NOT NULL,
    pruned INTEGER NOT NULL,
    UNIQUE (realm, key)
) STRICT;
CREATE INDEX job_state ON job (realm, state);
CREATE INDEX job_batch ON job (realm, batch, state) WHERE batch IS NOT NULL;
CREATE INDEX job_worker ON job (worker) WHERE worker IS NOT NULL;
CREATE INDEX job_request ON job (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX job_attempt ON job (attempt_digest) WHERE attempt_digest IS NOT NULL;

CREATE TABLE past_attempt (
    job INTEGER NOT NULL REFERENCES job,
    number INTEGER NOT NULL,
    state TEXT NOT NULL,
    cause TEXT,
    message TEXT,
    intent TEXT,
    ticket TEXT,
    request_id TEXT,
    committed INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE file (
    path TEXT NOT NULL,
    job INTEGER NOT NULL REFERENCES job,
    PRIMARY KEY (path, job)
) STRICT, WITHOUT ROWID;

CREATE TABLE spend (
    realm INTEGER NOT NULL REFERENCES realm,
    minute INTEGER NOT NULL,
    committed INTEGER NOT NULL,
    PRIMARY KEY (realm, minute)
) STRICT, WITHOUT ROWID;

CREATE TABLE batch (
    realm INTEGER NOT NULL REFERENCES realm,
    name TEXT NOT NULL,
    committed INTEGER NOT NULL,
    PRIMARY KEY (realm, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE upload (
    realm INTEGER NOT NULL REFERENCES realm,
    url TEXT NOT NULL,
    known TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (realm, url)
) STRICT, WITHOUT ROWID;

CREATE VIEW jobs AS
SELECT
    'j' || job.id AS id,
    job.key AS key,
    job.batch AS batch,
    realm.origin AS origin,
    realm.account AS account,
    job.endpoint AS endpoint,
    job.state AS state,
    job.attempt AS attempt,
    job.cause AS cause,
    job.kind AS kind,
    job.message AS message,
    job.request_id AS request_id,
    job.fingerprint AS fingerprint,
    job.input AS input,
    job.pictures AS pictures,
    job.seed AS seed,
    job.estimate AS estimate_micro_dollars,
    job.reserved AS reserved_micro_dollars,
    job.billed AS billed_micro_dollars,
    strftime('%Y-%m-%dT%H:%M:%fZ', job.created_at / 1000.0, 'unixepoch') AS created_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', job.changed_at / 1000.0, 'unixepoch') AS changed_at
FROM job JOIN realm ON realm.id = job.realm;
";

/// Rows that any worker can buy, caps that all workers of a batch share, and purchases of proxies.
const V2: &str = "
ALTER TABLE job ADD COLUMN sendable TEXT;
ALTER TABLE batch ADD COLUMN cap INTEGER;
CREATE INDEX job_claimable ON job (realm, batch, id)
WHERE worker IS NULL AND sendable IS NOT NULL AND state IN ('pending', 'submitted');

CREATE TABLE relay (
    id TEXT PRIMARY KEY,
    realm INTEGER NOT NULL REFERENCES realm,
    job INTEGER REFERENCES job,
    owner TEXT NOT NULL,
    digest TEXT,
    app TEXT NOT NULL,
    request_id TEXT,
    is_kept INTEGER NOT NULL,
    record TEXT,
    begun_at INTEGER NOT NULL,
    repeat_until INTEGER,
    kept_until INTEGER
) STRICT;
CREATE INDEX relay_digest ON relay (realm, digest) WHERE digest IS NOT NULL;
CREATE INDEX relay_owner ON relay (realm, owner, begun_at);
CREATE INDEX relay_kept ON relay (realm, kept_until, owner) WHERE is_kept;
CREATE INDEX relay_request ON relay (realm, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX relay_job ON relay (job) WHERE job IS NOT NULL;
";

/// Earlier attempts that a notification is about.
const V3: &str = "
CREATE INDEX past_attempt_request ON past_attempt (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX past_attempt_digest ON past_attempt (json_extract(intent, '$.attempt'));
";

/// Why a file is not used.
pub(super) enum Unfit {
    Newer(i64),
    Foreign,
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Unfit {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

/// Looks at a file without changing it; says whether its version is the newest.
pub(super) fn is_newest(connection: &mut Connection) -> Result<bool, Unfit> {
    // In one transaction, since another process may be making the tables.
    let transaction = connection.transaction()?;
    look(&transaction)
}

fn look(connection: &Connection) -> Result<bool, Unfit> {
    let version = pragma(connection, "user_version")?;
    let application = pragma(connection, "application_id")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(Unfit::Foreign);
    }
    if version > VERSION {
        return Err(Unfit::Newer(version));
    }
    Ok(tables > 0 && version == VERSION)
}

/// Brings a file to the newest version, in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Unfit> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it meanwhile.
    if look(&transaction)? {
        return Ok(());
    }
    let version = pragma(&transaction, "user_version")?;
    let done = usize::try_from(version).unwrap_or_default();
    for step in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}
