//! Purchases of proxies in PostgreSQL. An open place without an end of its time is `NULL`.

use super::budget;
use super::fault::Fault;
use super::rows::{Locked, insert, lock_key, save, save_and_go_on};
use super::transaction::{Transaction, Values};
use crate::claiming;
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
    let sql = "INSERT INTO relay (id, realm, job, owner, digest, app, is_kept, record, begun_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
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
    transaction.execute(sql, values).await?;
    Ok(Ok(row))
}

async fn standing(
    transaction: &Transaction,
    realm: i64,
    relay: &Relay,
    now: i64,
) -> Result<Standing, Fault> {
    // A purchase whose proxy died is not repeated for two minutes from then on.
    let equal = "SELECT relay.request_id, \
                 coalesce(repeat_until, job.changed_at + 120000), job.worker IS NOT NULL \
                 FROM relay JOIN job ON job.id = relay.job \
                 WHERE relay.realm = $1 AND digest = $2 AND job.state <> 'failed' \
                 AND (job.worker IS NOT NULL \
                      OR coalesce(repeat_until, job.changed_at + 120000) > $3) LIMIT 1";
    // Two ranges of one index, so that what is kept no more costs nothing.
    let kept = "SELECT count(*), count(*) FILTER (WHERE owner = $3) FROM \
                (SELECT owner FROM relay WHERE realm = $1 AND is_kept AND kept_until > $2 \
                 UNION ALL SELECT owner FROM relay JOIN job ON job.id = relay.job \
                 WHERE relay.realm = $1 AND is_kept AND kept_until IS NULL \
                 AND job.worker IS NOT NULL) AS kept";
    let spent = "SELECT reserved_at / 60000, sum(coalesce(billed, reserved, 0))::bigint \
                 FROM relay JOIN job ON job.id = relay.job WHERE relay.realm = $1 AND owner = $2 \
                 AND begun_at >= $3::bigint * 60000 GROUP BY 1 ORDER BY 1";
    let found = transaction
        .row_opt(equal, &[&realm, &relay.digest, &now])
        .await?;
    let equal = match found {
        Some(row) => Some((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)),
        None => None,
    };
    let kept = transaction.row(kept, &[&realm, &now, &relay.owner]).await?;
    let since = claiming::first_minute(now);
    let sums = transaction
        .rows(spent, &[&realm, &relay.owner, &since])
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

/// As [`crate::store::Store::relay_received`]: realm and id.
pub(super) const RECEIVED: &str = "UPDATE relay SET repeat_until = 0 \
    WHERE realm = $1 AND id = $2 AND repeat_until IS NOT NULL";

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
    let sql = "SELECT record FROM relay JOIN job ON job.id = relay.job \
               WHERE relay.realm = $1 AND (state = 'unknown' OR state = 'handed_over' \
               AND is_kept AND relay.request_id IS NULL) ORDER BY job.id";
    let rows = transaction.rows(sql, &[&realm]).await?;
    let records = rows.iter().map(|row| Ok(row.try_get(0)?));
    records.collect()
}
