//! The store on PostgreSQL: a pool of connections, transactions that are repeated when a connection
//! is lost, and a lease for this worker.

mod address;
mod budget;
mod claims;
mod clock;
mod connections;
mod fault;
mod lease;
mod pgpass;
mod realms;
mod relays;
mod rows;
mod schema;
mod servers;
mod tls;
mod transaction;
mod uploads;

use std::sync::Arc;

use uso::MicroDollars;

use crate::columns::{self, SELECT, UNFINISHED_ELSEWHERE, micro};
use crate::error::Error;
use crate::host;
use crate::money::Budget;
use crate::purchase::{LocalId, Purchase};
use crate::relay::{RecordedEnd, Relay, RelayLimits, RelayRefusal};
use crate::row::{Row, Step};
use crate::sendable::Sendable;
use crate::state::State;
use crate::store::{
    Claim, Claimed, EarlierAttempt, Filter, Guard, Offer, Realm, Reply, Store, Traffic,
};

use self::address::Address;
use self::connections::{Connections, transact};
use self::lease::Lease;
use self::transaction::{Commit, Values};

/// The store on PostgreSQL.
#[derive(Debug)]
pub(crate) struct Postgres {
    connections: Arc<Connections>,
    lease: Arc<Lease>,
}

impl Postgres {
    /// The store at this address, which the first statement reaches.
    pub(crate) fn at(url: &str) -> Result<Self, Error> {
        let connections = Arc::new(Connections::new(Address::of(url)?)?);
        let lease = Lease::new(Arc::clone(&connections));
        Ok(Self { connections, lease })
    }

    /// Brings the tables to the newest version where the role may do so.
    pub(crate) async fn prepare(&self) -> Result<(), Error> {
        schema::prepare(&self.connections).await
    }

    /// Whether there are tables, of the newest version.
    pub(crate) async fn has_tables(&self) -> Result<bool, Error> {
        schema::is_there(&self.connections).await
    }

    /// Server and database, without user and password.
    pub(crate) fn location(&self) -> &str {
        self.connections.location()
    }

    /// Reads rows that end a statement.
    async fn rows(&self, end: &str, values: Values<'_>) -> Result<Vec<Row>, Error> {
        let sql = format!("{SELECT} {end}");
        let tries = self.connections.read();
        transact!(tries, |transaction| async {
            let rows = transaction.rows(&sql, values).await?;
            rows.iter().map(columns::read).collect()
        })
    }

    /// Changes what no worker holds, so that a repeat changes nothing.
    async fn execute(&self, sql: &str, values: Values<'_>) -> Result<(), Error> {
        let tries = self.connections.write(Commit::Durable);
        let write = transact!(tries, |transaction| transaction.execute(sql, values));
        write.map(|_| ())
    }
}

/// The reply of statements that change nothing.
macro_rules! read {
    ($store:expr, |$transaction:ident| $work:expr) => {
        Box::pin(async move { transact!($store.connections.read(), |$transaction| $work) })
    };
}

/// The reply of a transaction whose commit is on the server's disk.
macro_rules! durable {
    ($store:expr, |$transaction:ident| $work:expr) => {
        Box::pin(async move {
            let tries = $store.connections.write(Commit::Durable);
            transact!(tries, |$transaction| $work)
        })
    };
}

impl Store for Postgres {
    fn worker(&self) -> String {
        self.lease.worker().unwrap_or_default()
    }

    fn guard(&self, row: &Row) -> Option<Guard> {
        let lease = Arc::clone(&self.lease);
        // Without a worker the row belongs to none: no lease has an empty id.
        let worker = row.worker.clone().unwrap_or_default();
        Some(Box::new(move || lease.may_send(&worker)))
    }

    fn host(&self) -> Option<&str> {
        Some(host::name())
    }

    fn realm(&self, realm: Realm) -> Reply<'_, i64> {
        durable!(self, |transaction| realms::find_or_add(transaction, &realm))
    }

    fn claim(&self, claim: Claim) -> Reply<'_, Claimed> {
        Box::pin(async move {
            let worker = self.lease.hold().await?;
            let tries = self.connections.write(Commit::Soon);
            transact!(tries, |transaction| {
                claims::claim(transaction, &claim, &worker)
            })
        })
    }

    fn offer(&self, claim: Claim, sendable: Sendable) -> Reply<'_, Claimed> {
        durable!(self, |transaction| {
            claims::offer(transaction, &claim, sendable.clone())
        })
    }

    fn next(&self, offer: Offer, most: usize) -> Reply<'_, Vec<Row>> {
        Box::pin(async move {
            let worker = self.lease.hold().await?;
            let tries = self.connections.write(Commit::Soon);
            transact!(tries, |transaction| {
                claims::next(transaction, &offer, most, &worker)
            })
        })
    }

    fn held(&self, offer: Offer) -> Reply<'_, Vec<Row>> {
        let worker = self.worker();
        read!(self, |transaction| rows::held(transaction, &offer, &worker))
    }

    fn is_open(&self, offer: Offer) -> Reply<'_, bool> {
        read!(self, |transaction| rows::is_open(transaction, &offer))
    }

    fn set_batch_cap(&self, realm: i64, batch: String, cap: Option<MicroDollars>) -> Reply<'_, ()> {
        Box::pin(async move {
            let cap = cap.map(micro);
            self.execute(budget::SET_OF_BATCH, &[&realm, &batch, &cap])
                .await
        })
    }

    fn take(&self, id: LocalId) -> Reply<'_, Option<Row>> {
        Box::pin(async move {
            let worker = self.lease.hold().await?;
            let tries = self.connections.write(Commit::Soon);
            transact!(tries, |transaction| claims::take(transaction, id, &worker))
        })
    }

    fn apply(&self, id: LocalId, fence: Option<i64>, step: Step) -> Reply<'_, Row> {
        durable!(self, |transaction| {
            claims::apply(transaction, id, fence, step.clone())
        })
    }

    fn release(&self, worker: String) -> Reply<'_, bool> {
        durable!(self, |transaction| claims::release(transaction, &worker))
    }

    fn leave(&self) -> Reply<'_, ()> {
        Box::pin(async move {
            let Some(worker) = self.lease.give_up() else {
                return Ok(());
            };
            let tries = self.connections.write_briefly();
            transact!(tries, |transaction| claims::leave(transaction, &worker))
        })
    }

    fn release_gone(&self) -> Reply<'_, ()> {
        Box::pin(async move {
            let tries = self.connections.read();
            let gone = transact!(tries, |transaction| claims::gone(transaction));
            for worker in gone? {
                self.release(worker).await?;
            }
            Ok(())
        })
    }

    fn row(&self, id: LocalId) -> Reply<'_, Option<Row>> {
        Box::pin(async move { Ok(self.rows("WHERE job.id = $1", &[&id.0]).await?.pop()) })
    }

    fn named(&self, realm: i64, text: String) -> Reply<'_, Vec<Row>> {
        Box::pin(async move {
            let id = text.parse().map_or(0, |id: LocalId| id.0);
            // A short id wins over a key that looks like one, and a key over a request id.
            let end = "WHERE job.realm = $1 AND (job.id = $2 OR key = $3 OR request_id = $3) \
                       ORDER BY job.id = $2 DESC, key = $3 DESC";
            self.rows(end, &[&realm, &id, &text]).await
        })
    }

    fn known_requests(
        &self,
        realm: i64,
        id: LocalId,
        request_ids: Vec<String>,
    ) -> Reply<'_, Vec<String>> {
        read!(self, |transaction| {
            rows::known_requests(transaction, realm, id, &request_ids)
        })
    }

    fn starting(&self, realm: i64, text: String) -> Reply<'_, Vec<Row>> {
        Box::pin(async move {
            // A range, so that the index serves it; 0x7f is after every letter of an id.
            let end = "WHERE job.realm = $1 AND request_id ~>=~ $2 \
                       AND request_id ~<~ ($2 || chr(127)) LIMIT 2";
            self.rows(end, &[&realm, &text]).await
        })
    }

    fn notified(&self, request_id: String, attempt_digest: Option<String>) -> Reply<'_, Vec<Row>> {
        Box::pin(async move {
            let end = "WHERE request_id = $1 OR attempt_digest = $2";
            self.rows(end, &[&request_id, &attempt_digest]).await
        })
    }

    fn notified_earlier(
        &self,
        request_id: String,
        attempt_digest: Option<String>,
    ) -> Reply<'_, Vec<EarlierAttempt>> {
        Box::pin(async move {
            let sql = "SELECT job, intent, request_id, number FROM past_attempt \
                       WHERE request_id = $1 OR intent::json ->> 'attempt' = $2";
            let values: Values<'_> = &[&request_id, &attempt_digest];
            let tries = self.connections.read();
            transact!(tries, |transaction| async {
                let rows = transaction.rows(sql, values).await?;
                rows.iter().map(columns::earlier).collect()
            })
        })
    }

    fn record_earlier(
        &self,
        id: LocalId,
        number: u32,
        ticket: String,
        request_id: String,
    ) -> Reply<'_, bool> {
        Box::pin(async move {
            let number = i64::from(number);
            let values: Values<'_> = &[&ticket, &request_id, &id.0, &number];
            let tries = self.connections.write(Commit::Durable);
            let record = columns::RECORD_EARLIER;
            let written = transact!(tries, |transaction| transaction.execute(record, values));
            Ok(written? > 0)
        })
    }

    fn begin_relay(
        &self,
        realm: i64,
        relay: Relay,
        limits: RelayLimits,
    ) -> Reply<'_, Result<Row, RelayRefusal>> {
        Box::pin(async move {
            let worker = self.lease.hold().await?;
            let tries = self.connections.write(Commit::Durable);
            transact!(tries, |transaction| {
                relays::begin(transaction, realm, &relay, &limits, &worker)
            })
        })
    }

    fn end_relay(&self, realm: i64, end: RecordedEnd) -> Reply<'_, ()> {
        durable!(self, |transaction| relays::end(transaction, realm, &end))
    }

    fn relay_received(&self, realm: i64, id: String) -> Reply<'_, ()> {
        Box::pin(async move { self.execute(columns::RELAY_RECEIVED, &[&realm, &id]).await })
    }

    fn relay_owner(
        &self,
        realm: i64,
        app: String,
        request_id: String,
    ) -> Reply<'_, Option<String>> {
        read!(self, |transaction| async {
            relays::owner(transaction, &[&realm, &app, &request_id]).await
        })
    }

    fn adopt_relay(&self, realm: i64, names: [String; 3], kept_ms: i64) -> Reply<'_, ()> {
        Box::pin(async move {
            let [owner, app, request_id] = &names;
            let values: Values<'_> = &[&realm, owner, app, request_id, &kept_ms];
            self.execute(relays::ADOPT, values).await
        })
    }

    fn unknown_relays(&self, realm: i64) -> Reply<'_, Vec<String>> {
        read!(self, |transaction| relays::unknown(transaction, realm))
    }

    fn list(&self, realm: i64, filter: Filter) -> Reply<'_, Vec<Purchase>> {
        read!(self, |transaction| rows::list(transaction, realm, &filter))
    }

    fn counts(&self, realm: i64, batch: Option<String>) -> Reply<'_, Vec<(State, u64)>> {
        read!(self, |transaction| rows::counts(transaction, realm, &batch))
    }

    fn has_path(&self, path: String, besides: LocalId) -> Reply<'_, bool> {
        read!(self, |transaction| {
            rows::has_path(transaction, &path, besides)
        })
    }

    fn caps(&self, realm: i64) -> Reply<'_, Budget> {
        read!(self, |transaction| budget::caps(transaction, realm))
    }

    fn set_caps(
        &self,
        realm: i64,
        day: Option<MicroDollars>,
        total: Option<MicroDollars>,
    ) -> Reply<'_, ()> {
        Box::pin(async move {
            let (day, total) = (day.map(micro), total.map(micro));
            self.execute(budget::SET, &[&realm, &day, &total]).await
        })
    }

    fn batch_committed(&self, realm: i64, batch: String) -> Reply<'_, MicroDollars> {
        Box::pin(async move {
            let tries = self.connections.read();
            let found = transact!(tries, |transaction| {
                budget::of_batch(transaction, realm, &batch)
            });
            Ok(found?.committed)
        })
    }

    fn unfinished_elsewhere(&self, realm: i64, batch: Option<String>) -> Reply<'_, u64> {
        Box::pin(async move {
            let tries = self.connections.read();
            let count: i64 = transact!(tries, |transaction| async {
                let row = transaction
                    .row(UNFINISHED_ELSEWHERE, &[&realm, &batch])
                    .await?;
                Ok::<i64, fault::Fault>(row.try_get(0)?)
            })?;
            Ok(u64::try_from(count).unwrap_or_default())
        })
    }

    fn traffic(&self, realm: i64) -> Reply<'_, Traffic> {
        read!(self, |transaction| realms::traffic(transaction, realm))
    }

    fn set_locked(&self, realm: i64, is_locked: bool) -> Reply<'_, ()> {
        Box::pin(async move {
            self.execute(realms::SET_LOCKED, &[&realm, &is_locked])
                .await
        })
    }

    fn uploads(&self, realm: i64) -> Reply<'_, Vec<String>> {
        read!(self, |transaction| uploads::known(transaction, realm))
    }

    fn put_uploads(&self, realm: i64, uploads: Vec<(String, String)>) -> Reply<'_, ()> {
        Box::pin(async move {
            let (urls, known): (Vec<String>, Vec<String>) = uploads.into_iter().unzip();
            self.execute(uploads::PUT, &[&realm, &urls, &known]).await
        })
    }

    fn keep_uploads(&self, realm: i64, urls: Vec<String>) -> Reply<'_, ()> {
        Box::pin(async move { self.execute(uploads::KEEP, &[&realm, &urls]).await })
    }

    fn prune(&self, realm: i64, before: i64) -> Reply<'_, u64> {
        durable!(self, |transaction| rows::prune(transaction, realm, before))
    }

    fn import(&self, imported: Vec<(Realm, Row)>) -> Reply<'_, u64> {
        Box::pin(async move {
            let mut count = 0;
            for (realm, row) in imported {
                let realm = self.realm(realm).await?;
                let row = Row { realm, ..row };
                let tries = self.connections.write(Commit::Durable);
                let new = transact!(tries, |transaction| {
                    claims::import(transaction, row.clone())
                });
                count += u64::from(new?);
            }
            Ok(count)
        })
    }

    /// The server checks its own pages; here every row is read.
    fn check(&self) -> Reply<'_, ()> {
        Box::pin(async move {
            let sql = "SELECT count(*) FROM job WHERE pictures IS NOT NULL";
            let read = self.connections.read();
            transact!(read, |transaction| transaction.rows(sql, &[])).map(|_| ())
        })
    }
}
