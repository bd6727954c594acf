//! Tables of the journal on a server, and the way from one version to the next.

use super::connections::{Connections, transact};
use super::fault::Fault;
use super::transaction::{Commit, Transaction};
use crate::error::Error;

/// Only one process changes the tables at a time: the key of an advisory lock, "usoJ".
const LOCK: i64 = 0x7573_6f4a;

/// Each entry leads from the version of its index to the next one. An entry that was released is
/// never changed.
const MIGRATIONS: [&str; 2] = [V1, V2];

const VERSION: i64 = MIGRATIONS.len() as i64;

/// Amounts are micro-dollars, times are milliseconds since 1970, as in SQLite.
///
/// A row of `job` is rewritten about five times in its life, so that its page keeps room for new
/// versions, and vacuum goes by a number of rows, not by a share of the table. Nothing that every
/// renewal of a lease changes is indexed.
const V1: &str = "
CREATE SCHEMA IF NOT EXISTS uso;
SET LOCAL search_path TO uso;

CREATE FUNCTION uso_now() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

CREATE TABLE journal (
    version bigint NOT NULL,
    lease_ms bigint NOT NULL CHECK (lease_ms > 0)
);
INSERT INTO journal (version, lease_ms) VALUES (0, 30000);

CREATE TABLE realm (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin text NOT NULL,
    account text NOT NULL,
    day_cap bigint,
    total_cap bigint,
    committed bigint NOT NULL DEFAULT 0,
    is_locked boolean NOT NULL DEFAULT false,
    UNIQUE (origin, account)
) WITH (fillfactor = 20);

CREATE TABLE worker (
    id text PRIMARY KEY,
    host text NOT NULL,
    expires_at bigint NOT NULL
) WITH (fillfactor = 20);

CREATE TABLE job (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    realm bigint NOT NULL REFERENCES realm,
    key text NOT NULL,
    batch text,
    endpoint text NOT NULL,
    state text NOT NULL,
    attempt bigint NOT NULL,
    cause text,
    kind text,
    message text,
    fingerprint text NOT NULL,
    input text,
    target text,
    intent text,
    attempt_digest text,
    ticket text,
    request_id text,
    pictures text NOT NULL DEFAULT '[]',
    seed text,
    unit_price text,
    estimate bigint,
    reserved bigint,
    billed bigint,
    reserved_at bigint NOT NULL DEFAULT 0,
    created_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    worker text,
    fence bigint NOT NULL DEFAULT 0,
    cancel_asked boolean NOT NULL DEFAULT false,
    pruned boolean NOT NULL DEFAULT false,
    sendable text,
    written bigint,
    UNIQUE (realm, key)
) WITH (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX job_state ON job (realm, state);
CREATE INDEX job_batch ON job (realm, batch, state) WHERE batch IS NOT NULL;
CREATE INDEX job_worker ON job (worker) WHERE worker IS NOT NULL;
CREATE INDEX job_request ON job (request_id text_pattern_ops) WHERE request_id IS NOT NULL;
CREATE INDEX job_attempt ON job (attempt_digest) WHERE attempt_digest IS NOT NULL;
CREATE INDEX job_claimable ON job (realm, batch, id)
WHERE worker IS NULL AND sendable IS NOT NULL AND state IN ('pending', 'submitted');

CREATE TABLE past_attempt (
    job bigint NOT NULL REFERENCES job,
    number bigint NOT NULL,
    state text NOT NULL,
    cause text,
    message text,
    intent text,
    ticket text,
    request_id text,
    committed bigint NOT NULL,
    ended_at bigint NOT NULL,
    PRIMARY KEY (job, number)
);

CREATE TABLE file (
    path text NOT NULL,
    job bigint NOT NULL REFERENCES job,
    PRIMARY KEY (path, job)
);

CREATE TABLE spend (
    realm bigint NOT NULL REFERENCES realm,
    minute bigint NOT NULL,
    committed bigint NOT NULL,
    PRIMARY KEY (realm, minute)
) WITH (fillfactor = 50);

CREATE TABLE batch (
    realm bigint NOT NULL REFERENCES realm,
    name text NOT NULL,
    committed bigint NOT NULL DEFAULT 0,
    cap bigint,
    PRIMARY KEY (realm, name)
) WITH (fillfactor = 20);

CREATE TABLE relay (
    id text PRIMARY KEY,
    realm bigint NOT NULL REFERENCES realm,
    job bigint REFERENCES job,
    owner text NOT NULL,
    digest text,
    app text NOT NULL,
    request_id text,
    is_kept boolean NOT NULL,
    record text,
    begun_at bigint NOT NULL,
    repeat_until bigint,
    kept_until bigint
);
CREATE INDEX relay_digest ON relay (realm, digest) WHERE digest IS NOT NULL;
CREATE INDEX relay_owner ON relay (realm, owner, begun_at);
CREATE INDEX relay_kept ON relay (realm, kept_until, owner) WHERE is_kept;
CREATE INDEX relay_request ON relay (realm, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX relay_job ON relay (job) WHERE job IS NOT NULL;

CREATE TABLE upload (
    realm bigint NOT NULL REFERENCES realm,
    url text NOT NULL,
    known text NOT NULL,
    recorded_at bigint NOT NULL,
    PRIMARY KEY (realm, url)
);

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
    to_char(to_timestamp(job.created_at / 1000.0) AT TIME ZONE 'UTC',
        'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS created_at,
    to_char(to_timestamp(job.changed_at / 1000.0) AT TIME ZONE 'UTC',
        'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS changed_at
FROM job JOIN realm ON realm.id = job.realm;
";

/// Earlier attempts that a notification is about.
const V2: &str = "
SET LOCAL search_path TO uso;
CREATE INDEX past_attempt_request ON past_attempt (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX past_attempt_digest ON past_attempt ((intent::json ->> 'attempt'));
";

/// Brings the tables to the newest version, unless they have it.
pub(super) async fn prepare(connections: &Connections) -> Result<(), Error> {
    let location = connections.location();
    if found(connections).await? == VERSION {
        return Ok(());
    }
    let write = connections.write(Commit::Durable);
    let migrated = transact!(write, |transaction| migrate(transaction));
    match migrated {
        Err(Error::Database { source, .. }) if is_forbidden(source.as_ref()) => {
            Err(Error::NotMigrated {
                journal: location.to_owned(),
            })
        }
        Err(error) => Err(error),
        Ok(found) => check(found, location),
    }
}

/// Whether the tables are there. Those of an older version are an error.
pub(super) async fn is_there(connections: &Connections) -> Result<bool, Error> {
    match found(connections).await? {
        0 => Ok(false),
        VERSION => Ok(true),
        _ => Err(Error::NotMigrated {
            journal: connections.location().to_owned(),
        }),
    }
}

/// The version of the tables; 0 where there are none.
async fn found(connections: &Connections) -> Result<i64, Error> {
    let found = transact!(connections.first_read(), |transaction| version(transaction))?;
    check(found, connections.location())?;
    Ok(found)
}

fn is_forbidden(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let error = error.downcast_ref::<tokio_postgres::Error>();
    error.is_some_and(|error| {
        error.code() == Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE)
    })
}

fn check(found: i64, location: &str) -> Result<(), Error> {
    match found > VERSION {
        true => Err(Error::Newer {
            journal: location.to_owned(),
            found,
            known: VERSION,
        }),
        false => Ok(()),
    }
}

/// As [`found`], in a transaction.
async fn version(transaction: &Transaction) -> Result<i64, Fault> {
    // From the table of tables: a lookup by name may remember that the table was not there before
    // the lock was taken.
    let found = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class \
                 JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace \
                 WHERE nspname = 'uso' AND relname = 'journal')";
    if !transaction.row(found, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let version = "SELECT version FROM uso.journal";
    Ok(transaction.row(version, &[]).await?.try_get(0)?)
}

async fn migrate(transaction: &Transaction) -> Result<i64, Fault> {
    let lock = "SELECT pg_advisory_xact_lock($1)";
    transaction.rows(lock, &[&LOCK]).await?;
    // Another process may have done it meanwhile.
    let found = version(transaction).await?;
    let done = usize::try_from(found).unwrap_or_default();
    for step in MIGRATIONS.iter().skip(done) {
        transaction.script(step).await?;
    }
    if found < VERSION {
        let update = format!("UPDATE uso.journal SET version = {VERSION}");
        transaction.script(&update).await?;
    }
    Ok(found)
}
