//! Retry policy of webhook deliveries.

use std::time::Duration;

/// Retry policy of webhook deliveries, on the emulator's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookPolicy {
    /// Time that the first attempt waits for its response. Default: 15 s, as fal documents.
    pub first_timeout: Duration,
    /// Time that every later attempt waits. Default: 120 s, as fal documents.
    pub retry_timeout: Duration,
    /// The pause before the first repetition; each further one is twice as long. Default: 5 s;
    /// fal says that it grows, and not from where.
    pub first_pause: Duration,
    /// The longest pause. Default: 120 s, so that all repetitions have room in the hour for which a
    /// small result is kept.
    pub longest_pause: Duration,
    /// Repetitions at the most, while the result is kept. Default: 31, as fal documents.
    pub retries: u32,
}

impl Default for WebhookPolicy {
    fn default() -> Self {
        Self {
            first_timeout: Duration::from_secs(15),
            retry_timeout: Duration::from_secs(120),
            first_pause: Duration::from_secs(5),
            longest_pause: Duration::from_secs(120),
            retries: 31,
        }
    }
}
