//! Number of purchases of a batch in flight: as many as the service starts in good time.
//!
//! fal does not refuse a request for want of a runner but lets it wait in the queue. So the time
//! from the submit to the start tells whether there are too many: while jobs start at once, one
//! more is let in for each; when they wait, fewer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use uso::Event;

use crate::progress::Progress;

/// The concurrency of a new account.
const FIRST: usize = 2;

/// The most that are in flight.
const MOST: usize = 200;

/// A job that starts within this time did not wait.
const AT_ONCE: Duration = Duration::from_secs(3);

/// A job that waits longer than this shows that there are too many.
const LONG: Duration = Duration::from_secs(20);

/// Limit of the purchases in flight. Clones are the same limit.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    fixed: Option<usize>,
    longest_wait: Duration,
    limit: Mutex<Limit>,
    at_service: AtomicUsize,
    changed: Notify,
}

#[derive(Debug)]
struct Limit {
    most: usize,
    /// Jobs that were submitted before this say nothing of a limit that was lowered since.
    lowered_at: Option<Instant>,
}

impl Pace {
    /// A fixed limit, or one that adapts; a job has to start within `start_within`.
    pub(crate) fn new(fixed: Option<usize>, start_within: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                fixed: fixed.map(|fixed| fixed.max(1)),
                longest_wait: LONG.min(start_within / 2),
                limit: Mutex::new(Limit {
                    most: FIRST,
                    lowered_at: None,
                }),
                at_service: AtomicUsize::new(0),
                changed: Notify::new(),
            }),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.inner.fixed.unwrap_or_else(|| self.inner.limit().most)
    }

    /// Purchases whose jobs have not ended.
    pub(crate) fn at_service(&self) -> usize {
        self.inner.at_service.load(Ordering::Acquire)
    }

    /// Returns when the limit may have changed, or a job has ended.
    pub(crate) async fn changed(&self) {
        self.inner.changed.notified().await;
    }

    /// A job did not start before its start deadline.
    pub(crate) fn missed(&self) {
        self.inner.limit().lower();
    }

    /// Watches one purchase.
    pub(crate) fn watch(&self) -> Watched {
        self.inner.at_service.fetch_add(1, Ordering::AcqRel);
        Watched {
            place: Arc::new(Place {
                pace: self.clone(),
                is_free: AtomicBool::new(false),
            }),
            submitted: Mutex::default(),
        }
    }
}

impl Limit {
    fn lower(&mut self) {
        self.most = (self.most * 3 / 4).max(FIRST);
        self.lowered_at = Some(Instant::now());
    }
}

impl Inner {
    fn limit(&self) -> MutexGuard<'_, Limit> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job that was submitted then has started, and has run for so long.
    fn started(&self, submitted: Instant, ran: Duration) {
        let waited = submitted.elapsed().saturating_sub(ran);
        let mut limit = self.limit();
        if waited <= AT_ONCE {
            limit.most = limit.most.saturating_add(1).min(MOST);
        } else if waited > self.longest_wait
            && limit.lowered_at.is_none_or(|lowered| submitted > lowered)
        {
            limit.lower();
        }
        drop(limit);
        self.changed.notify_one();
    }
}

/// One purchase, whose wait in the service's queue is measured.
#[derive(Debug)]
pub(crate) struct Watched {
    place: Arc<Place>,
    submitted: Mutex<Option<Instant>>,
}

impl Watched {
    /// The place of the purchase among those at the service. It is free when the job has ended, or
    /// when every clone is dropped.
    pub(crate) fn place(&self) -> Arc<Place> {
        Arc::clone(&self.place)
    }

    pub(crate) fn tell(&self, progress: &Progress) {
        let mut submitted = self
            .submitted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match progress {
            Progress::Submitted(_) => *submitted = Some(Instant::now()),
            Progress::Job(Event::Running) => {
                if let Some(submitted) = submitted.take() {
                    self.place.pace.inner.started(submitted, Duration::ZERO);
                }
            }
            Progress::Job(Event::Completed(completion)) => {
                if let Some(submitted) = submitted.take() {
                    // Nothing told when it started.
                    let ran = completion.inference_seconds.unwrap_or_default();
                    let ran = Duration::try_from_secs_f64(ran).unwrap_or_default();
                    self.place.pace.inner.started(submitted, ran);
                }
                self.place.leave();
            }
            _ => {}
        }
    }
}

/// A place among the purchases at the service.
#[derive(Debug)]
pub(crate) struct Place {
    pace: Pace,
    is_free: AtomicBool,
}

impl Place {
    fn leave(&self) {
        if !self.is_free.swap(true, Ordering::AcqRel) {
            self.pace.inner.at_service.fetch_sub(1, Ordering::AcqRel);
            self.pace.inner.changed.notify_one();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}
