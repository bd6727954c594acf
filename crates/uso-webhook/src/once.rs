//! Handling each request's delivery once, though deliveries repeat and handlers fail.

mod memory;

use std::fmt;

use http::StatusCode;

pub use self::memory::MemoryStore;
use crate::delivery::Delivery;

/// Remembers which deliveries were handled. [`MemoryStore`] is one; a database is another.
///
/// In SQL, a claim is one statement, and an expired lease is what a dead process leaves:
///
/// ```sql
/// INSERT INTO deliveries (key, lease, until) VALUES ($1, 1, now() + interval '2 minutes')
/// ON CONFLICT (key) DO UPDATE SET lease = deliveries.lease + 1, until = excluded.until
///     WHERE NOT deliveries.handled AND deliveries.until < now()
/// RETURNING lease; -- a row: granted; none: look whether it is handled
/// ```
///
/// Settling is `UPDATE … SET handled = true WHERE key = $1 AND lease = $2` when it was handled, and
/// `SET until = now()` when it was not.
pub trait DeliveryStore: Send + Sync {
    /// What can go wrong with the store itself.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Takes the right to handle the delivery with this key, in one step: of several claims at the
    /// same time, one is granted.
    fn claim(&self, key: &str) -> impl Future<Output = Result<Claim, Self::Error>> + Send;

    /// Ends a claim: it was handled and is never granted again, or it was not and may be. A lease
    /// that is not the current one changes nothing.
    fn settle(
        &self,
        key: &str,
        lease: Lease,
        handled: bool,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Gives a claim up whose handler was dropped on its way, as servers do when the caller hangs
    /// up. A store that cannot do so without waiting leaves it to the end of the lease.
    fn abandon(&self, key: &str, lease: Lease) {
        let _ = (key, lease);
    }
}

/// What became of claiming a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Handle it.
    Granted(Lease),
    /// Another handler is at it, and may yet fail.
    InProgress,
    /// It was handled.
    Handled,
}

/// Tells one claim from a later one of the same key; the store chooses the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease(pub u64);

/// What became of a delivery that was to be handled once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once<T> {
    /// This was the first, and the handler made this of it.
    First(T),
    /// It had been handled before.
    Repeated,
    /// Another delivery of the same request is being handled, and may yet fail.
    InProgress,
}

impl<T> Once<T> {
    /// What to answer with: 200, or 503 while another delivery is being handled, so that fal comes
    /// again in case that one fails.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::First(_) | Self::Repeated => StatusCode::OK,
            Self::InProgress => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Why a delivery was not handled. Answer with a 5xx, and fal comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnceError<S, E> {
    /// The store failed. After a handler that succeeded, this means that it may run again.
    Store(S),
    /// The handler failed; a later delivery is given to it again.
    Handler(E),
}

impl<S: fmt::Display, E: fmt::Display> fmt::Display for OnceError<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(_) => f.write_str("whether it was handled could not be remembered"),
            Self::Handler(_) => f.write_str("the delivery could not be handled"),
        }
    }
}

impl<S, E> std::error::Error for OnceError<S, E>
where
    S: std::error::Error + 'static,
    E: std::error::Error + 'static,
{
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match self {
            Self::Store(error) => error,
            Self::Handler(error) => error,
        })
    }
}

/// Gives a delivery to its handler, unless one of the same request was handled or is being handled.
///
/// A handler that fails, or that is dropped on its way, leaves the request to a later delivery. So
/// it runs to its end once, and may have begun more often.
///
/// ```
/// use uso_webhook::{Delivery, MemoryStore, Once, once};
///
/// # async fn example(store: MemoryStore, delivery: Delivery) {
/// let handled = once(&store, &delivery, || async {
///     std::fs::write(format!("{}.json", delivery.request_id()), delivery.raw_body())
/// });
/// match handled.await {
///     Ok(Once::First(())) => println!("written"),
///     Ok(again) => println!("answered with {}", again.status()),
///     Err(error) => println!("answered with 500: {error}"),
/// }
/// # }
/// ```
///
/// # Errors
///
/// [`OnceError`] when the store or the handler failed.
pub async fn once<S, T, E, F>(
    store: &S,
    delivery: &Delivery,
    handler: impl FnOnce() -> F,
) -> Result<Once<T>, OnceError<S::Error, E>>
where
    S: DeliveryStore,
    F: Future<Output = Result<T, E>>,
{
    let key = delivery.dedupe_key();
    let lease = match store.claim(key).await.map_err(OnceError::Store)? {
        Claim::Granted(lease) => lease,
        Claim::InProgress => return Ok(Once::InProgress),
        Claim::Handled => return Ok(Once::Repeated),
    };
    let mut held = Held {
        store,
        key,
        lease: Some(lease),
    };
    let outcome = handler().await;
    let settled = store.settle(key, lease, outcome.is_ok()).await;
    held.lease = None;
    match (outcome, settled) {
        (Err(error), _) => Err(OnceError::Handler(error)),
        (Ok(_), Err(error)) => Err(OnceError::Store(error)),
        (Ok(value), Ok(())) => Ok(Once::First(value)),
    }
}

/// A claim that is given up when it is dropped before it was settled.
struct Held<'a, S: DeliveryStore> {
    store: &'a S,
    key: &'a str,
    lease: Option<Lease>,
}

impl<S: DeliveryStore> Drop for Held<'_, S> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease {
            self.store.abandon(self.key, lease);
        }
    }
}
