//! Caps, and what counts against them.

use rusqlite::{Connection, OptionalExtension as _};
use uso::MicroDollars;

use super::fault::Done;
use crate::claiming::{self, Room};
use crate::columns::dollars;
use crate::error::Error;
use crate::money::Budget;
use crate::row::Row;
use crate::store::{Claim, Offer};

type Result<T> = rusqlite::Result<T>;

/// Books a change of what a row commits, in the minute of its reservation.
pub(super) fn book(connection: &Connection, row: &Row, delta: i64) -> Result<()> {
    if delta == 0 {
        return Ok(());
    }
    let mut total =
        connection.prepare_cached("UPDATE realm SET committed = committed + ?2 WHERE id = ?1")?;
    total.execute((row.realm, delta))?;
    let mut spend = connection.prepare_cached(
        "INSERT INTO spend (realm, minute, committed) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET committed = committed + excluded.committed",
    )?;
    spend.execute((row.realm, claiming::minute(row.reserved_at), delta))?;
    if let Some(batch) = &row.purchase.batch {
        let mut update = connection.prepare_cached(
            "INSERT INTO batch (realm, name, committed) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET committed = committed + excluded.committed",
        )?;
        update.execute((row.realm, batch, delta))?;
    }
    Ok(())
}

pub(super) fn caps(connection: &Connection, realm: i64, now: i64) -> Result<Budget> {
    let mut select = connection
        .prepare_cached("SELECT day_cap, total_cap, committed FROM realm WHERE id = ?1")?;
    let (day, total, total_committed): (Option<i64>, Option<i64>, i64) =
        select.query_row([realm], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut select = connection.prepare_cached(
        "SELECT coalesce(sum(committed), 0) FROM spend WHERE realm = ?1 AND minute >= ?2",
    )?;
    let since = (realm, claiming::first_minute(now));
    let day_committed: i64 = select.query_row(since, |row| row.get(0))?;
    Ok(Budget {
        day_cap: day.map(dollars),
        total_cap: total.map(dollars),
        day_committed: dollars(day_committed),
        total_committed: dollars(total_committed),
    })
}

pub(super) fn batch_committed(
    connection: &Connection,
    realm: i64,
    batch: &str,
) -> Result<MicroDollars> {
    let mut select =
        connection.prepare_cached("SELECT committed FROM batch WHERE realm = ?1 AND name = ?2")?;
    let committed: Option<i64> = select
        .query_row((realm, batch), |row| row.get(0))
        .optional()?;
    Ok(dollars(committed.unwrap_or_default()))
}

/// Whether every cap leaves room for a purchase.
pub(super) fn admit(connection: &Connection, claim: &Claim, now: i64) -> Done<()> {
    let caps = caps(connection, claim.realm, now)?;
    let batch = match (&claim.batch, claim.batch_cap) {
        (Some(name), Some(_)) => batch_committed(connection, claim.realm, name)?,
        _ => MicroDollars::new(0),
    };
    Ok(claiming::admit(claim.into(), &caps, batch).map_err(Error::from)?)
}

/// What the caps leave for the rows of an offer: the cap of the batch is that of all workers.
pub(super) fn room(connection: &Connection, offer: &Offer, now: i64) -> Result<Room> {
    let caps = caps(connection, offer.realm, now)?;
    let mut select =
        connection.prepare_cached("SELECT cap FROM batch WHERE realm = ?1 AND name = ?2")?;
    let cap: Option<Option<i64>> = select
        .query_row((offer.realm, &offer.batch), |row| row.get(0))
        .optional()?;
    let committed = batch_committed(connection, offer.realm, &offer.batch)?;
    Ok(Room::new(caps, committed, cap.flatten().map(dollars)))
}
