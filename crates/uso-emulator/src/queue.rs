//! The queue as a state machine: pure, driven with explicit moments, no IO.
//!
//! A job is queued, running or completed; failure and cancellation are ways of having completed.
//! A job may fall back from running to queued when its runner is lost. The machine decides who
//! runs next, who is ahead of whom, what a cancel means and when a result is forgotten; what the
//! answers look like on the wire is [`responses`]' business, and time is moved by [`driver`].

pub(crate) mod driver;
pub(crate) mod events;
pub(crate) mod handlers;
mod job;
pub(crate) mod outcome;
pub(crate) mod responses;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::Moment;
use outcome::Outcome;

pub(crate) use job::{Job, LogLine, Phase, Plan, Retention, Submission};

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
    /// Bytes that the jobs hold.
    held: usize,
    running: usize,
    concurrency: usize,
    retention: Retention,
    /// Rung whenever a job starts or ends.
    changes: watch::Sender<()>,
}

impl Machine {
    /// Jobs that are remembered; more than any test or morning of work makes.
    const KEPT: usize = 20_000;
    /// Bytes of inputs and results that are remembered; they may hold whole pictures.
    const HELD: usize = 256 << 20;

    pub(crate) fn new(concurrency: usize, retention: Retention) -> Self {
        Self {
            jobs: HashMap::new(),
            normal: VecDeque::new(),
            low: VecDeque::new(),
            deadlines: BTreeSet::new(),
            accepted: VecDeque::new(),
            held: 0,
            running: 0,
            concurrency: concurrency.max(1),
            retention,
            changes: watch::Sender::new(()),
        }
    }

    /// Tells when a job starts or ends.
    pub(crate) fn listen(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    pub(crate) fn first_running(&self) -> Option<&Arc<str>> {
        let runs = |id: &&Arc<str>| {
            let job = self.jobs.get(&***id);
            job.is_some_and(|job| job.phase == Phase::Running)
        };
        self.accepted.iter().find(runs)
    }

    /// Whether a request has ever run; nothing while it may still.
    pub(crate) fn has_started(&self, request_id: &str) -> Option<bool> {
        let job = self.jobs.get(request_id)?;
        match job.phase {
            Phase::Queued if job.attempt == 0 => None,
            _ => Some(job.attempt > 0),
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
            // Ahead of all others: the free runner that was just seen belongs to this call.
            line.push_front(Arc::clone(&request_id));
        } else {
            line.push_back(Arc::clone(&request_id));
        }
        if let Some(deadline) = submission.start_deadline {
            self.deadlines.insert((deadline, Arc::clone(&request_id)));
        }
        self.accepted.push_back(Arc::clone(&request_id));
        self.held += submission.size;
        let job = Job::new(Arc::clone(&request_id), submission, now);
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
            self.changes.send_replace(());
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
        self.close(request_id, outcome, now);
        true
    }

    /// A runner was lost: back to the end of the line. The start deadline counts again.
    pub(crate) fn requeue(&mut self, request_id: &str, attempt: u32, now: Moment) -> bool {
        let Some(job) = self.jobs.get_mut(request_id) else {
            return false;
        };
        if job.phase != Phase::Running || job.attempt != attempt {
            return false;
        }
        self.running = self.running.saturating_sub(1);
        job.phase = Phase::Queued;
        job.note(now, "runner lost; the request goes back to the queue");
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
        self.close(request_id, outcome, now);
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

    /// The jobs, the newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Job> {
        let ids = self.accepted.iter().rev();
        ids.filter_map(|id| self.jobs.get(id))
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

    /// Keeps memory bounded: when there is very much, the oldest completed jobs are forgotten.
    fn forget_oldest(&mut self) {
        while self.accepted.len() > Self::KEPT || self.held > Self::HELD {
            match self.accepted.front().and_then(|id| self.jobs.get(id)) {
                Some(job) if job.phase != Phase::Completed => break,
                _ => {}
            }
            let Some(id) = self.accepted.pop_front() else {
                break;
            };
            if let Some(job) = self.jobs.remove(&id) {
                self.held = self.held.saturating_sub(job.size());
            }
        }
    }

    fn close(&mut self, request_id: &str, outcome: Outcome, now: Moment) {
        let Some(job) = self.jobs.get_mut(request_id) else {
            return;
        };
        if let Some(deadline) = job.submission.start_deadline {
            self.deadlines
                .remove(&(deadline, Arc::clone(&job.request_id)));
        }
        self.held += outcome.size;
        job.close(outcome, now);
        self.changes.send_replace(());
        self.forget_oldest();
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
