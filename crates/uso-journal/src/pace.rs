//! Number of purchases of a batch in flight: as many as the service starts in good time.
//!
//! fal does not refuse a request for want of a runner but lets it wait in the queue. So the time
//! from the submit to the start tells whether there are too many: while jobs start at once, one
//! more is let in for each; when they wait, or their places in the queue say that they will, fewer.

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
            waiting: Mutex::default(),
        }
    }
}

impl Limit {
    /// Lowers the limit for a job that waits too long.
    fn lower_for(&mut self, submitted: Instant) {
        if self.lowered_at.is_none_or(|lowered| submitted > lowered) {
            self.lower();
        }
    }

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
        } else if waited > self.longest_wait {
            limit.lower_for(submitted);
        }
        drop(limit);
        self.changed.notify_one();
    }
}

/// One purchase, whose wait in the service's queue is measured.
#[derive(Debug)]
pub(crate) struct Watched {
    place: Arc<Place>,
    waiting: Mutex<Option<Waiting>>,
}

/// A job in the service's queue.
#[derive(Debug)]
struct Waiting {
    submitted: Instant,
    /// The place that the service told first, and when.
    first: Option<(u64, Instant)>,
}

impl Waiting {
    fn new() -> Self {
        Self {
            submitted: Instant::now(),
            first: None,
        }
    }

    /// The time from the submit to the start, as the way so far tells it.
    fn predicted(&mut self, position: u64) -> Option<Duration> {
        let (first, since) = *self.first.get_or_insert((position, Instant::now()));
        let Some(passed) = first.checked_sub(position) else {
            self.first = None;
            return None;
        };
        let passed = u32::try_from(passed).ok()?;
        let each = since.elapsed().checked_div(passed)?;
        let left = each.saturating_mul(u32::try_from(position).ok()?);
        Some(self.submitted.elapsed().saturating_add(left))
    }
}

impl Watched {
    /// The place of the purchase among those at the service. It is free when the job has ended, or
    /// when every clone is dropped.
    pub(crate) fn place(&self) -> Arc<Place> {
        Arc::clone(&self.place)
    }

    pub(crate) fn tell(&self, progress: &Progress) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &self.place.pace.inner;
        match progress {
            Progress::Submitted(_) => *waiting = Some(Waiting::new()),
            Progress::Job(Event::Queued { position }) => {
                if let (Some(waiting), Some(position)) = (waiting.as_mut(), *position)
                    && let Some(predicted) = waiting.predicted(position)
                    && predicted > inner.longest_wait
                {
                    inner.limit().lower_for(waiting.submitted);
                }
            }
            Progress::Job(Event::Running) => {
                if let Some(waiting) = waiting.take() {
                    inner.started(waiting.submitted, Duration::ZERO);
                }
            }
            Progress::Job(Event::Completed(completion)) => {
                if let Some(waiting) = waiting.take() {
                    // Nothing told when it started.
                    let ran = completion.inference_seconds.unwrap_or_default();
                    let ran = Duration::try_from_secs_f64(ran).unwrap_or_default();
                    inner.started(waiting.submitted, ran);
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

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn queued(watched: &Watched, position: u64) {
        let position = Some(position);
        watched.tell(&Progress::Job(Event::Queued { position }));
    }

    /// A limit of eleven, and a job that was submitted under it.
    fn watched() -> (Pace, Watched) {
        let pace = Pace::new(None, Duration::from_secs(600));
        for _ in 0..9 {
            pace.inner.started(Instant::now(), Duration::ZERO);
        }
        let watched = pace.watch();
        *watched.waiting.lock().unwrap() = Some(Waiting::new());
        (pace, watched)
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_will_take_long_lowers_the_limit_once_and_before_the_wait() {
        let (pace, watched) = watched();
        queued(&watched, 30);
        assert_eq!(pace.limit(), 11, "one place alone says nothing");
        for position in [29, 28] {
            advance(Duration::from_secs(1)).await;
            queued(&watched, position);
            assert_eq!(pace.limit(), 8, "at {position}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_soon_over_or_grows_lowers_nothing() {
        let (pace, watched) = watched();
        for position in [30, 27, 24, 40, 37] {
            queued(&watched, position);
            advance(Duration::from_secs(1)).await;
        }
        assert_eq!(pace.limit(), 11);
    }
}
