//! Handling each notification once, though notifications repeat and handlers fail.

use http::StatusCode;

use crate::notification::Notification;
use crate::store::{Claim, Lease, NotificationStore};

/// Outcome of handling a notification once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once<T> {
    /// No equal notification was handled before; this is the value of the handler.
    First(T),
    /// An equal notification was handled before.
    Repeated,
    /// An equal notification is being handled, and may yet fail.
    InProgress,
}

impl<T> Once<T> {
    /// The HTTP status to respond with: 200, or 503 while an equal notification is being handled, so
    /// that fal sends it again in case that handler fails.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::First(_) | Self::Repeated => StatusCode::OK,
            Self::InProgress => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Why a notification was not handled. Respond with a 5xx, and fal sends it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnceError<S, E> {
    /// The store failed. After a handler that succeeded, it means that the handler may run again.
    #[error("the store of handled notifications failed")]
    Store(#[source] S),
    /// The handler failed; it gets a later notification again.
    #[error("the notification could not be handled")]
    Handler(#[source] E),
}

/// Gives a notification to its handler, unless an equal one (the same request id and path) was
/// handled or is being handled.
///
/// A handler that fails, or that is dropped before its end, leaves the request to a later
/// notification. So it runs to its end once, and may have started more often.
///
/// ```
/// # use uso_webhook::{MemoryStore, Notification, Once, once};
/// # async fn example(store: MemoryStore, notification: Notification) {
/// let handled = once(&store, &notification, || async {
///     std::fs::write(format!("{}.json", notification.deduplication_key()), notification.raw_body())
/// });
/// match handled.await {
///     Ok(Once::First(())) => println!("written"),
///     Ok(again) => println!("respond with {}", again.status()),
///     Err(error) => println!("respond with 500: {error}"),
/// }
/// # }
/// ```
///
/// # Cancel safety
///
/// Dropping the future drops the handler with it, and a later notification runs the handler again.
///
/// # Errors
///
/// [`OnceError`] when the store or the handler failed.
pub async fn once<S, T, E, F>(
    store: &S,
    notification: &Notification,
    handler: impl FnOnce() -> F,
) -> Result<Once<T>, OnceError<S::Error, E>>
where
    S: NotificationStore,
    F: Future<Output = Result<T, E>>,
{
    let key = notification.deduplication_key();
    let lease = match store.claim(&key).await.map_err(OnceError::Store)? {
        Claim::Granted(lease) => lease,
        Claim::InProgress => return Ok(Once::InProgress),
        Claim::Handled => return Ok(Once::Repeated),
    };
    let mut held = Held {
        store,
        key: &key,
        lease: Some(lease),
    };
    let outcome = handler().await;
    let settled = store.settle(&key, lease, outcome.is_ok()).await;
    held.lease = None;
    match (outcome, settled) {
        (Err(error), _) => Err(OnceError::Handler(error)),
        (Ok(_), Err(error)) => Err(OnceError::Store(error)),
        (Ok(value), Ok(())) => Ok(Once::First(value)),
    }
}

/// A claim that is given up when it is dropped before it is settled.
struct Held<'a, S: NotificationStore> {
    store: &'a S,
    key: &'a str,
    lease: Option<Lease>,
}

impl<S: NotificationStore> Drop for Held<'_, S> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease {
            self.store.abandon(self.key, lease);
        }
    }
}
