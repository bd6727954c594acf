//! Known uploads in SQLite.

use rusqlite::Connection;

use super::claims::now;
use super::fault::Done;
use super::rows::all;

/// As [`crate::store::Store::uploads`].
pub(super) fn known(connection: &Connection, realm: i64) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT known FROM upload WHERE realm = ?1";
    all(connection, sql, [realm], |row| row.get(0))
}

/// As [`crate::store::Store::put_uploads`].
pub(super) fn put(connection: &Connection, realm: i64, uploads: &[(String, String)]) -> Done<()> {
    let sql = "INSERT INTO upload (realm, url, known, recorded_at) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT DO UPDATE SET known = excluded.known";
    let now = now(connection)?;
    let mut insert = connection.prepare_cached(sql)?;
    for (url, known) in uploads {
        insert.execute((realm, url, known, now))?;
    }
    Ok(())
}

/// As [`crate::store::Store::keep_uploads`].
pub(super) fn keep(connection: &Connection, realm: i64, urls: &[String]) -> Done<()> {
    let sql = "DELETE FROM upload WHERE realm = ?1 \
               AND url NOT IN (SELECT value FROM json_each(?2))";
    connection.execute(sql, (realm, serde_json::json!(urls).to_string()))?;
    Ok(())
}
