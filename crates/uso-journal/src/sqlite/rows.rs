//! Rows of the table `job` in SQLite.

use std::error::Error as StdError;

use rusqlite::types::{ToSqlOutput, Type, Value as SqlValue};
use rusqlite::{Connection, Params, Row as SqlRow, ToSql, params_from_iter};

use crate::claiming;
use crate::columns::{self, Columns, INSERT_PAST, SELECT, Value};
use crate::purchase::{LocalId, Purchase, to_ms};
use crate::row::{Effect, Row};
use crate::state::State;
use crate::store::{EarlierAttempt, Filter};

type Result<T> = rusqlite::Result<T>;

impl Columns for SqlRow<'_> {
    type Error = rusqlite::Error;

    fn text(&self, column: usize) -> Result<Option<String>> {
        self.get(column)
    }

    fn number(&self, column: usize) -> Result<Option<i64>> {
        self.get(column)
    }

    fn flag(&self, column: usize) -> Result<bool> {
        self.get(column)
    }

    fn unreadable(column: usize, why: Box<dyn StdError + Send + Sync>) -> rusqlite::Error {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, why)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Text(Some(text)) => ToSqlOutput::from(text.as_str()),
            Self::Number(Some(number)) => ToSqlOutput::from(*number),
            Self::Flag(flag) => ToSqlOutput::from(*flag),
            Self::Text(None) | Self::Number(None) => ToSqlOutput::Owned(SqlValue::Null),
        })
    }
}

fn no_json(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// A row of [`SELECT`].
pub(super) fn read(row: &SqlRow<'_>) -> Result<Row> {
    columns::read(row)
}

/// What a query gives, each row of it read so.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl FnMut(&SqlRow<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut select = connection.prepare_cached(sql)?;
    select.query_map(values, read)?.collect()
}

/// The rows that an end of [`SELECT`] gives.
pub(super) fn select(connection: &Connection, end: &str, values: impl Params) -> Result<Vec<Row>> {
    all(connection, &format!("{SELECT} {end}"), values, read)
}

pub(super) fn by_id(connection: &Connection, id: LocalId) -> Result<Option<Row>> {
    Ok(select(connection, "WHERE job.id = ?1", [id.0])?.pop())
}

pub(super) fn by_key(connection: &Connection, realm: i64, key: &str) -> Result<Option<Row>> {
    let end = "WHERE job.realm = ?1 AND key = ?2";
    Ok(select(connection, end, (realm, key))?.pop())
}

/// Adds a row; its id is chosen here.
pub(super) fn insert(connection: &Connection, row: &mut Row) -> Result<()> {
    let purchase = &row.purchase;
    let mut insert = connection.prepare_cached(
        "INSERT INTO job (realm, key, batch, endpoint, state, attempt, fingerprint, pictures, \
         reserved_at, created_at, changed_at, fence, cancel_asked, pruned) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, '[]', 0, ?8, ?8, 0, 0, 0)",
    )?;
    insert.execute((
        row.realm,
        &purchase.key,
        &purchase.batch,
        &purchase.endpoint,
        purchase.state.as_str(),
        purchase.attempt,
        &purchase.fingerprint,
        to_ms(purchase.created_at),
    ))?;
    row.purchase.id = LocalId(connection.last_insert_rowid());
    Ok(())
}

/// Writes a row that was changed, and books the difference of what it commits.
pub(super) fn save(connection: &Connection, row: &Row, before: u64, effect: &Effect) -> Result<()> {
    let purchase = &row.purchase;
    let changing = columns::changing(row).map_err(no_json)?;
    let names = changing.iter().map(|(name, _)| format!("{name} = ?"));
    let names: Vec<String> = names.collect();
    let update = format!("UPDATE job SET {} WHERE id = ?", names.join(", "));
    let id = Value::Number(Some(purchase.id.0));
    let values = changing.into_iter().map(|(_, value)| value).chain([id]);
    connection
        .prepare_cached(&update)?
        .execute(params_from_iter(values))?;
    record_paths(connection, purchase)?;
    if let Some(past) = &effect.archived {
        let values = columns::past_attempt(past, purchase.id).map_err(no_json)?;
        connection
            .prepare_cached(INSERT_PAST)?
            .execute(params_from_iter(values))?;
    }
    super::budget::book(connection, row, claiming::delta(row, before, effect))
}

fn record_paths(connection: &Connection, purchase: &Purchase) -> Result<()> {
    for picture in &purchase.pictures {
        let mut insert =
            connection.prepare_cached("INSERT OR IGNORE INTO file (path, job) VALUES (?1, ?2)")?;
        insert.execute((picture.path.to_string_lossy(), purchase.id.0))?;
    }
    Ok(())
}

/// As [`crate::store::Store::list`].
pub(super) fn list(connection: &Connection, realm: i64, filter: &Filter) -> Result<Vec<Purchase>> {
    let (sql, values) = listing(realm, filter);
    let values = params_from_iter(values);
    all(connection, &sql, values, |row| Ok(read(row)?.purchase))
}

/// The statement of a list, with its values. The newest rows of each state are found by an index
/// that has them in order, so that a page of a long list costs what a short list costs.
pub(super) fn listing(realm: i64, filter: &Filter) -> (String, Vec<SqlValue>) {
    let mut values: Vec<SqlValue> = vec![
        realm.into(),
        filter.before.unwrap_or(i64::MAX).into(),
        filter.limit.into(),
    ];
    let mut conditions = String::new();
    if let Some(batch) = &filter.batch {
        values.push(batch.clone().into());
        conditions += &format!(" AND batch = ?{}", values.len());
    }
    if let Some(since) = filter.since {
        values.push(since.into());
        conditions += &format!(" AND changed_at >= ?{}", values.len());
    }
    let states = match filter.states.as_slice() {
        [] => &State::ALL[..],
        states => states,
    };
    let newest: Vec<String> = states
        .iter()
        .map(|state| {
            format!(
                "SELECT id FROM (SELECT id FROM job WHERE realm = ?1 AND state = '{}' \
                 AND id < ?2{conditions} ORDER BY id DESC LIMIT ?3)",
                state.as_str()
            )
        })
        .collect();
    let newest = newest.join(" UNION ALL ");
    let sql = format!("{SELECT} WHERE job.id IN ({newest}) ORDER BY job.id DESC LIMIT ?3");
    (sql, values)
}

/// As [`crate::store::Store::counts`].
pub(super) fn counts(
    connection: &Connection,
    realm: i64,
    batch: Option<String>,
) -> Result<Vec<(State, u64)>> {
    let count = |row: &SqlRow<'_>| {
        let count: i64 = row.get(1)?;
        Ok((
            columns::state(row, 0)?,
            u64::try_from(count).unwrap_or_default(),
        ))
    };
    // Of one batch by its own index.
    let which = match batch {
        Some(_) => "batch = ?2",
        None => "?2 IS NULL",
    };
    let sql =
        format!("SELECT state, count(*) FROM job WHERE realm = ?1 AND {which} GROUP BY state");
    all(connection, &sql, (realm, batch), count)
}

/// Adds a row of another journal, unless its key is there; says whether it was added.
pub(super) fn import(connection: &Connection, mut row: Row) -> Result<bool> {
    if by_key(connection, row.realm, &row.purchase.key)?.is_some() {
        return Ok(false);
    }
    insert(connection, &mut row)?;
    row.reserved_at = to_ms(row.purchase.changed_at);
    save(connection, &row, 0, &Effect::default())?;
    Ok(true)
}

/// As [`crate::store::Store::prune`].
pub(super) fn prune(connection: &Connection, realm: i64, before: i64) -> Result<u64> {
    const CLOSED: &str = "(SELECT id FROM job WHERE realm = ?1 AND changed_at < ?2 \
        AND pruned = 0 AND worker IS NULL AND state IN ('done', 'failed', 'cancelled', 'handed_over'))";
    let when = (realm, before);
    connection.execute(&format!("DELETE FROM file WHERE job IN {CLOSED}"), when)?;
    let past = format!(
        "UPDATE past_attempt SET intent = NULL, ticket = NULL, request_id = NULL, \
         message = '' WHERE job IN {CLOSED}"
    );
    connection.execute(&past, when)?;
    let jobs = format!(
        "UPDATE job SET input = NULL, target = NULL, intent = NULL, attempt_digest = NULL, \
         ticket = NULL, request_id = NULL, pictures = '[]', seed = NULL, message = '', \
         sendable = NULL, pruned = 1 \
         WHERE id IN {CLOSED}"
    );
    let pruned = connection.execute(&jobs, when)?;
    let uploads = "DELETE FROM upload WHERE realm = ?1 AND recorded_at < ?2";
    connection.execute(uploads, when)?;
    // A purchase without a request id stays with its owner until it is closed, and a day's spending
    // counts. A proxy that died left no end of the time for which it keeps the request.
    let relays = "DELETE FROM relay WHERE realm = ?1 AND coalesce(kept_until, 0) < ?2 \
                  AND begun_at < min(?2, unixepoch() * 1000 - 86400000) \
                  AND (request_id IS NOT NULL OR job IN \
                  (SELECT id FROM job WHERE state = 'failed' \
                   OR state = 'handed_over' AND NOT is_kept))";
    connection.execute(relays, when)?;
    Ok(u64::try_from(pruned).unwrap_or(u64::MAX))
}

/// As [`crate::store::Store::known_requests`].
pub(super) fn known_requests(
    connection: &Connection,
    realm: i64,
    id: LocalId,
    mut request_ids: Vec<String>,
) -> Result<Vec<String>> {
    let sql = "SELECT EXISTS (SELECT 1 FROM job WHERE request_id = ?3 AND realm = ?1 AND id <> ?2) \
               OR EXISTS (SELECT 1 FROM past_attempt JOIN job ON job.id = past_attempt.job \
               WHERE past_attempt.request_id = ?3 AND realm = ?1)";
    let mut select = connection.prepare_cached(sql)?;
    let mut fault = Ok(());
    request_ids.retain(|request_id| {
        let known = select.query_row((realm, id.0, request_id), |row| row.get(0));
        known.unwrap_or_else(|error| {
            fault = Err(error);
            false
        })
    });
    fault?;
    Ok(request_ids)
}

/// As [`crate::store::Store::notified_earlier`].
pub(super) fn notified_earlier(
    connection: &Connection,
    request_id: String,
    attempt_digest: Option<String>,
) -> Result<Vec<EarlierAttempt>> {
    let sql = "SELECT job, intent, request_id, number FROM past_attempt \
               WHERE request_id = ?1 OR json_extract(intent, '$.attempt') = ?2";
    let values = (request_id, attempt_digest);
    all(connection, sql, values, |row| columns::earlier(row))
}

/// As [`crate::store::Store::named`].
pub(super) fn named(connection: &Connection, realm: i64, text: &str) -> Result<Vec<Row>> {
    let mut found: Vec<Row> = Vec::new();
    let mut add = |row: Option<Row>| {
        let row = row.filter(|row| row.realm == realm);
        let is_new = |row: &Row| found.iter().all(|old| old.purchase.id != row.purchase.id);
        if let Some(row) = row.filter(is_new) {
            found.push(row);
        }
    };
    if let Ok(id) = text.parse() {
        add(by_id(connection, id)?);
    }
    add(by_key(connection, realm, text)?);
    let by_request = "WHERE job.realm = ?1 AND request_id = ?2";
    for row in select(connection, by_request, (realm, text))? {
        add(Some(row));
    }
    Ok(found)
}
