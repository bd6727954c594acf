//! The store on SQLite: one file, one thread that writes, readers on connections of their own.

mod budget;
mod claims;
mod connections;
mod fault;
mod relays;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod uploads;
mod writer;

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};
use uso::MicroDollars;

use crate::columns::{RECORD_EARLIER, TRAFFIC, UNFINISHED_ELSEWHERE, micro};
use crate::error::Error;
use crate::money::Budget;
use crate::place;
use crate::purchase::{LocalId, Purchase};
use crate::relay::{RecordedEnd, Relay, RelayLimits, RelayRefusal};
use crate::row::{Row, Step};
use crate::sendable::Sendable;
use crate::state::State;
use crate::store::{
    Claim, Claimed, EarlierAttempt, Filter, Guard, Offer, Realm, Reply, Store, Traffic,
};
use crate::worker::Worker;

use self::connections::{Connections, durable};
use self::fault::{Done, Fault};
use self::schema::Unfit;
use self::writer::{Durability, GROUP, Writer};

/// Versions from 3.7.0 on can damage a file in WAL mode that several connections write to.
const OLDEST: i32 = 3_051_003;

/// The store on SQLite.
#[derive(Debug)]
pub(crate) struct Sqlite {
    connections: Arc<Connections>,
    writer: Writer,
    worker: Worker,
}

impl Sqlite {
    /// Opens the file, which is made if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::open_grouped(path, GROUP)
    }

    /// As [`Sqlite::open`], with another number of writes that may share a commit.
    fn open_grouped(path: &Path, group: usize) -> Result<Self, Error> {
        if rusqlite::version_number() < OLDEST {
            return Err(Error::OldSqlite(rusqlite::version()));
        }
        let is_new = place::make_private(path)?;
        let connections = Connections::new(path);
        let mut connection = connections.connect()?;
        let unfit = |unfit| match unfit {
            Unfit::Newer(found) => Error::Newer {
                journal: path.display().to_string(),
                found,
                known: schema::VERSION,
            },
            Unfit::Foreign => connections.damaged("it holds tables of another program".to_owned()),
            Unfit::Failed(error) => connections.fault(&error),
        };
        let is_newest = schema::is_newest(&mut connection).map_err(unfit)?;
        durable(&connection).map_err(|error| connections.fault(&error))?;
        if !is_newest {
            schema::migrate(&mut connection).map_err(unfit)?;
        }
        if is_new {
            place::sync_folder_of(path)?;
        }
        let writer = Writer::start(connection, group.max(1))
            .map_err(|error| Error::io(path, "served by a thread", error))?;
        Ok(Self {
            connections: Arc::new(connections),
            writer,
            worker: Worker::start(path)?,
        })
    }

    /// Commits so far.
    #[cfg(test)]
    fn commits(&self) -> u64 {
        self.writer.commits()
    }

    /// Runs a write in the next commit, and returns when the disk has it.
    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Done<T> + Send + 'static,
    ) -> Reply<'_, T> {
        self.commit(Durability::Now, work)
    }

    /// As [`Sqlite::write`], for writes that a power cut may undo: nothing was bought by them, and
    /// what is bought after them takes them to the disk.
    fn write_lazily<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Done<T> + Send + 'static,
    ) -> Reply<'_, T> {
        self.commit(Durability::Later, work)
    }

    fn commit<T: Send + 'static>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Connection) -> Done<T> + Send + 'static,
    ) -> Reply<'_, T> {
        let written = self
            .writer
            .write(durability, |connection| match work(connection) {
                Ok(done) => Ok(Ok(done)),
                Err(Fault::Refused(error)) => Ok(Err(*error)),
                Err(Fault::Database(error)) => Err(error),
            });
        Box::pin(async move {
            let written = written.await;
            written.unwrap_or_else(|failure| Err(self.connections.failed(failure)))
        })
    }

    /// Runs a read on a connection of its own.
    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Reply<'_, T> {
        let connections = Arc::clone(&self.connections);
        Box::pin(async move {
            let path = connections.path.clone();
            let read = tokio::task::spawn_blocking(move || {
                let connection = connections.reader()?;
                let outcome = work(&connection).map_err(|error| connections.fault(&error));
                connections.put_back(connection);
                outcome
            });
            let ended = |error| Error::io(&path, "read", std::io::Error::other(error));
            read.await.map_err(ended)?
        })
    }
}

impl Store for Sqlite {
    fn worker(&self) -> String {
        self.worker.id().to_owned()
    }

    /// A process that is frozen keeps its lock.
    fn guard(&self, _row: &Row) -> Option<Guard> {
        None
    }

    fn host(&self) -> Option<&str> {
        None
    }

    fn realm(&self, realm: Realm) -> Reply<'_, i64> {
        self.write_lazily(move |connection| {
            let find = "SELECT id FROM realm WHERE origin = ?1 AND account = ?2";
            let names = (&realm.origin, &realm.account);
            let mut select = connection.prepare_cached(find)?;
            let found: Option<i64> = select.query_row(names, |row| row.get(0)).optional()?;
            if let Some(id) = found {
                return Ok(id);
            }
            let insert = "INSERT INTO realm (origin, account) VALUES (?1, ?2)";
            connection.execute(insert, names)?;
            Ok(connection.last_insert_rowid())
        })
    }

    fn claim(&self, claim: Claim) -> Reply<'_, Claimed> {
        let worker = self.worker();
        self.write_lazily(move |connection| claims::claim(connection, &claim, &worker))
    }

    fn offer(&self, claim: Claim, sendable: Sendable) -> Reply<'_, Claimed> {
        self.write(move |connection| claims::offer(connection, &claim, sendable))
    }

    fn next(&self, offer: Offer, most: usize) -> Reply<'_, Vec<Row>> {
        let worker = self.worker();
        self.write_lazily(move |connection| claims::next(connection, &offer, most, &worker))
    }

    fn held(&self, offer: Offer) -> Reply<'_, Vec<Row>> {
        let worker = self.worker();
        self.read(move |connection| {
            let end = "WHERE worker = ?1 AND job.realm = ?2 AND batch = ?3 \
                       AND sendable IS NOT NULL";
            rows::select(connection, end, (worker, offer.realm, offer.batch))
        })
    }

    fn is_open(&self, offer: Offer) -> Reply<'_, bool> {
        self.read(move |connection| {
            let sql = "SELECT 1 FROM job WHERE realm = ?1 AND batch = ?2 \
                       AND sendable IS NOT NULL \
                       AND state IN ('pending', 'reserved', 'sending', 'submitted') \
                       AND id NOT IN (SELECT value FROM json_each(?3)) LIMIT 1";
            let given_up = serde_json::json!(offer.given_up).to_string();
            let mut select = connection.prepare_cached(sql)?;
            select.exists((offer.realm, offer.batch, given_up))
        })
    }

    fn set_batch_cap(&self, realm: i64, batch: String, cap: Option<MicroDollars>) -> Reply<'_, ()> {
        self.write(move |connection| {
            let sql = "INSERT INTO batch (realm, name, committed, cap) VALUES (?1, ?2, 0, ?3) \
                       ON CONFLICT DO UPDATE SET cap = excluded.cap";
            connection.execute(sql, (realm, batch, cap.map(micro)))?;
            Ok(())
        })
    }

    fn take(&self, id: LocalId) -> Reply<'_, Option<Row>> {
        let worker = self.worker();
        self.write_lazily(move |connection| claims::take(connection, id, &worker))
    }

    fn apply(&self, id: LocalId, fence: Option<i64>, step: Step) -> Reply<'_, Row> {
        self.write(move |connection| claims::apply(connection, id, fence, step))
    }

    fn release(&self, worker: String) -> Reply<'_, bool> {
        Box::pin(async move {
            let is_gone = self.worker.is_gone(&worker);
            if is_gone {
                self.write(move |connection| claims::bury(connection, &worker))
                    .await?;
            }
            Ok(is_gone)
        })
    }

    /// The lock of this worker ends with its process, and releases its rows.
    fn leave(&self) -> Reply<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn release_gone(&self) -> Reply<'_, ()> {
        let workers = self.read(|connection| {
            let all = "SELECT DISTINCT worker FROM job WHERE worker IS NOT NULL";
            rows::all(connection, all, [], |row| row.get(0))
        });
        Box::pin(async move {
            for worker in workers.await? {
                self.release(worker).await?;
            }
            Ok(())
        })
    }

    fn row(&self, id: LocalId) -> Reply<'_, Option<Row>> {
        self.read(move |connection| rows::by_id(connection, id))
    }

    fn named(&self, realm: i64, text: String) -> Reply<'_, Vec<Row>> {
        self.read(move |connection| rows::named(connection, realm, &text))
    }

    fn known_requests(
        &self,
        realm: i64,
        id: LocalId,
        request_ids: Vec<String>,
    ) -> Reply<'_, Vec<String>> {
        self.read(move |connection| rows::known_requests(connection, realm, id, request_ids))
    }

    fn starting(&self, realm: i64, text: String) -> Reply<'_, Vec<Row>> {
        self.read(move |connection| {
            // A range, so that the index serves it; 0x7f is after every letter of an id.
            let end =
                "WHERE job.realm = ?1 AND request_id >= ?2 AND request_id < ?2 || x'7f' LIMIT 2";
            rows::select(connection, end, (realm, text))
        })
    }

    fn notified(&self, request_id: String, attempt_digest: Option<String>) -> Reply<'_, Vec<Row>> {
        self.read(move |connection| {
            let end = "WHERE request_id = ?1 OR attempt_digest = ?2";
            rows::select(connection, end, (request_id, attempt_digest))
        })
    }

    fn notified_earlier(
        &self,
        request_id: String,
        attempt_digest: Option<String>,
    ) -> Reply<'_, Vec<EarlierAttempt>> {
        self.read(move |connection| rows::notified_earlier(connection, request_id, attempt_digest))
    }

    fn record_earlier(
        &self,
        id: LocalId,
        number: u32,
        ticket: String,
        request_id: String,
    ) -> Reply<'_, bool> {
        self.write(move |connection| {
            let values = (ticket, request_id, id.0, number);
            Ok(connection.execute(RECORD_EARLIER, values)? > 0)
        })
    }

    fn begin_relay(
        &self,
        realm: i64,
        relay: Relay,
        limits: RelayLimits,
    ) -> Reply<'_, Result<Row, RelayRefusal>> {
        let worker = self.worker();
        self.write(move |connection| relays::begin(connection, realm, &relay, &limits, &worker))
    }

    fn end_relay(&self, realm: i64, end: RecordedEnd) -> Reply<'_, ()> {
        self.write(move |connection| relays::end(connection, realm, end))
    }

    fn relay_received(&self, realm: i64, id: String) -> Reply<'_, ()> {
        self.write(move |connection| relays::received(connection, realm, &id))
    }

    fn relay_owner(
        &self,
        realm: i64,
        app: String,
        request_id: String,
    ) -> Reply<'_, Option<String>> {
        self.read(move |connection| relays::owner(connection, realm, &app, &request_id))
    }

    fn adopt_relay(&self, realm: i64, names: [String; 3], kept_ms: i64) -> Reply<'_, ()> {
        self.write(move |connection| relays::adopt(connection, realm, &names, kept_ms))
    }

    fn unknown_relays(&self, realm: i64) -> Reply<'_, Vec<String>> {
        self.read(move |connection| relays::unknown(connection, realm))
    }

    fn list(&self, realm: i64, filter: Filter) -> Reply<'_, Vec<Purchase>> {
        self.read(move |connection| rows::list(connection, realm, &filter))
    }

    fn counts(&self, realm: i64, batch: Option<String>) -> Reply<'_, Vec<(State, u64)>> {
        self.read(move |connection| rows::counts(connection, realm, batch))
    }

    fn has_path(&self, path: String, besides: LocalId) -> Reply<'_, bool> {
        self.read(move |connection| {
            let sql = "SELECT 1 FROM file WHERE path = ?1 AND job <> ?2";
            let mut select = connection.prepare_cached(sql)?;
            select.exists((path, besides.0))
        })
    }

    fn caps(&self, realm: i64) -> Reply<'_, Budget> {
        self.read(move |connection| budget::caps(connection, realm, claims::now(connection)?))
    }

    fn set_caps(
        &self,
        realm: i64,
        day: Option<MicroDollars>,
        total: Option<MicroDollars>,
    ) -> Reply<'_, ()> {
        self.write(move |connection| {
            let update = "UPDATE realm SET day_cap = ?2, total_cap = ?3 WHERE id = ?1";
            connection.execute(update, (realm, day.map(micro), total.map(micro)))?;
            Ok(())
        })
    }

    fn batch_committed(&self, realm: i64, batch: String) -> Reply<'_, MicroDollars> {
        self.read(move |connection| budget::batch_committed(connection, realm, &batch))
    }

    fn unfinished_elsewhere(&self, realm: i64, batch: Option<String>) -> Reply<'_, u64> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(UNFINISHED_ELSEWHERE)?;
            let count: i64 = select.query_row((realm, &batch), |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or_default())
        })
    }

    fn traffic(&self, realm: i64) -> Reply<'_, Traffic> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(TRAFFIC)?;
            select.query_row([realm], |row| {
                let in_flight: i64 = row.get(1)?;
                Ok(Traffic {
                    is_locked: row.get(0)?,
                    in_flight: usize::try_from(in_flight).unwrap_or_default(),
                })
            })
        })
    }

    fn set_locked(&self, realm: i64, is_locked: bool) -> Reply<'_, ()> {
        self.write(move |connection| {
            let update = "UPDATE realm SET is_locked = ?2 WHERE id = ?1";
            connection.execute(update, (realm, is_locked))?;
            Ok(())
        })
    }

    fn uploads(&self, realm: i64) -> Reply<'_, Vec<String>> {
        self.read(move |connection| uploads::known(connection, realm))
    }

    fn put_uploads(&self, realm: i64, new: Vec<(String, String)>) -> Reply<'_, ()> {
        self.write(move |connection| uploads::put(connection, realm, &new))
    }

    fn keep_uploads(&self, realm: i64, urls: Vec<String>) -> Reply<'_, ()> {
        self.write(move |connection| uploads::keep(connection, realm, &urls))
    }

    fn prune(&self, realm: i64, before: i64) -> Reply<'_, u64> {
        self.write(move |connection| Ok(rows::prune(connection, realm, before)?))
    }

    fn import(&self, imported: Vec<(Realm, Row)>) -> Reply<'_, u64> {
        Box::pin(async move {
            let mut count = 0;
            for (realm, row) in imported {
                let realm = self.realm(realm).await?;
                let row = Row { realm, ..row };
                let new = self.write(move |connection| Ok(rows::import(connection, row)?));
                count += u64::from(new.await?);
            }
            Ok(count)
        })
    }

    fn check(&self) -> Reply<'_, ()> {
        let found = self.read(|connection| {
            let mut select = connection.prepare("PRAGMA integrity_check(1)")?;
            select.query_row([], |row| row.get::<_, String>(0))
        });
        Box::pin(async move {
            match found.await?.as_str() {
                "ok" => Ok(()),
                why => Err(self.connections.damaged(why.to_owned())),
            }
        })
    }
}
