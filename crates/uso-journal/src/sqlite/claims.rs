//! Taking rows up and changing them, each in one transaction.

use rusqlite::Connection;

use crate::error::Error;
use crate::purchase::{Cost, LocalId, Purchase, from_ms};
use crate::row::{Effect, Row, Step};
use crate::state::State;
use crate::store::{Claim, Claimed};

use super::budget;
use super::rows::{by_id, by_key, insert, save};

/// A result of the database, which holds the result for the caller.
pub(super) type Done<T> = rusqlite::Result<Result<T, Error>>;

/// The time by the database's clock, in milliseconds since 1970.
pub(super) fn now(connection: &Connection) -> rusqlite::Result<i64> {
    let mut select =
        connection.prepare_cached("SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)")?;
    select.query_row([], |row| row.get(0))
}

/// As [`crate::store::Store::claim`].
pub(super) fn claim(connection: &Connection, claim: &Claim) -> Done<Claimed> {
    let now = now(connection)?;
    let mut row = match by_key(connection, claim.realm, &claim.key)? {
        Some(row) => {
            let row = Box::new(row);
            if row.purchase.fingerprint != claim.recipe.fingerprint().as_str() {
                return Ok(Ok(Claimed::Conflict(row)));
            }
            if row.worker.is_some() {
                return Ok(Ok(Claimed::Busy(row)));
            }
            if row.purchase.pruned {
                return Ok(Ok(Claimed::Ended(row)));
            }
            *row
        }
        None => {
            let mut row = new_row(claim, now);
            insert(connection, &mut row)?;
            // With the names of its realm.
            by_id(connection, row.purchase.id)?.unwrap_or(row)
        }
    };
    let before = row.committed();
    let mut effect = Effect::default();
    // Without a worker nothing is reserved or being sent.
    if matches!(row.purchase.state, State::Reserved | State::Sending)
        && let Err(error) = change(&mut row, Step::Bury, now)
    {
        return Ok(Err(error));
    }
    match row.purchase.state {
        State::Submitted | State::Unknown => {
            hold(&mut row, &claim.worker);
            save(connection, &row, before, &effect)?;
            return Ok(Ok(Claimed::Mine(Box::new(row))));
        }
        State::Pending => {}
        State::Failed if row.purchase.is_not_bought() => match change(&mut row, Step::Retry, now) {
            Ok(more) => effect = more,
            Err(error) => return Ok(Err(error)),
        },
        _ => return Ok(Ok(Claimed::Ended(Box::new(row)))),
    }
    if let Err(stop) = budget::admit(connection, claim, now)? {
        return Ok(Err(stop.into()));
    }
    // What was not bought yet belongs to the caller who buys it.
    row.purchase.batch.clone_from(&claim.batch);
    row.purchase.input = Some(claim.recipe.json().clone());
    row.purchase.target = Some(claim.target.clone());
    if let Err(error) = change(&mut row, Step::Reserve(claim.quote), now) {
        return Ok(Err(error));
    }
    hold(&mut row, &claim.worker);
    save(connection, &row, before, &effect)?;
    Ok(Ok(Claimed::Mine(Box::new(row))))
}

fn new_row(claim: &Claim, now: i64) -> Row {
    Row {
        purchase: Purchase {
            id: LocalId(0),
            key: claim.key.clone(),
            batch: claim.batch.clone(),
            origin: String::new(),
            account: String::new(),
            endpoint: claim.endpoint.clone(),
            state: State::Pending,
            attempt: 1,
            reason: None,
            fingerprint: claim.recipe.fingerprint().as_str().to_owned(),
            input: None,
            intent: None,
            ticket: None,
            target: None,
            pictures: Vec::new(),
            seed: None,
            cost: Cost::default(),
            created_at: from_ms(now),
            changed_at: from_ms(now),
            in_work: false,
            pruned: false,
        },
        realm: claim.realm,
        worker: None,
        fence: 0,
        reserved_at: 0,
        cancel_asked: false,
    }
}

fn hold(row: &mut Row, worker: &str) {
    row.worker = Some(worker.to_owned());
    row.purchase.in_work = true;
    row.fence = row.fence.saturating_add(1);
}

fn change(row: &mut Row, step: Step, now: i64) -> Result<Effect, Error> {
    let id = row.purchase.id;
    row.apply(step, now)
        .map_err(|source| Error::NotAllowed { id, source })
}

/// As [`crate::store::Store::take`].
pub(super) fn take(connection: &Connection, id: LocalId, worker: &str) -> Done<Option<Row>> {
    let Some(mut row) = by_id(connection, id)? else {
        return Ok(Err(Error::NotFound(id.to_string())));
    };
    let has_work = matches!(row.purchase.state, State::Submitted | State::Unknown);
    if row.worker.is_some() || !has_work {
        return Ok(Ok(None));
    }
    let before = row.committed();
    hold(&mut row, worker);
    save(connection, &row, before, &Effect::default())?;
    Ok(Ok(Some(row)))
}

/// As [`crate::store::Store::apply`].
pub(super) fn apply(
    connection: &Connection,
    id: LocalId,
    fence: Option<i64>,
    step: Step,
) -> Done<Row> {
    let Some(mut row) = by_id(connection, id)? else {
        return Ok(Err(Error::NotFound(id.to_string())));
    };
    match (fence, &row.worker) {
        (Some(fence), Some(_)) if fence == row.fence => {}
        (Some(_), _) => return Ok(Err(Error::TakenOver(id))),
        // News of the service is taken whatever a worker does; the worker reads the row again.
        (None, Some(_)) if matches!(step, Step::Accept(_) | Step::AskCancel) => {}
        (None, Some(_)) => return Ok(Err(Error::Busy(id))),
        (None, None) => {}
    }
    let before = row.committed();
    let effect = match change(&mut row, step, now(connection)?) {
        Ok(effect) => effect,
        Err(error) => return Ok(Err(error)),
    };
    save(connection, &row, before, &effect)?;
    Ok(Ok(row))
}

/// As [`crate::store::Store::bury`].
pub(super) fn bury(connection: &Connection, worker: &str) -> Done<()> {
    let now = now(connection)?;
    let mut select = connection.prepare_cached("SELECT id FROM job WHERE worker = ?1")?;
    let ids = select.query_map([worker], |row| row.get(0))?;
    let ids = ids.collect::<rusqlite::Result<Vec<i64>>>()?;
    for id in ids {
        let Some(mut row) = by_id(connection, LocalId(id))? else {
            continue;
        };
        let before = row.committed();
        match change(&mut row, Step::Bury, now) {
            Ok(effect) => save(connection, &row, before, &effect)?,
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(()))
}
