//! Records of purchases: the interface between the proxy and its storage.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use uso_transport::{MicroDollars, Ticket};

use crate::caller::Caller;
use crate::purchase::Purchase;

/// Boxed future of a [`Records`] method, so that the storage can be chosen at run time.
pub type Recording<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whether a purchase that has begun may be sent. The connection asks right before it sends the first
/// byte of the body.
pub type Guard = Box<dyn Fn() -> bool + Send + Sync>;

/// Storage of purchases: which were sent, what they cost, whose they are, and which must not be
/// repeated. [`MemoryRecords`](crate::MemoryRecords) keeps them until the process ends; a database
/// keeps them across restarts and for several proxies.
///
/// A purchase is sent only after [`Records::begin`] has returned `Ok`, so a storage that writes
/// before it returns never misses a purchase: a record that has begun and not ended, whose process
/// is gone, has an unknown outcome.
pub trait Records: Send + Sync + 'static {
    /// Records a purchase that is about to be sent, and reserves its money and its place, in one
    /// step: of several equal purchases at the same time, one begins.
    ///
    /// A storage whose record can be taken over while this process is frozen, as that of a lease can,
    /// gives a guard: the purchase is sent only while the guard returns `true`.
    ///
    /// # Errors
    ///
    /// The reason why the purchase must not be sent; then nothing was recorded.
    fn begin<'a>(
        &'a self,
        purchase: &'a Purchase,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<Option<Guard>, NotBegun>>;

    /// Records the outcome of a purchase. One that was not bought frees its money and its place and
    /// may be repeated at once. Any other belongs to its caller by its request id, and must not be
    /// repeated for [`NOT_REPEATED_FOR`].
    ///
    /// # Errors
    ///
    /// When the outcome could not be stored. The proxy records the same outcome again until that
    /// succeeds, and meanwhile knows the owner of the request by itself.
    fn end<'a>(
        &'a self,
        purchase: &'a Purchase,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<(), RecordsError>>;

    /// The caller has the whole response to this purchase, so an equal one is wanted: it may begin.
    fn received<'a>(&'a self, purchase: &'a Purchase) -> Recording<'a, ()>;

    /// Whether this caller is the owner of this request.
    ///
    /// # Errors
    ///
    /// When the storage is not available.
    fn owns<'a>(
        &'a self,
        caller: &'a Caller,
        ticket: &'a Ticket,
    ) -> Recording<'a, Result<bool, RecordsError>>;

    /// Makes the caller the owner of a request that has none.
    ///
    /// # Errors
    ///
    /// When the storage is not available.
    fn adopt<'a>(
        &'a self,
        caller: &'a Caller,
        ticket: &'a Ticket,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<(), RecordsError>>;

    /// Purchases that may have been bought and cannot be collected: those whose outcome is unknown,
    /// and those that were bought under an unknown request id.
    ///
    /// # Errors
    ///
    /// When the storage is not available.
    fn unknown(&self) -> Recording<'_, Result<Vec<Purchase>, RecordsError>>;
}

/// Time during which a purchase must not be repeated after its outcome, unless its response was
/// received.
/// Clients repeat within a minute; a person who looks and decides takes longer.
pub const NOT_REPEATED_FOR: Duration = Duration::from_secs(120);

/// Limits of the purchases of each caller, and of the records.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PurchaseLimits {
    /// Money that each caller may spend in any 24 hours.
    pub spending_per_day: MicroDollars,
    /// Requests that are kept with their owners.
    pub requests_kept: usize,
    /// Requests that are kept of each caller.
    pub requests_kept_each: usize,
    /// Time for which a request is kept with its owner.
    pub requests_kept_for: Duration,
}

impl Default for PurchaseLimits {
    fn default() -> Self {
        Self {
            spending_per_day: MicroDollars::new(5_000_000),
            requests_kept: 100_000,
            requests_kept_each: 5_000,
            requests_kept_for: Duration::from_secs(24 * 3600),
        }
    }
}

/// Why a purchase must not be sent.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotBegun {
    /// An equal purchase is being sent, or its response was lost a moment ago.
    Repeated {
        /// Its request id, if known.
        request_id: Option<String>,
        /// Whether its outcome is still open.
        is_under_way: bool,
        /// Time until an equal purchase may begin.
        wait: Duration,
    },
    /// The caller's money is spent, and there is enough again after this time.
    Spent(Duration),
    /// The purchase alone costs more than the limit.
    TooDear,
    /// The caller has no place for another request.
    CallerIsFull,
    /// There is no place for another request.
    Full,
    /// A cap of the account has no room for the purchase. The page is told no amount: what the account
    /// spends is not its callers' business.
    Budget,
    /// The purchase could not be recorded.
    Unavailable(RecordsError),
}

/// The storage of records is not available. The text is the reason, which the proxy logs and does
/// not tell the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsError(pub String);

impl fmt::Display for RecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the records of purchases are not available: {}", self.0)
    }
}

impl std::error::Error for RecordsError {}
