//! Source of the current time.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// How far the time of a notification may be from ours, in seconds (fal docs, webhooks).
pub(crate) const TOLERANCE: u64 = 300;

/// Source of the current time.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// # use uso_webhook::Clock;
///
/// let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_760_000_000);
/// assert_eq!(Clock::of(move || at).now(), at);
/// ```
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// Clock of this machine.
    pub fn system() -> Self {
        Self::of(SystemTime::now)
    }

    /// Another clock, such as that of a test.
    pub fn of(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The current time.
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }

    /// Seconds since 1970; negative before.
    pub(crate) fn unix_seconds(&self) -> i64 {
        let whole = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        match self.now().duration_since(UNIX_EPOCH) {
            Ok(since) => whole(since.as_secs()),
            Err(before) => whole(before.duration().as_secs()).saturating_neg(),
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}
