//! Source of the current time: tokio's clock plus the time that a test has skipped.
//!
//! Every emulated duration (inference, start deadlines, keep-alives, retention, indexing delay)
//! is measured on this clock, so that a test can hold a job in any state and move on without
//! sleeping. Tokio's clock is real time unless a test pauses it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

/// A moment on the emulator's clock: the time since it started, skipped time included.
pub(crate) type Moment = Duration;

pub(crate) struct Clock {
    started: Instant,
    epoch: Timestamp,
    skipped: watch::Sender<Duration>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            epoch: Timestamp::now(),
            skipped: watch::Sender::new(Duration::ZERO),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.started
            .elapsed()
            .saturating_add(*self.skipped.borrow())
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.skipped
            .send_modify(|skipped| *skipped = skipped.saturating_add(by));
    }

    /// The calendar time of a moment.
    pub(crate) fn timestamp(&self, at: Moment) -> Timestamp {
        self.epoch.saturating_add(at).unwrap_or(Timestamp::MAX)
    }

    /// RFC 3339 in UTC with milliseconds, the form of fal's log entries.
    pub(crate) fn rfc3339(&self, at: Moment) -> String {
        format!("{:.3}", self.timestamp(at))
    }

    /// Returns once the clock has reached `at`, by real time or by a skip.
    pub(crate) async fn sleep_until(&self, at: Moment) {
        let mut skips = self.skipped.subscribe();
        loop {
            skips.borrow_and_update();
            let now = self.now();
            if now >= at {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(at.saturating_sub(now)) => {}
                // The sender lives in `self`, so this cannot fail while we are borrowed.
                _ = skips.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_skip_wakes_the_sleeper() {
        let clock = Clock::start();
        let hour = Duration::from_secs(3600);
        let due = clock.now() + hour;
        tokio::join!(clock.sleep_until(due), async { clock.advance(hour) });
        assert!(clock.now() >= due);
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_runtime_pauses_the_clock() {
        let clock = Clock::start();
        let started = std::time::Instant::now();
        let hour = Duration::from_secs(3600);
        clock.sleep_until(hour).await;
        assert!(clock.now() >= hour);
        assert!(clock.now() < hour * 2, "one sleep, not many");
        assert!(started.elapsed() < hour / 60);
    }

    #[test]
    fn timestamps_have_milliseconds() {
        let text = Clock::start().rfc3339(Duration::ZERO);
        assert_eq!(text.len(), "2026-01-05T10:00:01.250Z".len(), "{text}");
        assert!(text.ends_with('Z'));
    }
}
