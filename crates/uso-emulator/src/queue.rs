//! The queue as a state machine: pure, driven with explicit moments, no IO.
//!
//! A job is queued, running or completed; failure and cancellation are ways of having completed.
//! A job may fall back from running to queued when its runner is lost. The machine decides who
//! runs next, who is ahead of whom, what a cancel means and when a result is forgotten; what the
//! answers look like on the wire is [`answers`]' business, and time is moved by [`driver`].

pub(crate) mod answers;
pub(crate) mod driver;
pub(crate) mod events;
pub(crate) mod handlers;
pub(crate) mod outcome;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;

use crate::clock::Moment;
use outcome::Outcome;

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
    /// A synchronous run takes a runner at once or is refused; it has no follow-up addresses.
    pub(crate) sync: bool,
    pub(crate) low_priority: bool,
    pub(crate) start_deadline: Option<Moment>,
    pub(crate) store_io: bool,
    pub(crate) no_retry: bool,
    pub(crate) max_queue_length: Option<usize>,
    pub(crate) plan: Plan,
}

/// What a scenario has in store for one job.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// The job never reaches a runner.
    pub(crate) never_starts: bool,
    /// How many attempts lose their runner and go back to the queue.
    pub(crate) lost_runners: u32,
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
    pub(crate) fn listen(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }

    fn ring(&self) {
        self.bell.send_replace(());
    }

    /// Log lines that exist at this moment; a running job's later lines are already planned.
    pub(crate) fn logs_until(&self, now: Moment) -> &[LogLine] {
        let count = self.logs.partition_point(|line| line.at <= now);
        self.logs.get(..count).unwrap_or_default()
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

    fn of(&self, job: &Job, outcome: &Outcome) -> Duration {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// More requests wait than the caller accepts.
    QueueTooLong,
    /// A synchronous run found every runner taken.
    NoFreeRunner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// It was queued and is now completed as cancelled.
    Removed,
    /// It runs; the runner has been told.
    Requested,
    AlreadyCompleted,
    NotFound,
}

pub(crate) struct Machine {
    jobs: HashMap<Arc<str>, Job>,
    normal: VecDeque<Arc<str>>,
    low: VecDeque<Arc<str>>,
    /// Start deadlines of jobs that wait, or waited before they ran.
    deadlines: BTreeSet<(Moment, Arc<str>)>,
    /// In order of acceptance, so that the oldest can be forgotten.
    accepted: VecDeque<Arc<str>>,
    running: usize,
    concurrency: usize,
    retention: Retention,
}

impl Machine {
    /// Jobs that are remembered; more than any test or morning of work makes.
    const KEPT: usize = 20_000;

    pub(crate) fn new(concurrency: usize, retention: Retention) -> Self {
        Self {
            jobs: HashMap::new(),
            normal: VecDeque::new(),
            low: VecDeque::new(),
            deadlines: BTreeSet::new(),
            accepted: VecDeque::new(),
            running: 0,
            concurrency: concurrency.max(1),
            retention,
        }
    }

    /// Accepts a submission, or refuses it without a trace.
    pub(crate) fn submit(
        &mut self,
        request_id: Arc<str>,
        submission: Submission,
        now: Moment,
    ) -> Result<(), Refused> {
        if submission.sync && self.running >= self.concurrency {
            return Err(Refused::NoFreeRunner);
        }
        if submission
            .max_queue_length
            .is_some_and(|limit| self.waiting() > limit)
        {
            return Err(Refused::QueueTooLong);
        }
        let line = if submission.low_priority {
            &mut self.low
        } else {
            &mut self.normal
        };
        if submission.sync {
            // Ahead of everybody: the free runner that was just seen belongs to this call.
            line.push_front(Arc::clone(&request_id));
        } else {
            line.push_back(Arc::clone(&request_id));
        }
        if let Some(deadline) = submission.start_deadline {
            self.deadlines.insert((deadline, Arc::clone(&request_id)));
        }
        self.accepted.push_back(Arc::clone(&request_id));
        let job = Job {
            request_id: Arc::clone(&request_id),
            submission,
            phase: Phase::Queued,
            attempt: 0,
            submitted: now,
            started: None,
            completed: None,
            completed_at: None,
            cancel_requested: false,
            outcome: None,
            logs: Vec::new(),
            bell: watch::Sender::new(()),
        };
        self.jobs.insert(request_id, job);
        self.forget_oldest();
        Ok(())
    }

    /// Gives free runners to waiting jobs, normal ones first, and names the jobs that now run.
    pub(crate) fn start(&mut self, now: Moment) -> Vec<Arc<str>> {
        let mut started = Vec::new();
        for line in [&mut self.normal, &mut self.low] {
            let mut next = 0;
            while self.running < self.concurrency {
                let Some(id) = line.get(next) else { break };
                match self.jobs.get_mut(id) {
                    Some(job) if job.submission.plan.never_starts => next += 1,
                    Some(job) => {
                        job.phase = Phase::Running;
                        job.attempt += 1;
                        job.started = Some(now);
                        job.ring();
                        self.running += 1;
                        started.extend(line.remove(next));
                    }
                    None => {
                        line.remove(next);
                    }
                }
            }
        }
        if !started.is_empty() {
            self.ring_waiting();
        }
        started
    }

    /// Ends a job. False if it is not, or no longer, in the given attempt.
    pub(crate) fn complete(
        &mut self,
        request_id: &str,
        attempt: u32,
        outcome: Outcome,
        now: Moment,
    ) -> bool {
        let Some(job) = self.jobs.get_mut(request_id) else {
            return false;
        };
        if job.phase != Phase::Running || job.attempt != attempt {
            return false;
        }
        self.running = self.running.saturating_sub(1);
        Self::close(job, &mut self.deadlines, outcome, now);
        true
    }

    /// A runner was lost: back to the end of the line. The start deadline counts again.
    pub(crate) fn requeue(&mut self, request_id: &str, attempt: u32) -> bool {
        let Some(job) = self.jobs.get_mut(request_id) else {
            return false;
        };
        if job.phase != Phase::Running || job.attempt != attempt {
            return false;
        }
        self.running = self.running.saturating_sub(1);
        job.phase = Phase::Queued;
        let line = if job.submission.low_priority {
            &mut self.low
        } else {
            &mut self.normal
        };
        line.push_back(Arc::clone(&job.request_id));
        if let Some(deadline) = job.submission.start_deadline {
            self.deadlines
                .insert((deadline, Arc::clone(&job.request_id)));
        }
        job.ring();
        true
    }

    /// Ends a job that still waits, with the given outcome. False if it waits no longer.
    pub(crate) fn end_waiting(&mut self, request_id: &str, outcome: Outcome, now: Moment) -> bool {
        let Some(job) = self.jobs.get_mut(request_id) else {
            return false;
        };
        if job.phase != Phase::Queued {
            return false;
        }
        self.normal.retain(|id| **id != *request_id);
        self.low.retain(|id| **id != *request_id);
        Self::close(job, &mut self.deadlines, outcome, now);
        self.ring_waiting();
        true
    }

    /// When the next start deadline passes.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Ends the waiting jobs whose start deadline has passed, and names them.
    pub(crate) fn expire(&mut self, now: Moment) -> Vec<Arc<str>> {
        let mut expired = Vec::new();
        while let Some((deadline, id)) = self.deadlines.pop_first() {
            if deadline > now {
                self.deadlines.insert((deadline, id));
                break;
            }
            if self.end_waiting(&id, Outcome::start_deadline_missed(), now) {
                expired.push(id);
            }
        }
        expired
    }

    pub(crate) fn cancel(&mut self, request_id: &str, now: Moment) -> Cancelled {
        let Some(job) = self.jobs.get_mut(request_id) else {
            return Cancelled::NotFound;
        };
        match job.phase {
            Phase::Queued => {
                self.end_waiting(request_id, Outcome::cancelled(), now);
                Cancelled::Removed
            }
            Phase::Running => {
                job.cancel_requested = true;
                job.ring();
                Cancelled::Requested
            }
            Phase::Completed => Cancelled::AlreadyCompleted,
        }
    }

    /// A job that callers may still see: queued work, and results within their retention.
    pub(crate) fn get(&self, request_id: &str, now: Moment) -> Option<&Job> {
        self.jobs
            .get(request_id)
            .filter(|job| !self.expired(job, now))
    }

    pub(crate) fn get_mut(&mut self, request_id: &str) -> Option<&mut Job> {
        self.jobs.get_mut(request_id)
    }

    /// Every job ever accepted and not swept, for the Platform API's listing.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }

    /// How many requests are ahead of a waiting one.
    pub(crate) fn position(&self, request_id: &str) -> Option<usize> {
        self.normal
            .iter()
            .chain(&self.low)
            .position(|id| **id == *request_id)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.normal.len() + self.low.len()
    }

    pub(crate) fn running(&self) -> usize {
        self.running
    }

    fn expired(&self, job: &Job, now: Moment) -> bool {
        match (job.completed, &job.outcome) {
            (Some(completed), Some(outcome)) => {
                now >= completed.saturating_add(self.retention.of(job, outcome))
            }
            _ => false,
        }
    }

    /// Keeps memory bounded: of very many jobs, the oldest completed ones are forgotten.
    fn forget_oldest(&mut self) {
        while self.accepted.len() > Self::KEPT {
            match self.accepted.front().and_then(|id| self.jobs.get(id)) {
                Some(job) if job.phase != Phase::Completed => break,
                _ => {}
            }
            if let Some(id) = self.accepted.pop_front() {
                self.jobs.remove(&id);
            }
        }
    }

    fn close(
        job: &mut Job,
        deadlines: &mut BTreeSet<(Moment, Arc<str>)>,
        outcome: Outcome,
        now: Moment,
    ) {
        if let Some(deadline) = job.submission.start_deadline {
            deadlines.remove(&(deadline, Arc::clone(&job.request_id)));
        }
        job.phase = Phase::Completed;
        job.completed = Some(now);
        job.outcome = Some(Arc::new(outcome));
        let visible = job.logs.partition_point(|line| line.at <= now);
        job.logs.truncate(visible);
        // Taken last: from here on a watcher can know.
        job.completed_at = Some(Instant::now());
        job.ring();
    }

    /// Positions have moved.
    fn ring_waiting(&self) {
        for id in self.normal.iter().chain(&self.low) {
            if let Some(job) = self.jobs.get(id) {
                job.ring();
            }
        }
    }
}

#[cfg(test)]
mod tests;
