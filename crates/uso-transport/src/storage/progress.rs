//! Progress of an upload.

use std::sync::{Arc, Mutex, PoisonError};

/// Amount of a file that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Bytes that were handed to the connection. It goes back when a part is sent again.
    pub sent: u64,
    /// The length of the file.
    pub total: u64,
}

pub(super) type Told = Arc<dyn Fn(Sent) + Send + Sync>;

/// Count of what was sent, for the caller who asked to be told.
#[derive(Clone, Default)]
pub(super) struct Progress {
    sent: Arc<Mutex<u64>>,
    total: u64,
    pub(super) tell: Option<Told>,
}

impl Progress {
    /// Nothing of so many bytes.
    pub(super) fn of(total: u64) -> Self {
        Self {
            total,
            ..Self::default()
        }
    }

    pub(super) fn change(&self, change: impl FnOnce(u64) -> u64) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        *sent = change(*sent);
        // Told under the lock, so that the last word is the last count.
        if let Some(tell) = &self.tell {
            let (sent, total) = (*sent, self.total);
            tell(Sent { sent, total });
        }
    }
}
