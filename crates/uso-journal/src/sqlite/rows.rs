//! Rows of the table `job` as values, and back.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, named_params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uso::MicroDollars;

use crate::purchase::{Cause, Cost, LocalId, Purchase, Reason, from_ms, to_ms};
use crate::row::{Effect, Row};
use crate::state::State;

/// The columns that [`read`] reads, in its order.
pub(super) const SELECT: &str = "SELECT job.id, job.realm, key, batch, origin, account, endpoint, \
    state, attempt, cause, message, fingerprint, input, target, intent, ticket, pictures, seed, \
    unit_price, estimate, reserved, billed, reserved_at, created_at, changed_at, worker, fence, \
    cancel_asked, pruned, kind FROM job JOIN realm ON realm.id = job.realm";

type Result<T> = rusqlite::Result<T>;

fn unreadable(
    column: usize,
    why: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(why))
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not known")]
struct UnknownWord(String);

fn json<T: DeserializeOwned>(row: &SqlRow<'_>, column: usize) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    let value = text.map(|text| serde_json::from_str(&text)).transpose();
    value.map_err(|error| unreadable(column, error))
}

fn text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn amount(row: &SqlRow<'_>, column: usize) -> Result<Option<MicroDollars>> {
    let micro: Option<i64> = row.get(column)?;
    Ok(micro.map(|micro| MicroDollars::new(u64::try_from(micro).unwrap_or_default())))
}

pub(super) fn micro(amount: MicroDollars) -> i64 {
    i64::try_from(amount.get()).unwrap_or(i64::MAX)
}

pub(super) fn state(row: &SqlRow<'_>, column: usize) -> Result<State> {
    let word: String = row.get(column)?;
    State::from_name(&word).ok_or_else(|| unreadable(column, UnknownWord(word)))
}

fn reason(row: &SqlRow<'_>, column: usize) -> Result<Option<Reason>> {
    let Some(word) = row.get::<_, Option<String>>(column)? else {
        return Ok(None);
    };
    let cause = Cause::from_name(&word).ok_or_else(|| unreadable(column, UnknownWord(word)))?;
    let message: Option<String> = row.get(column + 1)?;
    let kind: Option<String> = row.get(29)?;
    Ok(Some(Reason {
        kind: kind.and_then(|kind| serde_json::from_value(kind.into()).ok()),
        ..Reason::new(cause, message.unwrap_or_default())
    }))
}

/// A row of [`SELECT`].
pub(super) fn read(row: &SqlRow<'_>) -> Result<Row> {
    let worker: Option<String> = row.get(25)?;
    let seed: Option<String> = row.get(17)?;
    let seed = seed.map(|seed| seed.parse().map_err(|error| unreadable(17, error)));
    Ok(Row {
        purchase: Purchase {
            id: LocalId(row.get(0)?),
            key: row.get(2)?,
            batch: row.get(3)?,
            origin: row.get(4)?,
            account: row.get(5)?,
            endpoint: row.get(6)?,
            state: state(row, 7)?,
            attempt: row.get(8)?,
            reason: reason(row, 9)?,
            fingerprint: row.get(11)?,
            input: json(row, 12)?,
            intent: json(row, 14)?,
            ticket: json(row, 15)?,
            target: json(row, 13)?,
            pictures: json(row, 16)?.unwrap_or_default(),
            seed: seed.transpose()?,
            cost: Cost {
                unit_price: json(row, 18)?,
                estimate: amount(row, 19)?,
                reserved: amount(row, 20)?,
                billed: amount(row, 21)?,
            },
            created_at: from_ms(row.get(23)?),
            changed_at: from_ms(row.get(24)?),
            in_work: worker.is_some(),
            pruned: row.get(28)?,
        },
        realm: row.get(1)?,
        worker,
        fence: row.get(26)?,
        reserved_at: row.get(22)?,
        cancel_asked: row.get(27)?,
    })
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
    let cost = &purchase.cost;
    let mut update = connection.prepare_cached(
        "UPDATE job SET batch = :batch, state = :state, attempt = :attempt, cause = :cause, \
         kind = :kind, attempt_digest = :attempt_digest, message = :message, input = :input, target = :target, intent = :intent, ticket = :ticket, \
         request_id = :request_id, pictures = :pictures, seed = :seed, unit_price = :unit_price, \
         estimate = :estimate, reserved = :reserved, billed = :billed, reserved_at = :reserved_at, \
         changed_at = :changed_at, worker = :worker, fence = :fence, cancel_asked = :cancel_asked, \
         pruned = :pruned WHERE id = :id",
    )?;
    update.execute(named_params! {
        ":id": purchase.id.0,
        ":batch": purchase.batch,
        ":state": purchase.state.as_str(),
        ":attempt": purchase.attempt,
        ":cause": purchase.reason.as_ref().map(|reason| reason.cause.as_str()),
        ":kind": purchase.reason.as_ref().and_then(|reason| reason.kind).map(uso::ErrorKind::as_str),
        ":attempt_digest": purchase.intent.as_ref().and_then(uso::Intent::attempt_digest),
        ":message": purchase.reason.as_ref().map(|reason| reason.message.as_str()),
        ":input": purchase.input.as_ref().map(text).transpose()?,
        ":target": purchase.target.as_ref().map(text).transpose()?,
        ":intent": purchase.intent.as_ref().map(text).transpose()?,
        ":ticket": purchase.ticket.as_ref().map(text).transpose()?,
        ":request_id": purchase.request_id(),
        ":pictures": text(&purchase.pictures)?,
        ":seed": purchase.seed.map(|seed| seed.to_string()),
        ":unit_price": cost.unit_price.as_ref().map(text).transpose()?,
        ":estimate": cost.estimate.map(micro),
        ":reserved": cost.reserved.map(micro),
        ":billed": cost.billed.map(micro),
        ":reserved_at": row.reserved_at,
        ":changed_at": to_ms(purchase.changed_at),
        ":worker": row.worker,
        ":fence": row.fence,
        ":cancel_asked": row.cancel_asked,
        ":pruned": purchase.pruned,
    })?;
    record_paths(connection, purchase)?;
    let mut after = row.committed();
    if let Some(past) = &effect.archived {
        after = after.saturating_add(past.committed.get());
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
            past.intent.as_ref().map(text).transpose()?,
            past.ticket.as_ref().map(text).transpose()?,
            past.ticket.as_ref().map(uso::Ticket::request_id),
            micro(past.committed),
            past.ended_at,
        ))?;
    }
    let signed = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
    super::budget::book(connection, row, signed(after) - signed(before))
}

fn record_paths(connection: &Connection, purchase: &Purchase) -> Result<()> {
    for picture in &purchase.pictures {
        let mut insert =
            connection.prepare_cached("INSERT OR IGNORE INTO file (path, job) VALUES (?1, ?2)")?;
        insert.execute((picture.path.to_string_lossy(), purchase.id.0))?;
    }
    Ok(())
}
