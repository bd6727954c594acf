//! Caps, and what counts against them.
//!
//! Sums are kept, not computed: a cap of 24 hours adds up at most 1441 minutes, however many rows
//! there are.

use rusqlite::{Connection, OptionalExtension as _};
use uso::MicroDollars;

use crate::error::{BudgetStop, Scope};
use crate::row::Row;
use crate::store::{Caps, Claim};

type Result<T> = rusqlite::Result<T>;

const MINUTE: i64 = 60_000;
const MINUTES_OF_A_DAY: i64 = 24 * 60;

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
    spend.execute((row.realm, row.reserved_at / MINUTE, delta))?;
    if let Some(batch) = &row.purchase.batch {
        let mut update = connection.prepare_cached(
            "INSERT INTO batch (realm, name, committed) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET committed = committed + excluded.committed",
        )?;
        update.execute((row.realm, batch, delta))?;
    }
    Ok(())
}

fn dollars(micro: i64) -> MicroDollars {
    MicroDollars::new(u64::try_from(micro).unwrap_or_default())
}

pub(super) fn caps(connection: &Connection, realm: i64, now: i64) -> Result<Caps> {
    let mut select = connection
        .prepare_cached("SELECT day_cap, total_cap, committed FROM realm WHERE id = ?1")?;
    let (day, total, total_committed): (Option<i64>, Option<i64>, i64) =
        select.query_row([realm], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    // The minute that began 24 hours ago counts as a whole. A minute that is still to come, because
    // the clock was set back, counts as well.
    let mut select = connection.prepare_cached(
        "SELECT coalesce(sum(committed), 0) FROM spend WHERE realm = ?1 AND minute >= ?2",
    )?;
    let since = now / MINUTE - MINUTES_OF_A_DAY;
    let day_committed: i64 = select.query_row((realm, since), |row| row.get(0))?;
    Ok(Caps {
        day: day.map(dollars),
        total: total.map(dollars),
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
pub(super) fn admit(
    connection: &Connection,
    claim: &Claim,
    now: i64,
) -> Result<std::result::Result<(), BudgetStop>> {
    let caps = caps(connection, claim.realm, now)?;
    let batch = match (&claim.batch, claim.batch_cap) {
        (Some(name), Some(_)) => batch_committed(connection, claim.realm, name)?,
        _ => MicroDollars::new(0),
    };
    let scopes = [
        (Scope::Purchase, claim.cap, MicroDollars::new(0)),
        (Scope::Batch, claim.batch_cap, batch),
        (Scope::Day, caps.day, caps.day_committed),
        (Scope::Total, caps.total, caps.total_committed),
    ];
    for (scope, cap, committed) in scopes {
        let Some(cap) = cap else { continue };
        let Some(bound) = claim.quote.bound else {
            return Ok(Err(BudgetStop::NoPrice { scope, cap }));
        };
        if committed.get().saturating_add(bound.get()) > cap.get() {
            return Ok(Err(BudgetStop::Exceeded {
                scope,
                cap,
                committed,
                bound,
            }));
        }
    }
    Ok(Ok(()))
}
