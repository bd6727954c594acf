//! Realms in PostgreSQL: a service and an account, and what all workers of the account share.

use super::fault::Fault;
use super::transaction::Transaction;
use crate::columns::TRAFFIC;
use crate::store::{Realm, Traffic};

/// As [`crate::store::Store::realm`].
pub(super) async fn find_or_add(transaction: &Transaction, realm: &Realm) -> Result<i64, Fault> {
    let insert = "INSERT INTO realm (origin, account) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let find = "SELECT id FROM realm WHERE origin = $1 AND account = $2";
    let (origin, account) = (&realm.origin, &realm.account);
    transaction.execute(insert, &[origin, account]).await?;
    let row = transaction.row(find, &[origin, account]).await?;
    Ok(row.try_get(0)?)
}

/// As [`crate::store::Store::traffic`].
pub(super) async fn traffic(transaction: &Transaction, realm: i64) -> Result<Traffic, Fault> {
    let row = transaction.row(TRAFFIC, &[&realm]).await?;
    let in_flight: i64 = row.try_get(1)?;
    Ok(Traffic {
        is_locked: row.try_get(0)?,
        in_flight: usize::try_from(in_flight).unwrap_or_default(),
    })
}

/// As [`crate::store::Store::set_locked`]: realm, and whether it is locked.
pub(super) const SET_LOCKED: &str = "UPDATE realm SET is_locked = $2 WHERE id = $1";
