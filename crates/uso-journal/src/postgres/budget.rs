//! Caps, and what counts against them.
//!
//! Every transaction that books locks the row of its realm before the other sums, so that two of
//! them never wait for each other.

use uso::MicroDollars;

use super::fault::Fault;
use super::transaction::Transaction;
use crate::claiming;
use crate::columns::dollars;
use crate::row::Row;
use crate::store::Caps;

/// Books a change of what a row commits, in the minute of its reservation.
pub(super) async fn book(transaction: &Transaction, row: &Row, delta: i64) -> Result<(), Fault> {
    if delta == 0 {
        return Ok(());
    }
    let realm = "UPDATE realm SET committed = committed + $2 WHERE id = $1";
    transaction.execute(realm, &[&row.realm, &delta]).await?;
    let spend = "INSERT INTO spend (realm, minute, committed) VALUES ($1, $2, $3) \
                 ON CONFLICT (realm, minute) \
                 DO UPDATE SET committed = spend.committed + excluded.committed";
    let minute = claiming::minute(row.reserved_at);
    transaction
        .execute(spend, &[&row.realm, &minute, &delta])
        .await?;
    if let Some(batch) = &row.purchase.batch {
        let sum = "INSERT INTO batch (realm, name, committed) VALUES ($1, $2, $3) \
                   ON CONFLICT (realm, name) \
                   DO UPDATE SET committed = batch.committed + excluded.committed";
        transaction
            .execute(sum, &[&row.realm, batch, &delta])
            .await?;
    }
    Ok(())
}

/// Lets no other transaction book on this realm until this one ends.
pub(super) async fn lock(transaction: &Transaction, realm: i64) -> Result<(), Fault> {
    // A new row of a job holds a weaker lock on its realm, which this one lets be.
    let lock = "SELECT 1 FROM realm WHERE id = $1 FOR NO KEY UPDATE";
    transaction.rows(lock, &[&realm]).await?;
    Ok(())
}

/// Reads the caps. After [`lock`], they hold until the transaction ends.
pub(super) async fn caps(transaction: &Transaction, realm: i64, now: i64) -> Result<Caps, Fault> {
    let sql = "SELECT day_cap, total_cap, committed, \
               (SELECT coalesce(sum(spend.committed), 0)::bigint FROM spend \
                WHERE realm = $1 AND minute >= $2) \
               FROM realm WHERE id = $1";
    let since = claiming::first_minute(now);
    let row = transaction.row(sql, &[&realm, &since]).await?;
    let amount = |column| -> Result<_, Fault> { Ok(dollars(row.try_get(column)?)) };
    let cap =
        |column| -> Result<_, Fault> { Ok(row.try_get::<_, Option<i64>>(column)?.map(dollars)) };
    Ok(Caps {
        day: cap(0)?,
        total: cap(1)?,
        total_committed: amount(2)?,
        day_committed: amount(3)?,
    })
}

/// What counts against the cap of a batch, and the cap that holds for all workers.
pub(super) async fn of_batch(
    transaction: &Transaction,
    realm: i64,
    batch: &str,
) -> Result<(MicroDollars, Option<MicroDollars>), Fault> {
    let sql = "SELECT committed, cap FROM batch WHERE realm = $1 AND name = $2";
    let Some(row) = transaction.row_opt(sql, &[&realm, &batch]).await? else {
        return Ok((MicroDollars::new(0), None));
    };
    let cap: Option<i64> = row.try_get(1)?;
    Ok((dollars(row.try_get(0)?), cap.map(dollars)))
}
