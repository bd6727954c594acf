//! Following a job to its end.
//!
//! The status stream tells at once what changes, so it comes first. It is only a hint, though: a
//! stream that ends early, falls silent or breaks says nothing about the job, and the truth is a
//! status request. After some failed streams the job is polled, with a growing pause, and now and
//! then a stream is tried again.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::error::{Delivery, Error, ErrorKind, Operation, Result};
use crate::http::Body;
use crate::retry::{Outcome, RetryPolicy, decide};
use crate::status::{LogLine, Status};
use crate::stream::EventReader;
use crate::ticket::Ticket;
use crate::transport::{AttemptProblem, Transport, is_event_stream};

/// Streams that fail in a row before the job is polled.
const STREAM_PATIENCE: u32 = 3;
/// Pauses between two looks at the job, while there is no stream.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the job is polled before a stream is tried again.
const WAY_BACK: Duration = Duration::from_secs(30);
/// The largest event that is read; one with more logs than this is read by a status request.
const LARGEST_EVENT: usize = 4 << 20;
/// Log lines that are remembered so as not to be told twice.
const REMEMBERED_LINES: usize = 1 << 16;

/// What became known of a job.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Update {
    /// The service said where the job stands; its log lines are those that were not told before.
    Status(Status),
    /// The connection was lost, and is being made anew. The job is not affected.
    Interrupted(String),
}

/// A job being followed; [`Transport::watch`] makes it.
///
/// Dropping it stops the following and leaves the job alone.
pub struct Watch {
    transport: Transport,
    ticket: Ticket,
    until: Instant,
    phase: Phase,
    failed_streams: u32,
    streamed_before: bool,
    pause: Duration,
    polling_since: Option<Instant>,
    told: HashSet<u64>,
}

enum Phase {
    Connect,
    Stream(Box<Streaming>),
    Poll { at: Instant },
    Ended,
}

struct Streaming {
    body: Body,
    events: EventReader,
    ready: VecDeque<Vec<u8>>,
    had_events: bool,
}

impl Watch {
    pub(crate) fn new(transport: Transport, ticket: Ticket) -> Self {
        let until = Instant::now() + transport.config().finish_within;
        Self {
            transport,
            ticket,
            until,
            phase: Phase::Connect,
            failed_streams: 0,
            streamed_before: false,
            pause: FIRST_PAUSE,
            polling_since: None,
            told: HashSet::new(),
        }
    }

    /// The ticket of the job.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Goes on watching a job whose end was told too early; the deadline stays.
    pub fn look_again(&mut self) {
        self.phase = Phase::Poll {
            at: Instant::now() + self.next_pause(),
        };
    }

    /// The next thing that becomes known; `None` after the job has ended or an error was given.
    pub async fn next(&mut self) -> Option<Result<Update>> {
        loop {
            if matches!(self.phase, Phase::Ended) {
                return None;
            }
            let deadline = self.until;
            let step = tokio::time::timeout_at(deadline, self.step()).await;
            let found = match step {
                Ok(Ok(Some(update))) => Ok(update),
                Ok(Ok(None)) => continue,
                Ok(Err(error)) => Err(error),
                Err(_) => Err(self.deadline_passed()),
            };
            let ended = match &found {
                Ok(Update::Status(status)) => status.is_completed(),
                Ok(Update::Interrupted(_)) => false,
                Err(_) => true,
            };
            if ended {
                self.phase = Phase::Ended;
            }
            return Some(found.map_err(|error| error.with_ticket(&self.ticket)));
        }
    }

    /// One step of the following; `None` when there is nothing to tell.
    async fn step(&mut self) -> Result<Option<Update>> {
        match &mut self.phase {
            Phase::Connect => self.connect().await,
            Phase::Stream(streaming) => {
                let idle = self.transport.config().stream_idle;
                match streaming.next(idle).await {
                    Ok(status) => {
                        self.failed_streams = 0;
                        self.pause = FIRST_PAUSE;
                        self.polling_since = None;
                        let status = self.untold(status, self.streamed_before);
                        Ok(Some(Update::Status(status)))
                    }
                    Err(why) => {
                        let had_events = streaming.had_events;
                        Ok(Some(self.stream_failed(why, had_events)))
                    }
                }
            }
            Phase::Poll { at } => {
                sleep_until(*at).await;
                self.poll().await
            }
            Phase::Ended => Ok(None),
        }
    }

    async fn connect(&mut self) -> Result<Option<Update>> {
        let request = self.transport.wire().stream(&self.ticket);
        let deadline = Instant::now() + self.transport.config().answer_within;
        let why = match self.transport.http().send(request, deadline).await {
            Ok(incoming) if is_event_stream(&incoming) => {
                self.phase = Phase::Stream(Box::new(Streaming {
                    body: incoming.body,
                    events: EventReader::new(LARGEST_EVENT),
                    ready: VecDeque::new(),
                    had_events: false,
                }));
                return Ok(None);
            }
            Ok(incoming) => format!(
                "the status stream was answered with HTTP {}",
                incoming.status.as_u16()
            ),
            Err(problem) => format!("the status stream could not be opened: {}", problem.why),
        };
        Ok(Some(self.stream_failed(why, false)))
    }

    /// After a stream failed, the status is asked for at once.
    fn stream_failed(&mut self, why: String, had_events: bool) -> Update {
        debug!(
            request_id = self.ticket.request_id(),
            why, "status stream failed"
        );
        self.streamed_before |= had_events;
        self.failed_streams += 1;
        if self.failed_streams >= STREAM_PATIENCE {
            self.polling_since.get_or_insert_with(Instant::now);
        }
        self.phase = Phase::Poll { at: Instant::now() };
        Update::Interrupted(why)
    }

    async fn poll(&mut self) -> Result<Option<Update>> {
        let request = self.transport.wire().status(&self.ticket, true);
        let outcome = self.transport.attempt(Operation::Status, request).await;
        let pause = self.next_pause();
        self.phase = Phase::Poll {
            at: Instant::now() + pause,
        };
        let reply = match outcome {
            Ok(reply) => reply,
            Err(problem @ AttemptProblem::TooLong { .. }) => {
                return Err(problem.into_error(Operation::Status));
            }
            // Until the deadline a lost status request is only bad weather: the job is paid for.
            Err(AttemptProblem::Unanswered(problem)) => {
                return Ok(Some(Update::Interrupted(format!(
                    "the status request failed: {}",
                    problem.why
                ))));
            }
        };
        let decision = decide(
            Operation::Status,
            reply.outcome(),
            1,
            &RetryPolicy::default(),
        );
        if decision.delay().is_some() || decision == crate::retry::Decision::Exhausted {
            if let Outcome::Answered {
                retry_after: Some(delay),
                ..
            } = reply.outcome()
            {
                self.phase = Phase::Poll {
                    at: Instant::now() + delay,
                };
            }
            let why = format!("the status request was answered with HTTP {}", reply.status);
            return Ok(Some(Update::Interrupted(why)));
        }
        let status = self.transport.read_status(reply)?;
        let polls_on = self
            .polling_since
            .is_some_and(|since| since.elapsed() < WAY_BACK);
        if !polls_on {
            self.polling_since = None;
            self.failed_streams = self.failed_streams.min(STREAM_PATIENCE - 1);
            if self.failed_streams <= 1 {
                self.phase = Phase::Connect;
            } else {
                // Not at once: a service that closes every stream would be asked without a pause.
                sleep_until(Instant::now() + pause).await;
                self.phase = Phase::Connect;
            }
        }
        Ok(Some(Update::Status(self.untold(status, true))))
    }

    /// The pause before the next look: growing, with jitter of a quarter.
    fn next_pause(&mut self) -> Duration {
        let pause = self.pause.mul_f64(0.75 + 0.5 * fastrand::f64());
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        pause
    }

    /// Leaves out the log lines that were told before, as far as they may repeat: a status
    /// request has all lines so far, a stream the new ones, and a second stream nobody knows.
    fn untold(&mut self, mut status: Status, may_repeat: bool) -> Status {
        if self.told.len() > REMEMBERED_LINES {
            self.told.clear();
        }
        status
            .logs
            .retain(|line| self.told.insert(fingerprint(line)) || !may_repeat);
        status
    }

    fn deadline_passed(&self) -> Error {
        let seconds = self.transport.config().finish_within.as_secs_f64();
        let message = format!(
            "the job did not finish within {seconds} s; it goes on, and its ticket collects it"
        );
        Error::new(Operation::Status, ErrorKind::Deadline, message)
            .with_delivery(Delivery::Answered)
    }
}

fn fingerprint(line: &LogLine) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&line.timestamp, &line.message).hash(&mut hasher);
    hasher.finish()
}

impl Streaming {
    /// The next status of the stream; `Err` says why there is none.
    async fn next(&mut self, idle: Duration) -> Result<Status, String> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.had_events = true;
                return Status::read(&event)
                    .map_err(|why| format!("the status stream cannot be understood: {why}"));
            }
            match self.body.chunk(idle).await {
                Ok(Some(chunk)) => self
                    .events
                    .push(&chunk, |event| self.ready.push_back(event.to_vec()))
                    .map_err(|_| "the status stream sent an event without end".to_owned())?,
                Ok(None) => return Err("the status stream ended before the job did".to_owned()),
                Err(problem) => return Err(format!("the status stream broke: {}", problem.why)),
            }
        }
    }
}
