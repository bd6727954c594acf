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
use crate::retry::{Decision, Outcome, RetryPolicy, decide};
use crate::status::{LogLine, Status};
use crate::stream::EventReader;
use crate::ticket::Ticket;
use crate::transport::{Transport, from_now, is_event_stream};

/// Streams that fail in a row before the job is polled.
const STREAM_PATIENCE: u32 = 3;
/// A stream that lived this long was a good one.
const GOOD_STREAM: Duration = Duration::from_secs(10);
/// Pauses between two looks at the job, while there is no stream.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause that the service may ask for.
const LONGEST_NAMED_PAUSE: Duration = Duration::from_secs(60);
/// How long the job is polled before a stream is tried again.
const WAY_BACK: Duration = Duration::from_secs(30);
/// Statuses in a row that cannot be read before the following ends with them.
const PATIENCE_WITH_NONSENSE: u32 = 3;
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
    nonsense: u32,
    with_logs: bool,
    pause: Duration,
    polling_since: Option<Instant>,
    told: HashSet<u64>,
    told_elsewhere: bool,
}

enum Phase {
    Connect { at: Instant },
    Stream(Box<Streaming>),
    Poll { at: Instant },
    Ended,
}

struct Streaming {
    body: Body,
    events: EventReader,
    ready: VecDeque<Vec<u8>>,
    opened: Instant,
    silent_from: Instant,
}

impl Watch {
    pub(crate) fn new(transport: Transport, ticket: Ticket) -> Self {
        let until = from_now(transport.config().finish_within);
        Self {
            transport,
            ticket,
            until,
            phase: Phase::Connect { at: Instant::now() },
            failed_streams: 0,
            nonsense: 0,
            with_logs: true,
            pause: FIRST_PAUSE,
            polling_since: None,
            told: HashSet::new(),
            told_elsewhere: false,
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

    /// Waits for `work` on the same job, but not past the deadline of the watch.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Deadline`] when it passes, and those of the work.
    pub async fn within_deadline<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout_at(self.until, work).await {
            Ok(done) => done,
            Err(_) => Err(self.deadline_passed().with_ticket(&self.ticket)),
        }
    }

    /// The next thing that becomes known; `None` after the job has ended or an error was given.
    ///
    /// Dropping the future loses nothing: the next call goes on where it was.
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
            Phase::Connect { at } => {
                sleep_until(*at).await;
                Ok(self.connect().await)
            }
            Phase::Stream(streaming) => {
                let idle = self.transport.config().stream_idle;
                match streaming.next(idle).await {
                    Ok(status) => {
                        self.polling_since = None;
                        Ok(Some(Update::Status(
                            self.untold(status, self.told_elsewhere),
                        )))
                    }
                    Err(why) => {
                        if streaming.opened.elapsed() >= GOOD_STREAM {
                            self.failed_streams = 0;
                            self.pause = FIRST_PAUSE;
                        }
                        Ok(Some(self.stream_failed(why)))
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

    async fn connect(&mut self) -> Option<Update> {
        let request = self.transport.wire().stream(&self.ticket);
        let deadline = from_now(self.transport.config().answer_within);
        let why = match self.transport.http().send(request, deadline).await {
            Ok(incoming) if is_event_stream(&incoming) => {
                let now = Instant::now();
                self.phase = Phase::Stream(Box::new(Streaming {
                    body: incoming.body,
                    events: EventReader::new(LARGEST_EVENT),
                    ready: VecDeque::new(),
                    opened: now,
                    silent_from: now,
                }));
                return None;
            }
            Ok(incoming) => {
                format!(
                    "the status stream was answered with HTTP {}",
                    incoming.status.as_u16()
                )
            }
            Err(problem) => format!("the status stream could not be opened: {}", problem.why),
        };
        Some(self.stream_failed(why))
    }

    /// After a stream failed, the status is asked for at once.
    fn stream_failed(&mut self, why: String) -> Update {
        debug!(
            request_id = self.ticket.request_id(),
            why, "status stream failed"
        );
        // What a further stream repeats of this one's lines is not known.
        self.told_elsewhere |= !self.told.is_empty();
        self.failed_streams += 1;
        if self.failed_streams >= STREAM_PATIENCE {
            self.polling_since.get_or_insert_with(Instant::now);
        }
        self.phase = Phase::Poll { at: Instant::now() };
        Update::Interrupted(why)
    }

    async fn poll(&mut self) -> Result<Option<Update>> {
        let request = self.transport.wire().status(&self.ticket, self.with_logs);
        let outcome = self.transport.attempt(Operation::Status, request).await;
        let pause = self.next_pause();
        self.phase = Phase::Poll {
            at: Instant::now() + pause,
        };
        let interrupted = |why: String| Ok(Some(Update::Interrupted(why)));
        let reply = match outcome {
            Ok(reply) => reply,
            Err(problem) if problem.is_too_long() && self.with_logs => {
                self.with_logs = false;
                return interrupted(
                    "the status has more log lines than are read; going on without".to_owned(),
                );
            }
            Err(problem) if problem.is_too_long() => {
                return Err(problem.into_error(Operation::Status));
            }
            // Until the deadline a lost status request is only bad weather: the job is paid for.
            Err(problem) => {
                return interrupted(problem.into_error(Operation::Status).to_string());
            }
        };
        let outcome = reply.outcome();
        if decide(Operation::Status, outcome, 1, &RetryPolicy::default()) != Decision::Stop {
            if let Outcome::Answered {
                retry_after: Some(named),
                ..
            } = outcome
            {
                let named = named.clamp(pause, LONGEST_NAMED_PAUSE);
                self.phase = Phase::Poll {
                    at: Instant::now() + named,
                };
            }
            return interrupted(format!(
                "the status request was answered with HTTP {}",
                reply.status
            ));
        }
        let status = match self.transport.read_status(reply) {
            Ok(status) => status,
            Err(error)
                if error.kind() == ErrorKind::Malformed
                    && self.nonsense < PATIENCE_WITH_NONSENSE =>
            {
                self.nonsense += 1;
                return interrupted(error.to_string());
            }
            Err(error) => return Err(error),
        };
        self.nonsense = 0;
        let polls_on = self
            .polling_since
            .is_some_and(|since| since.elapsed() < WAY_BACK);
        if !polls_on {
            self.polling_since = None;
            self.failed_streams = self.failed_streams.min(STREAM_PATIENCE - 1);
            // Not at once: a service that ends every stream would be asked without a pause.
            self.phase = Phase::Connect {
                at: Instant::now() + pause,
            };
        }
        self.told_elsewhere = true;
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
    /// A job that writes more lines than are remembered is not told twice, but incompletely.
    fn untold(&mut self, mut status: Status, may_repeat: bool) -> Status {
        let full = self.told.len() >= REMEMBERED_LINES;
        let told = &mut self.told;
        status.logs.retain(|line| {
            let new = !full && told.insert(fingerprint(line));
            new || !may_repeat
        });
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
                return Status::read(&event)
                    .map_err(|why| format!("the status stream cannot be understood: {why}"));
            }
            // Counted from the last byte, also for a caller who drops the future now and then.
            let left = idle.saturating_sub(self.silent_from.elapsed());
            match self.body.chunk(left).await {
                Ok(Some(chunk)) => {
                    self.silent_from = Instant::now();
                    let ready = &mut self.ready;
                    self.events
                        .push(&chunk, |event| ready.push_back(event.to_vec()))
                        .map_err(|_| "the status stream sent an event without end".to_owned())?;
                }
                Ok(None) => return Err("the status stream ended before the job did".to_owned()),
                Err(problem) => return Err(format!("the status stream broke: {}", problem.why)),
            }
        }
    }
}
