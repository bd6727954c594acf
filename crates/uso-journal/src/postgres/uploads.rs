//! Known uploads in PostgreSQL.

use super::fault::Fault;
use super::transaction::Transaction;

/// As [`crate::store::Store::uploads`].
pub(super) async fn known(transaction: &Transaction, realm: i64) -> Result<Vec<String>, Fault> {
    let sql = "SELECT known FROM upload WHERE realm = $1";
    let rows = transaction.rows(sql, &[&realm]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// As [`crate::store::Store::put_uploads`]: realm, URLs and their JSON. In one order, so that two
/// transactions never wait for each other.
pub(super) const PUT: &str = "INSERT INTO upload (realm, url, known, recorded_at) \
    SELECT $1, url, known, uso_now() FROM unnest($2::text[], $3::text[]) AS new (url, known) \
    ORDER BY url ON CONFLICT (realm, url) DO UPDATE SET known = excluded.known";

/// As [`crate::store::Store::keep_uploads`]: realm and URLs.
pub(super) const KEEP: &str = "DELETE FROM upload WHERE realm = $1 AND url <> ALL($2)";
