//! Purchases of proxies in SQLite. An open place without an end of its time is `NULL`.

use rusqlite::{Connection, OptionalExtension as _};

use super::budget;
use super::claims::now;
use super::fault::Done;
use super::rows::{all, by_key, insert, save};
use crate::claiming;
use crate::columns::{
    EQUAL_RELAY, INSERT_RELAY, KEPT_RELAYS, RELAY_RECEIVED, SPENT_BY_RELAYS, UNKNOWN_RELAYS,
};
use crate::error::Error;
use crate::relay::{RecordedEnd, Relay, RelayLimits, RelayRefusal, Standing, key};
use crate::row::{Effect, Row};

/// As [`crate::store::Store::begin_relay`].
pub(super) fn begin(
    connection: &Connection,
    realm: i64,
    relay: &Relay,
    limits: &RelayLimits,
    worker: &str,
) -> Done<Result<Row, RelayRefusal>> {
    let now = now(connection)?;
    if let Err(refusal) = standing(connection, realm, relay, now)?.admit(relay, limits, now) {
        return Ok(Err(refusal));
    }
    let caps = budget::caps(connection, realm, now)?;
    if let Err(stop) = claiming::admit(relay.into(), &caps, uso::MicroDollars::new(0)) {
        return Ok(Err(RelayRefusal::Budget(stop)));
    }
    let mut row = claiming::relayed(realm, relay, worker, now);
    insert(connection, &mut row)?;
    save(connection, &row, 0, &Effect::default())?;
    connection.prepare_cached(INSERT_RELAY)?.execute((
        &relay.id,
        realm,
        row.purchase.id.0,
        &relay.owner,
        &relay.digest,
        &relay.endpoint,
        relay.is_kept,
        relay.record.to_string(),
        now,
    ))?;
    Ok(Ok(row))
}

fn standing(
    connection: &Connection,
    realm: i64,
    relay: &Relay,
    now: i64,
) -> rusqlite::Result<Standing> {
    let mut select = connection.prepare_cached(EQUAL_RELAY)?;
    let equal = select.query_row((realm, &relay.digest, now), |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    let mut select = connection.prepare_cached(KEPT_RELAYS)?;
    let (kept, kept_each) = select.query_row((&relay.owner, realm, now), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let since = (realm, &relay.owner, claiming::first_minute(now));
    let spent = all(connection, SPENT_BY_RELAYS, since, |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(Standing {
        equal: equal.optional()?,
        kept,
        kept_each,
        spent,
    })
}

/// As [`crate::store::Store::end_relay`].
pub(super) fn end(connection: &Connection, realm: i64, end: RecordedEnd) -> Done<()> {
    let Some(mut row) = by_key(connection, realm, &key(&end.id))? else {
        return Err(Error::NotFound(end.id).into());
    };
    let now = now(connection)?;
    let sql = "UPDATE relay SET request_id = ?3, record = ?4, repeat_until = ?5, kept_until = ?6 \
               WHERE realm = ?1 AND id = ?2";
    connection.prepare_cached(sql)?.execute((
        realm,
        &end.id,
        &end.request_id,
        &end.record,
        now.saturating_add(end.repeat_ms),
        now.saturating_add(end.kept_ms),
    ))?;
    let before = row.committed();
    if let Ok(effect) = row.apply(end.step, now) {
        save(connection, &row, before, &effect)?;
    }
    Ok(())
}

/// As [`crate::store::Store::adopt_relay`].
pub(super) fn adopt(
    connection: &Connection,
    realm: i64,
    [owner, app, request_id]: &[String; 3],
    kept_ms: i64,
) -> Done<()> {
    let now = now(connection)?;
    let sql = "INSERT INTO relay (id, realm, owner, app, request_id, is_kept, begun_at, kept_until) \
               SELECT 'adopted:' || ?1 || ':' || ?4, ?1, ?2, ?3, ?4, 1, ?5, ?6 WHERE NOT EXISTS \
               (SELECT 1 FROM relay WHERE realm = ?1 AND request_id = ?4)";
    let until = now.saturating_add(kept_ms);
    let values = (realm, owner, app, request_id, now, until);
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// As [`crate::store::Store::relay_received`].
pub(super) fn received(connection: &Connection, realm: i64, id: &str) -> Done<()> {
    connection
        .prepare_cached(RELAY_RECEIVED)?
        .execute((realm, id))?;
    Ok(())
}

/// As [`crate::store::Store::relay_owner`].
pub(super) fn owner(
    connection: &Connection,
    realm: i64,
    app: &str,
    request_id: &str,
) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT owner FROM relay WHERE realm = ?1 AND app = ?2 AND request_id = ?3 \
               AND kept_until > ?4 LIMIT 1";
    let values = (realm, app, request_id, now(connection)?);
    let mut select = connection.prepare_cached(sql)?;
    select.query_row(values, |row| row.get(0)).optional()
}

/// As [`crate::store::Store::unknown_relays`].
pub(super) fn unknown(connection: &Connection, realm: i64) -> rusqlite::Result<Vec<String>> {
    all(connection, UNKNOWN_RELAYS, [realm], |row| row.get(0))
}
