//! A pause of a batch, while the service takes no submits.

use std::time::Duration;

use tokio::time::Instant;
use uso::ErrorKind;

/// A pause of a batch: no purchase begins until its end.
#[derive(Clone, Copy)]
pub(super) struct Pause {
    pub(super) kind: ErrorKind,
    pub(super) began: Instant,
    /// When the last refusal came.
    pub(super) refused: Instant,
    pub(super) length: Duration,
    /// Whether a purchase tries whether the service takes any again.
    pub(super) is_tried: bool,
}

impl Pause {
    pub(super) fn until(self) -> Instant {
        self.refused + self.length
    }
}
