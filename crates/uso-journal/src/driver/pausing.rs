//! Pausing a batch while the service takes no submits, and going on afterwards.

use std::time::Duration;

use tokio::time::Instant;
use uso::ErrorKind;

use super::Driver;
use super::pause::Pause;
use crate::batch_event::{BatchEvent, Stopped};

/// A batch whose purchases have not reached the service for so long stops: its address or the
/// network's settings may be wrong.
const LONGEST_OUTAGE: Duration = Duration::from_secs(600);

impl Driver {
    /// The service took a submit of none of the purchases for now.
    pub(super) async fn refused(&mut self, kind: ErrorKind, message: String, began: Instant) {
        // Purchases that began before the pause say nothing new.
        if let Some(pause) = self.pause {
            if began < pause.refused {
                return;
            }
            if self.submits.is_accepted_since(pause.refused) {
                self.refusals.clear();
            }
        }
        let longest = match kind {
            ErrorKind::Locked => self.terms.longest_lock,
            ErrorKind::Unreachable => Some(LONGEST_OUTAGE),
            _ => None,
        };
        let Some(length) = self.refusals.next_pause(kind, longest) else {
            self.stopped.get_or_insert(match kind {
                ErrorKind::Locked => Stopped::Locked(message),
                _ => Stopped::Unreachable(message),
            });
            return;
        };
        let is_told = self.pause.is_some_and(|pause| pause.kind == kind);
        if kind == ErrorKind::Locked && !is_told {
            self.share_lock(true).await;
        }
        self.pause_for(kind, message, length).await;
    }

    /// Pauses, and tells a pause of another kind than before.
    pub(super) async fn pause_for(&mut self, kind: ErrorKind, message: String, length: Duration) {
        let pause = Pause {
            kind,
            refused: Instant::now(),
            length,
            is_tried: false,
        };
        if self
            .pause
            .replace(pause)
            .is_some_and(|old| old.kind == kind)
        {
            return;
        }
        let pause = BatchEvent::Paused {
            kind,
            message,
            again_in: length,
        };
        let _ = self.tell.send(pause).await;
    }

    pub(super) async fn go_on(&mut self) {
        self.pause = None;
        self.refusals.clear();
        let _ = self.tell.send(BatchEvent::Continued).await;
    }

    /// Ends the pause once a submit that left after the last refusal was accepted.
    pub(super) async fn end_pause(&mut self) {
        let is_over = |pause: &Pause| self.submits.is_accepted_since(pause.until());
        if self.pause.as_ref().is_some_and(is_over) {
            // A lock may have been shared before a pause of another kind.
            self.share_lock(false).await;
            self.go_on().await;
        }
    }
}
