//! Purchases of proxies in PostgreSQL. An open place without an end of its time is `NULL`.

use super::budget;
use super::fault::Fault;
use super::rows::{Locked, insert, lock_key, save, save_and_go_on};
use super::transaction::{Transaction, Values};
use crate::claiming;
use crate::columns::{EQUAL_RELAY, INSERT_RELAY, KEPT_RELAYS, SPENT_BY_RELAYS, UNKNOWN_RELAYS};
use crate::error::Error;
use crate::relay::{RecordedEnd, Relay, RelayLimits, RelayRefusal, Standing, key};
use crate::row::{Effect, Row};

/// As [`crate::store::Store::begin_relay`].
pub(super) async fn begin(
    transaction: &Transaction,
    realm: i64,
    relay: &Relay,
    limits: &RelayLimits,
    worker: &str,
) -> Result<Result<Row, RelayRefusal>, Fault> {
    // Holds the caps, so that the standing of the caller is read under the same lock.
    let now: i64 = transaction.row("SELECT uso_now()", &[]).await?.try_get(0)?;
    let (caps, _) = budget::hold(transaction, realm, None, now).await?;
    // The key is new for each purchase: a row is of an earlier try of this transaction.
    if let Some(begun) = lock_key(transaction, realm, &key(&relay.id)).await? {
        return Ok(Ok(begun.row));
    }
    let standing = standing(transaction, realm, relay, now).await?;
    if let Err(refusal) = standing.admit(relay, limits, now) {
        return Ok(Err(refusal));
    }
    if let Err(stop) = claiming::admit(relay.into(), &caps, uso::MicroDollars::new(0)) {
        return Ok(Err(RelayRefusal::Budget(stop)));
    }
    let mut row = claiming::relayed(realm, relay, worker, now);
    insert(transaction, &row).await?;
    if let Some(added) = lock_key(transaction, realm, &row.purchase.key).await? {
        row.purchase.id = added.row.purchase.id;
    }
    save_and_go_on(transaction, &row, 0, &Effect::default()).await?;
    let record = relay.record.to_string();
    let values: Values<'_> = &[
        &relay.id,
        &realm,
        &row.purchase.id.0,
        &relay.owner,
        &relay.digest,
        &relay.endpoint,
        &relay.is_kept,
        &record,
        &now,
    ];
    transaction.execute(INSERT_RELAY, values).await?;
    Ok(Ok(row))
}

async fn standing(
    transaction: &Transaction,
    realm: i64,
    relay: &Relay,
    now: i64,
) -> Result<Standing, Fault> {
    let found = transaction
        .row_opt(EQUAL_RELAY, &[&realm, &relay.digest, &now])
        .await?;
    let equal = match found {
        Some(row) => Some((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)),
        None => None,
    };
    let kept = transaction
        .row(KEPT_RELAYS, &[&relay.owner, &realm, &now])
        .await?;
    let since = claiming::first_minute(now);
    let sums = transaction
        .rows(SPENT_BY_RELAYS, &[&realm, &relay.owner, &since])
        .await?;
    let sums = sums
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    Ok(Standing {
        equal,
        kept: kept.try_get(0)?,
        kept_each: kept.try_get(1)?,
        spent: sums.collect::<Result<_, Fault>>()?,
    })
}

/// As [`crate::store::Store::end_relay`].
pub(super) async fn end(
    transaction: &Transaction,
    realm: i64,
    end: &RecordedEnd,
) -> Result<(), Fault> {
    let RecordedEnd {
        id,
        step,
        request_id,
        record,
        repeat_ms,
        kept_ms,
    } = end;
    let locked = lock_key(transaction, realm, &key(id)).await?;
    let Locked {
        mut row,
        written,
        now,
    } = locked.ok_or_else(|| Error::NotFound(id.clone()))?;
    if written == Some(transaction.token) {
        return Ok(());
    }
    let sql = "UPDATE relay SET request_id = $3, record = $4, \
               repeat_until = uso_now() + $5::bigint, kept_until = uso_now() + $6::bigint \
               WHERE realm = $1 AND id = $2";
    let values: Values<'_> = &[&realm, id, request_id, record, repeat_ms, kept_ms];
    transaction.execute(sql, values).await?;
    let before = row.committed();
    if let Ok(effect) = row.apply(step.clone(), now) {
        save(transaction, &row, before, &effect).await?;
    }
    Ok(())
}

/// As [`crate::store::Store::adopt_relay`]: realm, owner, endpoint, request id and milliseconds.
pub(super) const ADOPT: &str = "INSERT INTO relay \
    (id, realm, owner, app, request_id, is_kept, begun_at, kept_until) \
    SELECT 'adopted:' || $1::bigint || ':' || $4::text, $1, $2, $3, $4, true, \
    uso_now(), uso_now() + $5::bigint WHERE NOT EXISTS \
    (SELECT 1 FROM relay WHERE realm = $1 AND request_id = $4) ON CONFLICT DO NOTHING";

/// As [`crate::store::Store::relay_owner`]: realm, endpoint and request id.
pub(super) async fn owner(
    transaction: &Transaction,
    values: Values<'_>,
) -> Result<Option<String>, Fault> {
    let sql = "SELECT owner FROM relay WHERE realm = $1 AND app = $2 AND request_id = $3 \
               AND kept_until > uso_now() LIMIT 1";
    let found = transaction.row_opt(sql, values).await?;
    Ok(found.map(|row| row.try_get(0)).transpose()?)
}

/// As [`crate::store::Store::unknown_relays`].
pub(super) async fn unknown(transaction: &Transaction, realm: i64) -> Result<Vec<String>, Fault> {
    let rows = transaction.rows(UNKNOWN_RELAYS, &[&realm]).await?;
    let records = rows.iter().map(|row| Ok(row.try_get(0)?));
    records.collect()
}
