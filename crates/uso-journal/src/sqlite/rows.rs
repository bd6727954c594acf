//! Rows of the table `job` in SQLite.

use std::error::Error as StdError;

use rusqlite::types::{ToSqlOutput, Type, Value as SqlValue};
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, ToSql, params_from_iter};

use crate::claiming;
use crate::columns::{self, Columns, SELECT, Value, micro};
use crate::purchase::{LocalId, Purchase, to_ms};
use crate::row::{Effect, Row};

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

pub(super) fn by_id(connection: &Connection, id: LocalId) -> Result<Option<Row>> {
    let mut select = connection.prepare_cached(&format!("{SELECT} WHERE job.id = ?1"))?;
    select.query_row([id.0], read).optional()
}

pub(super) fn by_key(connection: &Connection, realm: i64, key: &str) -> Result<Option<Row>> {
    let sql = format!("{SELECT} WHERE job.realm = ?1 AND key = ?2");
    let mut select = connection.prepare_cached(&sql)?;
    select.query_row((realm, key), read).optional()
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
        let intent = past.intent.as_ref().map(serde_json::to_string);
        let ticket = past.ticket.as_ref().map(serde_json::to_string);
        let mut insert = connection.prepare_cached(
            "INSERT INTO past_attempt (job, number, state, cause, message, intent, ticket, \
             request_id, committed, ended_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        insert.execute((
            purchase.id.0,
            past.number,
            past.state.as_str(),
            past.reason.as_ref().map(|reason| reason.cause.as_str()),
            past.reason.as_ref().map(|reason| reason.message.as_str()),
            intent.transpose().map_err(no_json)?,
            ticket.transpose().map_err(no_json)?,
            past.ticket.as_ref().map(uso::Ticket::request_id),
            micro(past.committed),
            past.ended_at,
        ))?;
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
