//! A job: its submission, its phase, and how long its result is kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;

use super::outcome::Outcome;
use crate::clock::Moment;
use crate::files::Lifecycle;
use crate::webhook::target::Target;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Queued,
    Running,
    Completed,
}

/// What a caller asked for, as far as the queue cares.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    /// The whole endpoint id as called, with a path below the alias if there was one.
    pub(crate) endpoint_id: Arc<str>,
    pub(crate) input: Arc<Value>,
    /// Length of the body that the input came in.
    pub(crate) size: usize,
    /// A synchronous run takes a runner at once or is refused; it has no follow-up addresses.
    pub(crate) sync: bool,
    pub(crate) low_priority: bool,
    pub(crate) start_deadline: Option<Moment>,
    pub(crate) store_io: bool,
    pub(crate) no_retry: bool,
    pub(crate) max_queue_length: Option<usize>,
    /// Of the pictures that it makes.
    pub(crate) lifecycle: Lifecycle,
    /// Where its end is announced.
    pub(crate) webhook: Option<Target>,
    pub(crate) plan: Plan,
}

/// What a scenario has in store for one job.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// The job never reaches a runner.
    pub(crate) never_starts: bool,
    /// How many attempts lose their runner and go back to the queue.
    pub(crate) lost_runners: u32,
    /// How many follow-up calls still find no such request.
    pub(crate) invisible_for: u32,
    /// The pictures are in another format than declared.
    pub(crate) mistyped: bool,
    /// The CDN has lost its files by the time the job runs.
    pub(crate) files_gone: bool,
    /// The job ends with this instead of a picture.
    pub(crate) ends_with: Option<Arc<Outcome>>,
}

#[derive(Clone, Debug)]
pub(crate) struct LogLine {
    pub(crate) at: Moment,
    pub(crate) message: String,
}

pub(crate) struct Job {
    pub(crate) request_id: Arc<str>,
    pub(crate) submission: Submission,
    pub(crate) phase: Phase,
    /// Counts the times a runner took the job; tells a late runner that it is no longer the one.
    pub(crate) attempt: u32,
    /// The id of the last attempt, once it is another than the request's.
    pub(crate) gateway_request_id: Option<Arc<str>>,
    pub(crate) submitted: Moment,
    pub(crate) started: Option<Moment>,
    pub(crate) completed: Option<Moment>,
    pub(crate) completed_at: Option<Instant>,
    pub(crate) cancel_requested: bool,
    pub(crate) outcome: Option<Arc<Outcome>>,
    pub(crate) logs: Vec<LogLine>,
    /// Rung on every change that a watcher could see.
    bell: watch::Sender<()>,
}

impl Job {
    pub(super) fn new(request_id: Arc<str>, submission: Submission, submitted: Moment) -> Self {
        Self {
            request_id,
            submission,
            phase: Phase::Queued,
            attempt: 0,
            gateway_request_id: None,
            submitted,
            started: None,
            completed: None,
            completed_at: None,
            cancel_requested: false,
            outcome: None,
            logs: Vec::new(),
            bell: watch::Sender::new(()),
        }
    }

    /// Whether this call finds the job; the first ones may not.
    pub(super) fn show(&mut self) -> bool {
        let hidden = &mut self.submission.plan.invisible_for;
        let visible = *hidden == 0;
        *hidden = hidden.saturating_sub(1);
        visible
    }

    pub(crate) fn listen(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }

    pub(super) fn ring(&self) {
        self.bell.send_replace(());
    }

    /// Log lines that exist at this moment; a running job's later lines are already planned.
    pub(crate) fn logs_until(&self, now: Moment) -> &[LogLine] {
        let count = self.logs.partition_point(|line| line.at <= now);
        self.logs.get(..count).unwrap_or_default()
    }

    /// Writes a line in place of what was planned for later.
    pub(super) fn note(&mut self, now: Moment, message: &str) {
        self.logs.truncate(self.logs_until(now).len());
        self.logs.push(LogLine {
            at: now,
            message: message.to_owned(),
        });
    }

    pub(super) fn close(&mut self, outcome: Outcome, now: Moment) {
        self.phase = Phase::Completed;
        self.completed = Some(now);
        self.outcome = Some(Arc::new(outcome));
        self.logs.truncate(self.logs_until(now).len());
        // Taken last: from here on a watcher can know.
        self.completed_at = Some(Instant::now());
        self.ring();
    }

    /// Bytes of input and result.
    pub(super) fn size(&self) -> usize {
        self.submission.size + self.outcome.as_ref().map_or(0, |outcome| outcome.size)
    }
}

/// How long results can be fetched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// After completion, for bodies below [`Self::LARGE`].
    pub(crate) small: Duration,
    /// After completion, for bodies of [`Self::LARGE`] and more.
    pub(crate) large: Duration,
    /// With payload storage: results up to [`Self::STORABLE`] of callers that did not refuse it.
    pub(crate) stored: Option<Duration>,
}

impl Retention {
    const LARGE: usize = 10_000;
    const STORABLE: usize = 1_000_000;

    pub(super) fn of(&self, job: &Job, outcome: &Outcome) -> Duration {
        let short = if outcome.size < Self::LARGE {
            self.small
        } else {
            self.large
        };
        match self.stored {
            Some(stored)
                if job.submission.store_io
                    && !outcome.hidden_from_history()
                    && outcome.size <= Self::STORABLE =>
            {
                stored.max(short)
            }
            _ => short,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            small: Duration::from_secs(3600),
            large: Duration::from_secs(360),
            stored: None,
        }
    }
}
