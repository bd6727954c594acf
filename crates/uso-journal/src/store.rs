//! Interface of a database of the journal: one small trait, so that a second database is one more
//! implementation. Each method is one transaction.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use uso::purchase::Recipe;
use uso::{Intent, MicroDollars};

use crate::error::Error;
use crate::money::{Budget, Quote};
use crate::purchase::{LocalId, Purchase};
use crate::relay::{RecordedEnd, Relay, RelayLimits, RelayRefusal};
use crate::row::{Row, Step};
use crate::sendable::Sendable;
use crate::state::State;
use crate::target::Target;

pub(crate) type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Whether what was claimed may be sent now.
pub(crate) type Guard = Box<dyn Fn() -> bool + Send + Sync>;

/// A service and an account. Rows of different realms never mix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Realm {
    pub(crate) origin: String,
    pub(crate) account: String,
}

/// A caller who wants the purchase of a key.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) realm: i64,
    pub(crate) key: String,
    pub(crate) batch: Option<String>,
    pub(crate) batch_cap: Option<MicroDollars>,
    /// What may be spent on this purchase alone.
    pub(crate) cap: Option<MicroDollars>,
    pub(crate) endpoint: String,
    pub(crate) recipe: Recipe,
    pub(crate) quote: Quote,
    pub(crate) target: Target,
    pub(crate) wish: Wish,
}

/// What a caller wants of a row that would be bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To buy it, if nothing was bought under its key.
    #[default]
    Buy,
    /// To buy it again, if this is the number of its attempt still.
    Again(u32),
    /// Not to buy it.
    OnlyBought,
}

/// What a claim comes to.
#[derive(Debug)]
pub(crate) enum Claimed {
    /// The caller works on it now: to buy it, to look it up, or to collect it.
    Mine(Box<Row>),
    /// Another caller works on it.
    Busy(Box<Row>),
    /// It has ended.
    Ended(Box<Row>),
    /// The key belongs to another request.
    Conflict(Box<Row>),
}

/// An attempt that a later one took the place of, as a notification finds it.
#[derive(Debug)]
pub(crate) struct EarlierAttempt {
    pub(crate) job: LocalId,
    pub(crate) number: u32,
    pub(crate) intent: Option<Intent>,
    pub(crate) request_id: Option<String>,
}

/// Rows of a batch that are offered to every worker.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) realm: i64,
    pub(crate) batch: String,
    /// The folder of this worker's pictures.
    pub(crate) folder: PathBuf,
    /// Rows that this worker gave up for now.
    pub(crate) given_up: Vec<i64>,
}

/// Which rows a list shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) states: Vec<State>,
    pub(crate) batch: Option<String>,
    /// Changed at this time or later, in milliseconds since 1970.
    pub(crate) since: Option<i64>,
    /// Only rows with a smaller id.
    pub(crate) before: Option<i64>,
    pub(crate) limit: u32,
}

/// What all workers of an account share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Purchases that some worker has in flight.
    pub(crate) in_flight: usize,
    /// Whether the service said that the account is locked, and has accepted no submit since.
    pub(crate) is_locked: bool,
}

/// A database, opened by one worker.
pub(crate) trait Store: Send + Sync + std::fmt::Debug + 'static {
    /// This worker, as the rows name it.
    fn worker(&self) -> String;

    /// Whether this worker may send a row that it claimed, for the moment before it does: `false`
    /// from when another worker may have taken that claim over, whatever this worker claimed since.
    /// `None` where that cannot happen.
    fn guard(&self, row: &Row) -> Option<Guard>;

    /// This machine, where several share the journal.
    fn host(&self) -> Option<&str>;

    /// The number of a realm, which is made if it is new.
    fn realm(&self, realm: Realm) -> Reply<'_, i64>;

    /// Takes the purchase of a key up, or says why not. A new purchase is reserved in the same
    /// transaction as its budget is checked.
    fn claim(&self, claim: Claim) -> Reply<'_, Claimed>;

    /// Offers the purchase of a key to every worker, unless it is bought, or may be. No worker
    /// holds the row afterwards.
    fn offer(&self, claim: Claim, sendable: Sendable) -> Reply<'_, Claimed>;

    /// Takes up the next rows of an offer, as [`Store::claim`] does: so many at the most, those that
    /// are bought already first, and of the others as many as the budget admits. None when there are
    /// none now; a stop of the budget when there are, and it admits none of them.
    fn next(&self, offer: Offer, most: usize) -> Reply<'_, Vec<Row>>;

    /// The rows of an offer that this worker holds.
    fn held(&self, offer: Offer) -> Reply<'_, Vec<Row>>;

    /// Whether a row of an offer is still to be bought or collected, by any worker.
    fn is_open(&self, offer: Offer) -> Reply<'_, bool>;

    /// Caps what a batch may spend, for all workers.
    fn set_batch_cap(&self, realm: i64, batch: String, cap: Option<MicroDollars>) -> Reply<'_, ()>;

    /// Takes a row up by its id, unless another caller works on it; `None` in that case.
    fn take(&self, id: LocalId) -> Reply<'_, Option<Row>>;

    /// Applies a step to a row. With a fence, only while the claim with that fence holds; a ticket of
    /// the row's attempt is news of the service, which is taken with any fence.
    fn apply(&self, id: LocalId, fence: Option<i64>, step: Step) -> Reply<'_, Row>;

    /// Releases every row of another worker if that worker is gone; `false` while it lives.
    fn release(&self, worker: String) -> Reply<'_, bool>;

    /// Releases the rows of this worker, which ends, besides those that are being sent.
    fn leave(&self) -> Reply<'_, ()>;

    /// Releases every row of every worker that is gone.
    fn release_gone(&self) -> Reply<'_, ()>;

    /// A row by its short id.
    fn row(&self, id: LocalId) -> Reply<'_, Option<Row>>;

    /// The rows of a realm that this text names: short id, request id or key.
    fn named(&self, realm: i64, text: String) -> Reply<'_, Vec<Row>>;

    /// Those of these request ids that are of other purchases of a realm than this one, or of an
    /// earlier attempt at this one.
    fn known_requests(
        &self,
        realm: i64,
        id: LocalId,
        request_ids: Vec<String>,
    ) -> Reply<'_, Vec<String>>;

    /// Two of the rows of a realm whose request ids start with this text.
    fn starting(&self, realm: i64, text: String) -> Reply<'_, Vec<Row>>;

    /// The rows of all realms that a notification may be about: those with its request id, and the
    /// one with this digest of its attempt id.
    fn notified(&self, request_id: String, attempt_digest: Option<String>) -> Reply<'_, Vec<Row>>;

    /// The earlier attempts at purchases of all realms that a notification may be about.
    fn notified_earlier(
        &self,
        request_id: String,
        attempt_digest: Option<String>,
    ) -> Reply<'_, Vec<EarlierAttempt>>;

    /// Records the job of an earlier attempt at a purchase by the number of the attempt: the ticket as
    /// JSON, and the request id. `false` where there is no such attempt, or it has another job.
    fn record_earlier(
        &self,
        id: LocalId,
        number: u32,
        ticket: String,
        request_id: String,
    ) -> Reply<'_, bool>;

    /// As [`crate::Journal::begin_relay`]; gives the row of the purchase.
    fn begin_relay(
        &self,
        realm: i64,
        relay: Relay,
        limits: RelayLimits,
    ) -> Reply<'_, Result<Row, RelayRefusal>>;

    /// As [`crate::Journal::end_relay`].
    fn end_relay(&self, realm: i64, end: RecordedEnd) -> Reply<'_, ()>;

    /// Lets a purchase that is equal to this one begin.
    fn relay_received(&self, realm: i64, id: String) -> Reply<'_, ()>;

    /// The owner of a request, by app and request id.
    fn relay_owner(&self, realm: i64, app: String, request_id: String)
    -> Reply<'_, Option<String>>;

    /// Records owner, app and request id, unless the request has an owner; kept for so many
    /// milliseconds.
    fn adopt_relay(&self, realm: i64, names: [String; 3], kept_ms: i64) -> Reply<'_, ()>;

    /// The records of purchases that may have been bought and cannot be collected.
    fn unknown_relays(&self, realm: i64) -> Reply<'_, Vec<String>>;

    /// Rows, newest first.
    fn list(&self, realm: i64, filter: Filter) -> Reply<'_, Vec<Purchase>>;

    /// Rows by state.
    fn counts(&self, realm: i64, batch: Option<String>) -> Reply<'_, Vec<(State, u64)>>;

    /// Whether another row of the journal has a picture at this path.
    fn has_path(&self, path: String, besides: LocalId) -> Reply<'_, bool>;

    /// Caps of a realm, and what counts against them.
    fn caps(&self, realm: i64) -> Reply<'_, Budget>;

    /// Sets the caps of a realm.
    fn set_caps(
        &self,
        realm: i64,
        day: Option<MicroDollars>,
        total: Option<MicroDollars>,
    ) -> Reply<'_, ()>;

    /// What counts against the cap of a batch.
    fn batch_committed(&self, realm: i64, batch: String) -> Reply<'_, MicroDollars>;

    /// Purchases of the other accounts of a realm's service that may be paid and are not closed; of
    /// this batch, if one is named.
    fn unfinished_elsewhere(&self, realm: i64, batch: Option<String>) -> Reply<'_, u64>;

    /// What all workers of a realm share.
    fn traffic(&self, realm: i64) -> Reply<'_, Traffic>;

    /// Records that the account is locked, or that it no longer is.
    fn set_locked(&self, realm: i64, is_locked: bool) -> Reply<'_, ()>;

    /// Uploads that are known, as JSON.
    fn uploads(&self, realm: i64) -> Reply<'_, Vec<String>>;

    /// Records uploads: URL and JSON.
    fn put_uploads(&self, realm: i64, uploads: Vec<(String, String)>) -> Reply<'_, ()>;

    /// Forgets every known upload but these, by URL.
    fn keep_uploads(&self, realm: i64, urls: Vec<String>) -> Reply<'_, ()>;

    /// Erases input, URLs and paths of closed rows that changed before this time; says of how many.
    fn prune(&self, realm: i64, before: i64) -> Reply<'_, u64>;

    /// Adds rows of another journal, unless they are there; says how many are new.
    fn import(&self, rows: Vec<(Realm, Row)>) -> Reply<'_, u64>;

    /// Checks the whole journal; `Err` names the damage.
    fn check(&self) -> Reply<'_, ()>;
}
