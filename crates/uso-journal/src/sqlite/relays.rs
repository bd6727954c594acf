//! Purchases of proxies in SQLite. An open place without an end of its time is `NULL`.

use rusqlite::{Connection, OptionalExtension as _};

use super::budget;
use super::claims::now;
use super::fault::Done;
use super::rows::{all, by_key, insert, save};
use crate::claiming;
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
    let sql = "INSERT INTO relay (id, realm, job, owner, digest, app, is_kept, record, begun_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    connection.prepare_cached(sql)?.execute((
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
    // A purchase whose proxy died is not repeated for two minutes from then on.
    let equal = "SELECT relay.request_id, \
                 coalesce(repeat_until, job.changed_at + 120000), job.worker IS NOT NULL \
                 FROM relay JOIN job ON job.id = relay.job \
                 WHERE relay.realm = ?1 AND digest = ?2 AND job.state <> 'failed' \
                 AND (job.worker IS NOT NULL \
                      OR coalesce(repeat_until, job.changed_at + 120000) > ?3) LIMIT 1";
    // Two ranges of one index, so that what is kept no more costs nothing.
    let kept = "SELECT count(*), coalesce(sum(is_mine), 0) FROM \
                (SELECT owner = ?3 AS is_mine FROM relay \
                 WHERE realm = ?1 AND is_kept AND kept_until > ?2 \
                 UNION ALL SELECT owner = ?3 FROM relay JOIN job ON job.id = relay.job \
                 WHERE relay.realm = ?1 AND is_kept AND kept_until IS NULL \
                 AND job.worker IS NOT NULL)";
    let spent = "SELECT reserved_at / 60000, sum(coalesce(billed, reserved, 0)) \
                 FROM relay JOIN job ON job.id = relay.job WHERE relay.realm = ?1 AND owner = ?2 \
                 AND begun_at >= ?3 * 60000 GROUP BY 1 ORDER BY 1";
    let mut select = connection.prepare_cached(equal)?;
    let equal = select.query_row((realm, &relay.digest, now), |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    let mut select = connection.prepare_cached(kept)?;
    let (kept, kept_each) = select.query_row((realm, now, &relay.owner), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let since = (realm, &relay.owner, claiming::first_minute(now));
    let spent = all(connection, spent, since, |row| {
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
    let sql = "UPDATE relay SET repeat_until = 0 \
               WHERE realm = ?1 AND id = ?2 AND repeat_until IS NOT NULL";
    connection.prepare_cached(sql)?.execute((realm, id))?;
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
    let sql = "SELECT record FROM relay JOIN job ON job.id = relay.job \
               WHERE relay.realm = ?1 AND (state = 'unknown' OR state = 'handed_over' \
               AND is_kept AND relay.request_id IS NULL) ORDER BY job.id";
    all(connection, sql, [realm], |row| row.get(0))
}
