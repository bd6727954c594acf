//! Rows of the table `job` in PostgreSQL.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::sync::LazyLock;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::budget::Booking;
use super::fault::Fault;
use super::transaction::{Transaction, Values, Write};
use crate::claiming;
use crate::columns::{self, INSERT_PAST, SELECT, Value};
use crate::purchase::{LocalId, Purchase, to_ms};
use crate::row::{Effect, Row};
use crate::state::State;
use crate::store::{Filter, Offer};

/// A row that this transaction has locked.
pub(super) struct Locked {
    pub(super) row: Row,
    /// Mark of the transaction that wrote the row last.
    pub(super) written: Option<i64>,
    /// The time by the database's clock, in milliseconds since 1970.
    pub(super) now: i64,
}

/// The columns of a locked row: those of [`SELECT`], the mark, and the time.
pub(super) static LOCK: LazyLock<String> =
    LazyLock::new(|| SELECT.replacen(" FROM ", ", written, uso_now() FROM ", 1));

/// Index of the mark among the columns of [`LOCK`].
const WRITTEN: usize = 31;

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Text(text) => text.to_sql(kind, out),
            Self::Number(number) => number.to_sql(kind, out),
            Self::Flag(flag) => flag.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::TEXT, Type::INT8, Type::BOOL].contains(kind)
    }

    to_sql_checked!();
}

fn locked(row: &tokio_postgres::Row) -> Result<Locked, Fault> {
    Ok(Locked {
        row: columns::read(row)?,
        written: row.try_get(WRITTEN)?,
        now: row.try_get(WRITTEN + 1)?,
    })
}

fn all_locked(rows: &[tokio_postgres::Row]) -> Result<Vec<Locked>, Fault> {
    rows.iter().map(locked).collect()
}

/// Keeps tries of one transaction apart: a repeat waits for the end of an earlier try that is still
/// under way on the server. Taken before the rows, whose locks do not tell tries apart where locked
/// rows are passed by.
const ALONE: &str = "SELECT pg_advisory_xact_lock($1)";

pub(super) async fn lock(transaction: &Transaction, id: LocalId) -> Result<Option<Locked>, Fault> {
    static SQL: LazyLock<String> =
        LazyLock::new(|| format!("{} WHERE job.id = $1 FOR UPDATE OF job", *LOCK));
    let row = transaction.row_opt(&SQL, &[&id.0]).await?;
    row.as_ref().map(locked).transpose()
}

pub(super) async fn lock_key(
    transaction: &Transaction,
    realm: i64,
    key: &str,
) -> Result<Option<Locked>, Fault> {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{} WHERE job.realm = $1 AND key = $2 FOR UPDATE OF job",
            *LOCK
        )
    });
    let row = transaction.row_opt(&SQL, &[&realm, &key]).await?;
    row.as_ref().map(locked).transpose()
}

/// Locks the next rows of an offer that no other transaction has locked, those that are bought already
/// first. Until this transaction ends, a repeat of it waits in [`written`].
///
/// Each order begins with columns that only one index has: that of states for bought rows, which are
/// few, and that of claimable rows for the others. By the id alone, the server may read the primary
/// key, and pass by every row that was claimed before. The number of rows is part of the text: the
/// server would plan for a share of the table if it did not know it.
pub(super) async fn lock_next(
    transaction: &Transaction,
    offer: &Offer,
    most: usize,
) -> Result<Vec<Locked>, Fault> {
    let select = |state: &str, order: &str| {
        format!(
            "{} WHERE job.realm = $1 AND batch BETWEEN $2 AND $2 AND worker IS NULL \
             AND sendable IS NOT NULL AND {state} AND job.id <> ALL($3) \
             ORDER BY batch, {order} LIMIT {most} FOR UPDATE OF job SKIP LOCKED",
            *LOCK
        )
    };
    let bought = select("state BETWEEN 'submitted' AND 'submitted'", "state");
    let pending = select("state = 'pending'", "job.id");
    let values: Values<'_> = &[&offer.realm, &offer.batch, &offer.given_up];
    let alone: Values<'_> = &[&transaction.token];
    let statements = [(ALONE, alone), (&bought, values), (&pending, values)];
    let [_, bought, pending] = transaction.all(&statements).await?;
    let rows = bought.iter().chain(&pending).take(most);
    rows.map(locked).collect()
}

/// The rows of a worker that an earlier try of this transaction wrote, once that try has ended.
pub(super) async fn written(transaction: &Transaction, worker: &str) -> Result<Vec<Row>, Fault> {
    static SQL: LazyLock<String> =
        LazyLock::new(|| format!("{SELECT} WHERE worker = $1 AND written = $2 ORDER BY job.id"));
    let values: Values<'_> = &[&worker, &transaction.token];
    let alone: Values<'_> = &[&transaction.token];
    let [_, rows] = transaction.all(&[(ALONE, alone), (&SQL, values)]).await?;
    rows.iter().map(columns::read).collect()
}

/// Locks every row of a worker, in one order, so that two transactions never wait for each other.
pub(super) async fn lock_worker(
    transaction: &Transaction,
    worker: &str,
) -> Result<Vec<Locked>, Fault> {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{} WHERE worker = $1 ORDER BY job.id FOR UPDATE OF job",
            *LOCK
        )
    });
    all_locked(&transaction.rows(&SQL, &[&worker]).await?)
}

/// Adds a row, unless its key has one; says whether it is new.
pub(super) async fn insert(transaction: &Transaction, row: &Row) -> Result<bool, Fault> {
    let purchase = &row.purchase;
    let insert = "INSERT INTO job (realm, key, batch, endpoint, state, attempt, fingerprint, \
                  created_at, changed_at) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, uso_now()), uso_now()) \
                  ON CONFLICT (realm, key) DO NOTHING";
    let created = Some(to_ms(purchase.created_at)).filter(|time| *time > 0);
    let values: [&(dyn ToSql + Sync); 8] = [
        &row.realm,
        &purchase.key,
        &purchase.batch,
        &purchase.endpoint,
        &purchase.state.as_str(),
        &i64::from(purchase.attempt),
        &purchase.fingerprint,
        &created,
    ];
    Ok(transaction.execute(insert, &values).await? > 0)
}

/// Writes a row that was changed, books the difference of what it commits, and commits the
/// transaction.
pub(super) async fn save(
    transaction: &Transaction,
    row: &Row,
    before: u64,
    effect: &Effect,
) -> Result<(), Fault> {
    write(transaction, row, before, effect, End::Commit).await
}

/// As [`save`], and the transaction goes on.
pub(super) async fn save_and_go_on(
    transaction: &Transaction,
    row: &Row,
    before: u64,
    effect: &Effect,
) -> Result<(), Fault> {
    write(transaction, row, before, effect, End::GoOn).await
}

/// Writes the rows of one claim, each with what it committed before, books the difference, and
/// commits the transaction. The rows are of one batch, and were reserved at one time.
pub(super) async fn save_claimed(
    transaction: &Transaction,
    claimed: &[(Row, u64)],
) -> Result<(), Fault> {
    let updates = claimed.iter().map(|(row, _)| Update::of(row));
    let updates: Vec<Update> = updates.collect::<Result<_, _>>()?;
    let writes = updates
        .iter()
        .map(|update| update.write(&transaction.token));
    let mut writes: Vec<Write<'_>> = writes.collect();
    let none = Effect::default();
    let deltas = claimed
        .iter()
        .map(|(row, before)| claiming::delta(row, *before, &none));
    let delta = deltas.sum();
    let booking = claimed.last().map(|(row, _)| Booking::of(row, delta));
    writes.extend(booking.iter().flat_map(Booking::writes));
    transaction.finish(&writes).await
}

/// What follows the statements of a write.
enum End {
    Commit,
    GoOn,
}

/// The statement that writes a row.
struct Update {
    sql: String,
    id: i64,
    changing: Vec<(&'static str, Value)>,
}

impl Update {
    fn of(row: &Row) -> Result<Self, Fault> {
        let changing = columns::changing(row)?;
        let mut sql = "UPDATE job SET written = $1".to_owned();
        for (number, (name, _)) in (3..).zip(&changing) {
            let _ = write!(sql, ", {name} = ${number}");
        }
        sql += " WHERE id = $2";
        let id = row.purchase.id.0;
        Ok(Self { sql, id, changing })
    }

    fn write<'a>(&'a self, token: &'a i64) -> Write<'a> {
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![token, &self.id];
        values.extend(
            self.changing
                .iter()
                .map(|(_, value)| value as &(dyn ToSql + Sync)),
        );
        (&self.sql, values)
    }
}

async fn write(
    transaction: &Transaction,
    row: &Row,
    before: u64,
    effect: &Effect,
    end: End,
) -> Result<(), Fault> {
    const FILE: &str = "INSERT INTO file (path, job) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let purchase = &row.purchase;
    let update = Update::of(row)?;
    let mut writes = vec![update.write(&transaction.token)];
    let paths = purchase.pictures.iter();
    let paths: Vec<_> = paths.map(|saved| saved.path.to_string_lossy()).collect();
    let files = paths
        .iter()
        .map(|path| -> Write<'_> { (FILE, vec![path, &purchase.id.0]) });
    writes.extend(files);
    let past = effect
        .archived
        .as_ref()
        .map(|past| columns::past_attempt(past, purchase.id))
        .transpose()?;
    let past = past.as_ref().map(|values| -> Write<'_> {
        let values = values.iter().map(|value| value as _);
        (INSERT_PAST, values.collect())
    });
    writes.extend(past);
    let booking = Booking::of(row, claiming::delta(row, before, effect));
    writes.extend(booking.writes());
    match end {
        End::Commit => transaction.finish(&writes).await,
        End::GoOn => transaction.go_on(&writes).await,
    }
}

/// As [`crate::store::Store::known_requests`].
pub(super) async fn known_requests(
    transaction: &Transaction,
    realm: i64,
    id: LocalId,
    request_ids: &[String],
) -> Result<Vec<String>, Fault> {
    let sql = "SELECT asked.id FROM unnest($3::text[]) AS asked (id) \
               WHERE EXISTS (SELECT 1 FROM job WHERE request_id = asked.id AND realm = $1 AND job.id <> $2) \
               OR EXISTS (SELECT 1 FROM past_attempt JOIN job ON job.id = past_attempt.job \
               WHERE past_attempt.request_id = asked.id AND realm = $1)";
    let rows = transaction
        .rows(sql, &[&realm, &id.0, &request_ids])
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// As [`crate::store::Store::prune`].
pub(super) async fn prune(
    transaction: &Transaction,
    realm: i64,
    before: i64,
) -> Result<u64, Fault> {
    let closed = "SELECT id FROM job WHERE realm = $1 AND changed_at < $2 AND NOT pruned \
                  AND worker IS NULL AND state IN ('done', 'failed', 'cancelled', 'handed_over') \
                  ORDER BY id FOR UPDATE";
    let rows = transaction.rows(closed, &[&realm, &before]).await?;
    let ids = rows.iter().map(|row| row.try_get(0));
    let ids = ids.collect::<Result<Vec<i64>, _>>()?;
    transaction
        .execute("DELETE FROM file WHERE job = ANY($1)", &[&ids])
        .await?;
    let past = "UPDATE past_attempt SET intent = NULL, ticket = NULL, request_id = NULL, \
                message = '' WHERE job = ANY($1)";
    transaction.execute(past, &[&ids]).await?;
    let jobs = "UPDATE job SET input = NULL, target = NULL, intent = NULL, attempt_digest = NULL, \
                ticket = NULL, request_id = NULL, pictures = '[]', seed = NULL, message = '', \
                sendable = NULL, pruned = true WHERE id = ANY($1)";
    let pruned = transaction.execute(jobs, &[&ids]).await?;
    let uploads = "DELETE FROM upload WHERE realm = $1 AND recorded_at < $2";
    transaction.execute(uploads, &[&realm, &before]).await?;
    // A purchase without a request id stays with its owner until it is closed, and a day's spending
    // counts. A proxy that died left no end of the time for which it keeps the request.
    let relays = "DELETE FROM relay WHERE realm = $1 AND coalesce(kept_until, 0) < $2 \
                  AND begun_at < least($2, uso_now() - 86400000) \
                  AND (request_id IS NOT NULL OR job IN \
                  (SELECT id FROM job WHERE state = 'failed' \
                   OR state = 'handed_over' AND NOT is_kept))";
    transaction.execute(relays, &[&realm, &before]).await?;
    Ok(pruned)
}

/// As [`crate::store::Store::list`].
pub(super) async fn list(
    transaction: &Transaction,
    realm: i64,
    filter: &Filter,
) -> Result<Vec<Purchase>, Fault> {
    let sql = format!(
        "{SELECT} WHERE job.realm = $1 AND job.id < $2 AND changed_at >= $3 \
         AND ($4::text IS NULL OR batch = $4) AND ($5::text[] IS NULL OR state = ANY($5)) \
         ORDER BY job.id DESC LIMIT $6"
    );
    let states = filter.states.iter().map(|state| state.as_str());
    let states: Option<Vec<&str>> = Some(states.collect()).filter(|all: &Vec<_>| !all.is_empty());
    let (before, limit) = (filter.before.unwrap_or(i64::MAX), i64::from(filter.limit));
    let since = filter.since.unwrap_or_default();
    let values: Values<'_> = &[&realm, &before, &since, &filter.batch, &states, &limit];
    let rows = transaction.rows(&sql, values).await?;
    let purchases = rows.iter().map(|row| Ok(columns::read(row)?.purchase));
    purchases.collect()
}

/// As [`crate::store::Store::held`].
pub(super) async fn held(
    transaction: &Transaction,
    offer: &Offer,
    worker: &str,
) -> Result<Vec<Row>, Fault> {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{SELECT} WHERE worker = $1 AND job.realm = $2 AND batch = $3 \
             AND sendable IS NOT NULL"
        )
    });
    let values: Values<'_> = &[&worker, &offer.realm, &offer.batch];
    let rows = transaction.rows(&SQL, values).await?;
    rows.iter().map(columns::read).collect()
}

/// As [`crate::store::Store::is_open`].
pub(super) async fn is_open(transaction: &Transaction, offer: &Offer) -> Result<bool, Fault> {
    // One look for each state, in the order of the index of states, so that the server takes no way
    // that passes by the rows of other states.
    let sql = "SELECT 1 FROM unnest('{pending,reserved,sending,submitted}'::text[]) AS open (state), \
               LATERAL (SELECT 1 FROM job WHERE realm = $1 AND batch BETWEEN $2 AND $2 \
               AND job.state BETWEEN open.state AND open.state \
               AND sendable IS NOT NULL AND id <> ALL($3) \
               ORDER BY batch, job.state LIMIT 1) AS found LIMIT 1";
    let values: Values<'_> = &[&offer.realm, &offer.batch, &offer.given_up];
    Ok(transaction.row_opt(sql, values).await?.is_some())
}

/// As [`crate::store::Store::has_path`].
pub(super) async fn has_path(
    transaction: &Transaction,
    path: &str,
    besides: LocalId,
) -> Result<bool, Fault> {
    let sql = "SELECT 1 FROM file WHERE path = $1 AND job <> $2 LIMIT 1";
    Ok(transaction
        .row_opt(sql, &[&path, &besides.0])
        .await?
        .is_some())
}

/// As [`crate::store::Store::counts`].
pub(super) async fn counts(
    transaction: &Transaction,
    realm: i64,
    batch: &Option<String>,
) -> Result<Vec<(State, u64)>, Fault> {
    let sql = "SELECT state, count(*) FROM job WHERE realm = $1 \
               AND ($2::text IS NULL OR batch = $2) GROUP BY state";
    let rows = transaction.rows(sql, &[&realm, batch]).await?;
    let counts = rows.iter().map(|row| {
        let count: i64 = row.try_get(1)?;
        let count = u64::try_from(count).unwrap_or_default();
        Ok((columns::state(row, 0)?, count))
    });
    counts.collect()
}
