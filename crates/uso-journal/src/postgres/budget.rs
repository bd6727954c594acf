//! Caps, and what counts against them.
//!
//! Every transaction that books locks the row of its realm before the other sums, so that two of
//! them never wait for each other.

use tokio_postgres::Row as Found;
use uso::MicroDollars;

use super::fault::Fault;
use super::transaction::{Transaction, Write};
use crate::claiming;
use crate::columns::dollars;
use crate::money::Budget;
use crate::row::Row;

const BOOK_ON_REALM: &str = "UPDATE realm SET committed = committed + $2 WHERE id = $1";

const BOOK_ON_MINUTE: &str = "INSERT INTO spend (realm, minute, committed) VALUES ($1, $3, $2) \
    ON CONFLICT (realm, minute) DO UPDATE SET committed = spend.committed + excluded.committed";

const BOOK_ON_BATCH: &str = "INSERT INTO batch (realm, name, committed) VALUES ($1, $3, $2) \
    ON CONFLICT (realm, name) DO UPDATE SET committed = batch.committed + excluded.committed";

/// A change of what is committed, in the minute of a reservation.
pub(super) struct Booking<'r> {
    realm: i64,
    batch: &'r Option<String>,
    minute: i64,
    delta: i64,
}

impl<'r> Booking<'r> {
    /// A change by the row, or by rows with its realm, batch and time.
    pub(super) fn of(row: &'r Row, delta: i64) -> Self {
        Self {
            realm: row.realm,
            batch: &row.purchase.batch,
            minute: claiming::minute(row.reserved_at),
            delta,
        }
    }

    /// The statements that book it; none where nothing changes.
    pub(super) fn writes(&self) -> Vec<Write<'_>> {
        if self.delta == 0 {
            return Vec::new();
        }
        // The realm first: its lock orders all who book.
        let mut writes: Vec<Write<'_>> = vec![
            (BOOK_ON_REALM, vec![&self.realm, &self.delta]),
            (BOOK_ON_MINUTE, vec![&self.realm, &self.delta, &self.minute]),
        ];
        if self.batch.is_some() {
            writes.push((BOOK_ON_BATCH, vec![&self.realm, &self.delta, self.batch]));
        }
        writes
    }
}

/// Lets no other transaction book on a realm until this one ends. A new row of a job holds a weaker
/// lock on its realm, which this one lets be.
const LOCK: &str = "SELECT 1 FROM realm WHERE id = $1 FOR NO KEY UPDATE";

const CAPS: &str = "SELECT day_cap, total_cap, committed, \
    (SELECT coalesce(sum(spend.committed), 0)::bigint FROM spend \
     WHERE realm = $1 AND minute >= $2) \
    FROM realm WHERE id = $1";

/// As [`CAPS`], without the sum of a day that has no cap.
const CAPS_TO_HOLD: &str = "SELECT day_cap, total_cap, committed, CASE WHEN day_cap IS NULL THEN 0 \
    ELSE (SELECT coalesce(sum(spend.committed), 0)::bigint FROM spend \
          WHERE realm = $1 AND minute >= $2) END \
    FROM realm WHERE id = $1";

const OF_BATCH: &str = "SELECT committed, cap FROM batch WHERE realm = $1 AND name = $2";

/// What a batch has spent, and its cap for all workers.
#[derive(Default)]
pub(super) struct OfBatch {
    pub(super) committed: MicroDollars,
    pub(super) cap: Option<MicroDollars>,
}

/// As [`crate::store::Store::set_caps`]: realm, cap of a day, and cap in total.
pub(super) const SET: &str = "UPDATE realm SET day_cap = $2, total_cap = $3 WHERE id = $1";

/// As [`crate::store::Store::set_batch_cap`]: realm, batch and cap.
pub(super) const SET_OF_BATCH: &str = "INSERT INTO batch (realm, name, cap) VALUES ($1, $2, $3) \
    ON CONFLICT (realm, name) DO UPDATE SET cap = excluded.cap";

/// As [`crate::store::Store::caps`].
pub(super) async fn caps(transaction: &Transaction, realm: i64) -> Result<Budget, Fault> {
    let now = transaction.row("SELECT uso_now()", &[]).await?;
    let since = claiming::first_minute(now.try_get(0)?);
    read_caps(&transaction.row(CAPS, &[&realm, &since]).await?)
}

/// Reads the caps of a realm and of a batch, which then hold until the transaction ends: no other
/// one books.
pub(super) async fn hold(
    transaction: &Transaction,
    realm: i64,
    batch: Option<&str>,
    now: i64,
) -> Result<(Budget, OfBatch), Fault> {
    let since = claiming::first_minute(now);
    // Each statement sees what was committed before it, so that the lock has to come first.
    let [_, caps, of_batch] = transaction
        .all(&[
            (LOCK, &[&realm]),
            (CAPS_TO_HOLD, &[&realm, &since]),
            (OF_BATCH, &[&realm, &batch]),
        ])
        .await?;
    let caps = read_caps(caps.first().ok_or(Fault::Missing)?)?;
    Ok((caps, read_batch(of_batch.first())?))
}

/// Reads what a batch has spent, and its cap for all workers.
pub(super) async fn of_batch(
    transaction: &Transaction,
    realm: i64,
    batch: &str,
) -> Result<OfBatch, Fault> {
    read_batch(
        transaction
            .row_opt(OF_BATCH, &[&realm, &batch])
            .await?
            .as_ref(),
    )
}

fn read_caps(row: &Found) -> Result<Budget, Fault> {
    let amount = |column| -> Result<_, Fault> { Ok(dollars(row.try_get(column)?)) };
    let cap =
        |column| -> Result<_, Fault> { Ok(row.try_get::<_, Option<i64>>(column)?.map(dollars)) };
    Ok(Budget {
        day_cap: cap(0)?,
        total_cap: cap(1)?,
        total_committed: amount(2)?,
        day_committed: amount(3)?,
    })
}

fn read_batch(row: Option<&Found>) -> Result<OfBatch, Fault> {
    let Some(row) = row else {
        return Ok(OfBatch::default());
    };
    let cap: Option<i64> = row.try_get(1)?;
    Ok(OfBatch {
        committed: dollars(row.try_get(0)?),
        cap: cap.map(dollars),
    })
}
