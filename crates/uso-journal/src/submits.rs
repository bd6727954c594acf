//! Submits of a run: how many are on their way, and when the service last accepted one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::progress::Progress;

/// The submits of a run. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Submits(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    sending: AtomicUsize,
    accepted: Mutex<Option<Instant>>,
    news: Notify,
}

impl Submits {
    /// Submits that are about to leave or have left, and whose outcome is not recorded yet.
    pub(crate) fn sending(&self) -> usize {
        self.0.sending.load(Ordering::Acquire)
    }

    /// Whether the service accepted a submit after this time.
    pub(crate) fn is_accepted_since(&self, time: Instant) -> bool {
        self.accepted().is_some_and(|accepted| accepted > time)
    }

    /// Returns when the service has accepted another submit.
    pub(crate) async fn accepted_another(&self) {
        self.0.news.notified().await;
    }

    fn accepted(&self) -> MutexGuard<'_, Option<Instant>> {
        let accepted = self.0.accepted.lock();
        accepted.unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows one purchase.
    pub(crate) fn follow(&self) -> Submit {
        Submit {
            submits: self.clone(),
            is_sending: AtomicBool::new(false),
        }
    }
}

/// One purchase, which counts while its submit is on its way.
#[derive(Debug)]
pub(crate) struct Submit {
    submits: Submits,
    is_sending: AtomicBool,
}

impl Submit {
    pub(crate) fn tell(&self, progress: &Progress) {
        match progress {
            // Before the record of the submit, which may outlive its process as one that left.
            Progress::Prepared(_) | Progress::Sending => self.set(true),
            Progress::Submitted(_) => {
                *self.submits.accepted() = Some(Instant::now());
                self.set(false);
                self.submits.0.news.notify_one();
            }
            _ => {}
        }
    }

    fn set(&self, sending: bool) {
        let count = &self.submits.0.sending;
        match (self.is_sending.swap(sending, Ordering::AcqRel), sending) {
            (false, true) => count.fetch_add(1, Ordering::AcqRel),
            (true, false) => count.fetch_sub(1, Ordering::AcqRel),
            _ => 0,
        };
    }
}

impl Drop for Submit {
    fn drop(&mut self) {
        self.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submit_counts_from_before_its_record_until_its_end() {
        let submits = Submits::default();
        let submit = submits.follow();
        submit.tell(&Progress::Prepared(Vec::new()));
        assert_eq!(submits.sending(), 1);
        submit.tell(&Progress::Sending);
        assert_eq!(submits.sending(), 1);
        drop(submit);
        assert_eq!(submits.sending(), 0);
    }
}
