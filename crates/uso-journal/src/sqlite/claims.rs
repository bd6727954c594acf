//! Taking rows up and changing them, each in one transaction.

use rusqlite::Connection;

use crate::claiming::{self, Examined};
use crate::error::Error;
use crate::purchase::LocalId;
use crate::row::{Effect, Row, Step};
use crate::sendable::Sendable;
use crate::state::State;
use crate::store::{Claim, Claimed, Offer};

use super::budget;
use super::fault::Done;
use super::rows::{all, by_id, by_key, insert, known_requests, save, select};

/// The time by the database's clock, in milliseconds since 1970.
pub(super) fn now(connection: &Connection) -> rusqlite::Result<i64> {
    let mut select =
        connection.prepare_cached("SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)")?;
    select.query_row([], |row| row.get(0))
}

fn find_or_add(connection: &Connection, claim: &Claim, now: i64) -> rusqlite::Result<Row> {
    if let Some(row) = by_key(connection, claim.realm, &claim.key)? {
        return Ok(row);
    }
    let mut row = claiming::new_row(claim, now);
    insert(connection, &mut row)?;
    // With the names of its realm.
    Ok(by_id(connection, row.purchase.id)?.unwrap_or(row))
}

/// As [`crate::store::Store::claim`].
pub(super) fn claim(connection: &Connection, claim: &Claim, worker: &str) -> Done<Claimed> {
    let now = now(connection)?;
    let row = find_or_add(connection, claim, now)?;
    let before = row.committed();
    let (mut row, effect) = match claiming::examine(row, claim, now)? {
        Examined::Ends(claimed) => return Ok(claimed),
        Examined::Holds(row) => (row, Effect::default()),
        Examined::Buys(mut row, effect) => {
            budget::admit(connection, claim, now)?;
            claiming::reserve(&mut row, claim, now)?;
            (row, effect)
        }
    };
    claiming::hold(&mut row, worker);
    save(connection, &row, before, &effect)?;
    Ok(Claimed::Mine(Box::new(row)))
}

/// As [`crate::store::Store::offer`].
pub(super) fn offer(connection: &Connection, claim: &Claim, sendable: Sendable) -> Done<Claimed> {
    let now = now(connection)?;
    let row = find_or_add(connection, claim, now)?;
    let before = row.committed();
    let (mut row, effect) = match claiming::examine(row, claim, now)? {
        Examined::Ends(claimed) => return Ok(claimed),
        Examined::Holds(row) => return Ok(Claimed::Ended(Box::new(row))),
        Examined::Buys(row, effect) => (row, effect),
    };
    claiming::offer(&mut row, claim, sendable);
    save(connection, &row, before, &effect)?;
    Ok(Claimed::Mine(Box::new(row)))
}

/// As [`crate::store::Store::next`].
pub(super) fn next(
    connection: &Connection,
    offer: &Offer,
    most: usize,
    worker: &str,
) -> Done<Vec<Row>> {
    // Either state is a range of the index of states, in the order of the ids.
    let sql = "SELECT id FROM job WHERE realm = ?1 AND batch = ?2 AND state = ?3 \
               AND worker IS NULL AND sendable IS NOT NULL \
               AND id NOT IN (SELECT value FROM json_each(?4)) ORDER BY id LIMIT ?5";
    let given_up = serde_json::json!(offer.given_up).to_string();
    let mut rows = Vec::new();
    for state in [State::Submitted, State::Pending] {
        let left = most.saturating_sub(rows.len()) as i64;
        let values = (offer.realm, &offer.batch, state.as_str(), &given_up, left);
        for id in all(connection, sql, values, |row| row.get(0))? {
            rows.extend(by_id(connection, LocalId(id))?);
        }
    }
    let now = now(connection)?;
    let room = budget::room(connection, offer, now)?;
    let claimed = claiming::accept(rows, offer, Some(room), worker, now)?;
    for (row, before) in &claimed {
        save(connection, row, *before, &Effect::default())?;
    }
    Ok(claimed.into_iter().map(|(row, _)| row).collect())
}

/// As [`crate::store::Store::take`].
pub(super) fn take(connection: &Connection, id: LocalId, worker: &str) -> Done<Option<Row>> {
    let mut row = found(connection, id)?;
    if !claiming::has_work(&row) {
        return Ok(None);
    }
    let before = row.committed();
    claiming::hold(&mut row, worker);
    save(connection, &row, before, &Effect::default())?;
    Ok(Some(row))
}

/// As [`crate::store::Store::apply`].
pub(super) fn apply(
    connection: &Connection,
    id: LocalId,
    fence: Option<i64>,
    step: Step,
) -> Done<Row> {
    let mut row = found(connection, id)?;
    claiming::check_fence(&row, fence, &step)?;
    if let Some(request_id) = claiming::looked_up(&step)
        && !known_requests(connection, row.realm, id, vec![request_id.clone()])?.is_empty()
    {
        return Err(Error::OtherPurchase(request_id).into());
    }
    let before = row.committed();
    let effect = claiming::step(&mut row, step, now(connection)?)?;
    save(connection, &row, before, &effect)?;
    Ok(row)
}

/// Releases every row of a worker that is gone.
pub(super) fn bury(connection: &Connection, worker: &str) -> Done<()> {
    let now = now(connection)?;
    for mut row in select(connection, "WHERE worker = ?1", [worker])? {
        let before = row.committed();
        let effect = claiming::step(&mut row, Step::Bury, now)?;
        save(connection, &row, before, &effect)?;
    }
    Ok(())
}

fn found(connection: &Connection, id: LocalId) -> Done<Row> {
    let found = by_id(connection, id)?;
    Ok(found.ok_or_else(|| Error::NotFound(id.to_string()))?)
}
