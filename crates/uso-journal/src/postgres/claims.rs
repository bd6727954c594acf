//! Taking rows up and changing them, each in one transaction.
//!
//! Locks are taken in one order: rows of jobs by their ids, then the realm with its sums. A
//! transaction that is run again after its connection was lost finds its token in the row if the
//! first try was committed; the lock of the row waits for a first try that is still under way. A
//! claim of the next rows passes locked rows by, so that each try of it takes a lock of its token
//! before.

use super::budget;
use super::fault::Fault;
use super::rows::{
    Locked, insert, known_requests, lock, lock_key, lock_next, lock_worker, save, save_and_go_on,
    save_claimed, written,
};
use super::transaction::Transaction;
use crate::claiming::{self, Examined, Room};
use crate::error::Error;
use crate::purchase::{LocalId, to_ms};
use crate::row::{Effect, Row, Step};
use crate::sendable::Sendable;
use crate::state::State;
use crate::store::{Claim, Claimed, Offer};

/// As [`crate::store::Store::claim`].
pub(super) async fn claim(
    transaction: &Transaction,
    claim: &Claim,
    worker: &str,
) -> Result<Claimed, Fault> {
    let Locked { row, written, now } = find_or_add(transaction, claim).await?;
    if written == Some(transaction.token) {
        return Ok(Claimed::Mine(Box::new(row)));
    }
    let before = row.committed();
    let (mut row, effect) = match claiming::examine(row, claim, now)? {
        Examined::Ends(claimed) => return Ok(claimed),
        Examined::Holds(row) => (row, Effect::default()),
        Examined::Buys(mut row, effect) => {
            let held = budget::hold(transaction, claim.realm, claim.batch.as_deref(), now);
            let (caps, batch) = held.await?;
            claiming::admit(claim.into(), &caps, batch.committed).map_err(Error::from)?;
            claiming::reserve(&mut row, claim, now)?;
            (row, effect)
        }
    };
    claiming::hold(&mut row, worker);
    save(transaction, &row, before, &effect).await?;
    Ok(Claimed::Mine(Box::new(row)))
}

/// As [`crate::store::Store::offer`].
pub(super) async fn offer(
    transaction: &Transaction,
    claim: &Claim,
    sendable: Sendable,
) -> Result<Claimed, Fault> {
    let Locked { row, written, now } = find_or_add(transaction, claim).await?;
    if written == Some(transaction.token) {
        return Ok(Claimed::Mine(Box::new(row)));
    }
    let before = row.committed();
    let (mut row, effect) = match claiming::examine(row, claim, now)? {
        Examined::Ends(claimed) => return Ok(claimed),
        Examined::Holds(row) => return Ok(Claimed::Ended(Box::new(row))),
        Examined::Buys(row, effect) => (row, effect),
    };
    claiming::offer(&mut row, claim, sendable);
    save(transaction, &row, before, &effect).await?;
    Ok(Claimed::Mine(Box::new(row)))
}

/// As [`crate::store::Store::next`].
pub(super) async fn next(
    transaction: &Transaction,
    offer: &Offer,
    most: usize,
    worker: &str,
) -> Result<Vec<Row>, Fault> {
    if transaction.is_repeat {
        let rows = written(transaction, worker).await?;
        if !rows.is_empty() {
            return Ok(rows);
        }
    }
    let found = lock_next(transaction, offer, most).await?;
    // One time for all rows, so that they are booked in one minute.
    let Some(now) = found.first().map(|first| first.now) else {
        return Ok(Vec::new());
    };
    let rows: Vec<Row> = found.into_iter().map(|found| found.row).collect();
    let mut room = None;
    if rows.iter().any(|row| claiming::price(row).is_some()) {
        let held = budget::hold(transaction, offer.realm, Some(&offer.batch), now);
        let (caps, batch) = held.await?;
        room = Some(Room::new(caps, batch.committed, batch.cap));
    }
    let claimed = claiming::accept(rows, offer, room, worker, now)?;
    save_claimed(transaction, &claimed).await?;
    Ok(claimed.into_iter().map(|(row, _)| row).collect())
}

/// As [`crate::store::Store::take`].
pub(super) async fn take(
    transaction: &Transaction,
    id: LocalId,
    worker: &str,
) -> Result<Option<Row>, Fault> {
    let Locked {
        mut row, written, ..
    } = found(transaction, id).await?;
    if written == Some(transaction.token) {
        return Ok(Some(row));
    }
    if !claiming::has_work(&row) {
        return Ok(None);
    }
    let before = row.committed();
    claiming::hold(&mut row, worker);
    save(transaction, &row, before, &Effect::default()).await?;
    Ok(Some(row))
}

/// As [`crate::store::Store::apply`].
pub(super) async fn apply(
    transaction: &Transaction,
    id: LocalId,
    fence: Option<i64>,
    step: Step,
) -> Result<Row, Fault> {
    let Locked {
        mut row,
        written,
        now,
    } = found(transaction, id).await?;
    if written == Some(transaction.token) {
        return Ok(row);
    }
    claiming::check_fence(&row, fence, &step)?;
    if let Some(request_id) = claiming::looked_up(&step) {
        // Two rows whose searches find one request are recorded one after the other.
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        transaction.rows(lock, &[&request_id]).await?;
        let ids = [request_id.clone()];
        if !known_requests(transaction, row.realm, id, &ids)
            .await?
            .is_empty()
        {
            return Err(Error::OtherPurchase(request_id).into());
        }
    }
    let before = row.committed();
    let effect = claiming::step(&mut row, step, now)?;
    save(transaction, &row, before, &effect).await?;
    Ok(row)
}

/// Releases every row of a worker whose lease has ended, or that has none; `false` while it has one.
pub(super) async fn release(transaction: &Transaction, worker: &str) -> Result<bool, Fault> {
    let lease = "SELECT expires_at < uso_now() FROM worker WHERE id = $1 FOR UPDATE";
    let lease = transaction.row_opt(lease, &[&worker]).await?;
    let has_ended = lease.map(|row| row.try_get(0)).transpose()?;
    if has_ended == Some(false) {
        return Ok(false);
    }
    let end = "DELETE FROM worker WHERE id = $1";
    transaction.execute(end, &[&worker]).await?;
    for Locked { mut row, now, .. } in lock_worker(transaction, worker).await? {
        let before = row.committed();
        let effect = claiming::step(&mut row, Step::Bury, now)?;
        save_and_go_on(transaction, &row, before, &effect).await?;
    }
    Ok(true)
}

/// Workers whose lease has ended, or that have none.
pub(super) async fn gone(transaction: &Transaction) -> Result<Vec<String>, Fault> {
    let sql = "SELECT id FROM worker WHERE expires_at < uso_now() \
               UNION SELECT worker FROM job WHERE worker IS NOT NULL \
               AND worker NOT IN (SELECT id FROM worker)";
    let rows = transaction.rows(sql, &[]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Returns every row of a worker that ends, and its lease. A row that is being sent stays the
/// worker's until the end of the lease: its response may still come.
pub(super) async fn leave(transaction: &Transaction, worker: &str) -> Result<(), Fault> {
    let lease = "SELECT 1 FROM worker WHERE id = $1 FOR UPDATE";
    transaction.rows(lease, &[&worker]).await?;
    let mut is_sending = false;
    for Locked { mut row, now, .. } in lock_worker(transaction, worker).await? {
        if row.purchase.state == State::Sending {
            is_sending = true;
            continue;
        }
        let before = row.committed();
        let effect = claiming::step(&mut row, Step::Bury, now)?;
        save_and_go_on(transaction, &row, before, &effect).await?;
    }
    if !is_sending {
        let end = "DELETE FROM worker WHERE id = $1";
        transaction.execute(end, &[&worker]).await?;
    }
    Ok(())
}

/// Adds a row of another journal; `false` when its key has one.
pub(super) async fn import(transaction: &Transaction, row: Row) -> Result<bool, Fault> {
    if !insert(transaction, &row).await? {
        return Ok(false);
    }
    let added = lock_key(transaction, row.realm, &row.purchase.key).await?;
    let Some(added) = added else { return Ok(false) };
    let mut row = row;
    row.purchase.id = added.row.purchase.id;
    row.reserved_at = to_ms(row.purchase.changed_at);
    save(transaction, &row, 0, &Effect::default()).await?;
    Ok(true)
}

async fn find_or_add(transaction: &Transaction, claim: &Claim) -> Result<Locked, Fault> {
    let (realm, key) = (claim.realm, claim.key.as_str());
    if let Some(found) = lock_key(transaction, realm, key).await? {
        return Ok(found);
    }
    insert(transaction, &claiming::new_row(claim, 0)).await?;
    let found = lock_key(transaction, realm, key).await?;
    Ok(found.ok_or_else(|| Error::NotFound(claim.key.clone()))?)
}

async fn found(transaction: &Transaction, id: LocalId) -> Result<Locked, Fault> {
    let found = lock(transaction, id).await?;
    Ok(found.ok_or_else(|| Error::NotFound(id.to_string()))?)
}
