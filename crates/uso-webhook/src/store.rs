//! Stores that remember which notifications were handled.

/// Remembers which notifications were handled. [`MemoryStore`](crate::MemoryStore) is one; a
/// database is another.
///
/// In SQL, a claim is one statement, and an expired lease is what a dead process leaves:
///
/// ```sql
/// INSERT INTO notifications (key, lease, until) VALUES ($1, 1, now() + interval '2 minutes')
/// ON CONFLICT (key) DO UPDATE SET lease = notifications.lease + 1, until = excluded.until
///     WHERE NOT notifications.handled AND notifications.until < now()
/// RETURNING lease; -- a row: granted; none: look whether it is handled
/// ```
///
/// Settling is `UPDATE … SET handled = true WHERE key = $1 AND lease = $2` after a handler that
/// succeeded, and `SET until = now()` after one that failed.
pub trait NotificationStore: Send + Sync {
    /// Error of the store itself.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Takes the right to handle the notification with this key
    /// ([`Notification::deduplication_key`](crate::Notification::deduplication_key)), in one step:
    /// of several claims at the same time, one is granted.
    fn claim(&self, key: &str) -> impl Future<Output = Result<Claim, Self::Error>> + Send;

    /// Ends a claim: the notification was handled and is never granted again, or its handler failed
    /// and it may be. A lease that is not the current one changes nothing.
    fn settle(
        &self,
        key: &str,
        lease: Lease,
        handled: bool,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Gives up a claim whose handler was dropped before its end, as servers do when the connection
    /// closes. A store that cannot do so without waiting leaves it to the end of the lease.
    fn abandon(&self, key: &str, lease: Lease) {
        let _ = (key, lease);
    }
}

/// Outcome of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Handle the notification.
    Granted(Lease),
    /// Another handler works on it, and may yet fail.
    InProgress,
    /// The notification was handled.
    Handled,
}

/// Number of a claim, chosen by the store: tells a claim from a later claim of the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease(pub u64);
