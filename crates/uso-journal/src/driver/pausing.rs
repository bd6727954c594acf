//! Pausing a batch while the service takes no submits, and going on afterwards.

use std::time::Duration;

use tokio::time::Instant;
use uso::ErrorKind;

use super::Driver;
use super::pause::Pause;
use crate::batch_event::{BatchEvent, Stopped};

/// Pauses while the account is locked or the service takes nothing.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A batch whose purchases have not reached the service for so long stops: its address or the
/// network's settings may be wrong.
const LONGEST_OUTAGE: Duration = Duration::from_secs(600);

impl Driver {
    /// The service took a submit of none of the purchases for now.
    pub(super) async fn refused(&mut self, kind: ErrorKind, message: String, began: Instant) {
        let now = Instant::now();
        // Purchases that began before the pause say nothing new.
        if self.pause.is_some_and(|pause| began < pause.refused) {
            return;
        }
        // Another kind of refusal is the beginning of another pause.
        let Some(pause) = self.pause.filter(|pause| pause.kind == kind) else {
            if kind == ErrorKind::Locked {
                self.share_lock(true).await;
            }
            return self.pause_for(kind, message, FIRST_PAUSE).await;
        };
        let longest = match kind {
            ErrorKind::Locked => self.terms.longest_lock,
            ErrorKind::Unreachable => Some(LONGEST_OUTAGE),
            _ => None,
        };
        if longest.is_some_and(|longest| now.duration_since(pause.began) >= longest) {
            let stopped = match kind {
                ErrorKind::Locked => Stopped::Locked(message),
                _ => Stopped::Unreachable(message),
            };
            self.stopped.get_or_insert(stopped);
            return;
        }
        self.pause = Some(Pause {
            refused: now,
            length: (pause.length * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE),
            is_tried: false,
            ..pause
        });
    }

    pub(super) async fn pause_for(&mut self, kind: ErrorKind, message: String, length: Duration) {
        let now = Instant::now();
        self.pause = Some(Pause {
            kind,
            began: now,
            refused: now,
            length,
            is_tried: false,
        });
        let pause = BatchEvent::Paused {
            kind,
            message,
            again_in: length,
        };
        let _ = self.tell.send(pause).await;
    }

    pub(super) async fn go_on(&mut self) {
        self.pause = None;
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
