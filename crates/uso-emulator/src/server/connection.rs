//! A client connection, which faults can cut or slow down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// One client connection, as far as a request may act on it.
pub(crate) struct Connection {
    /// Counts from 1 over the life of the emulator.
    pub(crate) number: u64,
    pub(crate) tls: bool,
    pub(super) cut: Notify,
    pub(super) slow: Arc<AtomicBool>,
}

impl Connection {
    /// Closes the connection under everything that is in flight on it, without a farewell.
    pub(crate) fn cut(&self) {
        self.cut.notify_one();
    }

    /// From now on every answer dribbles out.
    pub(crate) fn slow_down(&self) {
        self.slow.store(true, Ordering::Relaxed);
    }
}

/// The answer was deliberately not given.
#[derive(Debug)]
pub(crate) struct Unanswered;

impl std::fmt::Display for Unanswered {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the answer was withheld")
    }
}

impl std::error::Error for Unanswered {}
