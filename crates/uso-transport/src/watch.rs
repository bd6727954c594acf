//! Watch: follows a job to its end.
//!
//! The status stream tells changes at once, so it comes first. It is only a hint, though: a stream
//! that ends early, falls silent or breaks says nothing about the job, and neither does one that
//! repeats itself. The truth is a status request, which is made after a stream has failed and at
//! least every 30 s beside one that tells nothing new. After some failed streams the job is
//! polled, with a growing pause, and a stream is tried again now and then. So is a job whose stream
//! would leave no room on the connections for submits. A job has ended when its result says so.

mod log_lines;
mod status_stream;

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::debug;

use self::log_lines::LogLines;
use self::status_stream::StatusStream;
use crate::error::{Error, Result};
use crate::exchange::{Exchange, from_now};
use crate::kind::{Delivery, ErrorKind, Operation};
use crate::queue::Queue;
use crate::response::Response;
use crate::status::{Completion, State, Status};
use crate::ticket::Ticket;

/// Streams that fail in a row before the job is polled.
const STREAM_PATIENCE: u32 = 3;
/// A stream that lived this long was a good one.
const GOOD_STREAM: Duration = Duration::from_secs(10);
/// Pauses between two status requests, while there is no stream.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the job is polled before a stream is tried again.
const WAY_BACK: Duration = Duration::from_secs(30);

/// News about a job.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Update {
    /// The status of the job; its log lines are those that were not told before.
    Status(Status),
    /// The connection was lost, and is being made anew. The job is not affected.
    Interrupted(String),
}

/// A job being followed; [`Transport::watch`](crate::Transport::watch) makes it.
///
/// Dropping it stops the following and leaves the job alone.
pub struct Watch {
    exchange: Exchange,
    ticket: Ticket,
    until: Instant,
    phase: Phase,
    failed_streams: u32,
    with_logs: bool,
    pause: Duration,
    polling_since: Option<Instant>,
    lines: LogLines,
    /// The state that was told last, and when.
    told: Option<State>,
    told_at: Instant,
    result: Option<Result<Response>>,
}

enum Phase {
    Connect {
        at: Instant,
    },
    Stream(Box<StatusStream>),
    Poll {
        at: Instant,
    },
    /// A status says that the job has ended, which its result confirms.
    Confirm(Status),
    Ended,
}

impl Watch {
    pub(crate) fn new(exchange: Exchange, ticket: Ticket) -> Self {
        let now = Instant::now();
        Self {
            until: from_now(exchange.config().finish_within),
            exchange,
            ticket,
            phase: Phase::Connect { at: now },
            failed_streams: 0,
            with_logs: true,
            pause: FIRST_PAUSE,
            polling_since: None,
            lines: LogLines::default(),
            told: None,
            told_at: now,
            result: None,
        }
    }

    /// Follows the job without its log lines, which are then not asked for.
    #[must_use]
    pub fn without_logs(mut self) -> Self {
        self.with_logs = false;
        self
    }

    /// The ticket of the job.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// The result of the job, or why there is none; `None` before the last update.
    ///
    /// A job has ended when its result says so, so the result is fetched before the end is told.
    /// It is handed out once.
    pub fn take_result(&mut self) -> Option<Result<Response>> {
        self.result.take()
    }

    /// The next thing that becomes known; `None` after the job has ended or an error was given.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the next call goes on where it was, and asks anew where a
    /// request was under way.
    pub async fn next(&mut self) -> Option<Result<Update>> {
        loop {
            if matches!(self.phase, Phase::Ended) {
                return None;
            }
            let step = match self.phase {
                // Has one timer for all that it waits for.
                Phase::Stream(_) => self.listen().await,
                _ => match timeout_at(self.until, self.step()).await {
                    Ok(step) => step,
                    Err(_) => Err(self.deadline_passed()),
                },
            };
            let Some(found) = step.transpose() else {
                continue;
            };
            if found.is_err() {
                self.phase = Phase::Ended;
            }
            return Some(found.map_err(|error| error.with_ticket(&self.ticket)));
        }
    }

    /// One step without a stream; `None` when there is nothing to tell.
    async fn step(&mut self) -> Result<Option<Update>> {
        match self.phase {
            Phase::Connect { at } => {
                sleep_till(at).await;
                Ok(self.connect().await)
            }
            Phase::Poll { at } => {
                sleep_till(at).await;
                // Boxed, as is the look beside a stream: most jobs never need their room.
                Box::pin(self.poll()).await
            }
            Phase::Confirm(_) => Ok(self.confirm().await),
            Phase::Stream(_) | Phase::Ended => Ok(None),
        }
    }

    /// Waits for the next status of the stream; `None` when there is nothing to tell.
    async fn listen(&mut self) -> Result<Option<Update>> {
        let Phase::Stream(stream) = &mut self.phase else {
            return Ok(None);
        };
        let config = self.exchange.config();
        let quiet = self.told_at.elapsed();
        let look_at = from_now(config.status_every.saturating_sub(quiet));
        let silent_at = stream.silent_at(config.stream_idle);
        let first = look_at.min(silent_at).min(self.until);
        let why = match timeout_at(first, stream.next(self.ticket.request_id())).await {
            Ok(Ok(status)) => {
                self.polling_since = None;
                return Ok(self.tell(status, false));
            }
            Ok(Err(why)) => why,
            Err(_) if first == self.until => return Err(self.deadline_passed()),
            Err(_) if first == silent_at => {
                let seconds = config.stream_idle.as_secs_f64();
                format!("nothing came on the status stream for {seconds} s")
            }
            Err(_) => {
                let looked = timeout_at(self.until, Box::pin(self.look_beside())).await;
                return looked.unwrap_or_else(|_| Err(self.deadline_passed()));
            }
        };
        if stream.age() >= GOOD_STREAM {
            self.failed_streams = 0;
            self.pause = FIRST_PAUSE;
        }
        Ok(Some(self.stream_failed(why)))
    }

    async fn connect(&mut self) -> Option<Update> {
        let may_try = self.failed_streams == 0 || self.exchange.may_repeat(Operation::Stream);
        if !may_try || !self.exchange.has_room_for_stream() {
            self.phase = Phase::Poll { at: Instant::now() };
            return None;
        }
        match StatusStream::open(&self.exchange, &self.ticket, self.with_logs).await {
            Ok(stream) => {
                self.phase = Phase::Stream(Box::new(stream));
                self.told_at = Instant::now();
                None
            }
            Err(why) => Some(self.stream_failed(why)),
        }
    }

    /// After a stream failed, the status is asked for at once.
    fn stream_failed(&mut self, why: String) -> Update {
        debug!(
            request_id = self.ticket.request_id(),
            why, "status stream failed"
        );
        // Whether a further stream repeats this one's lines is not known.
        self.lines.may_repeat();
        self.failed_streams += 1;
        if self.failed_streams >= STREAM_PATIENCE {
            self.polling_since.get_or_insert_with(Instant::now);
        }
        self.phase = Phase::Poll { at: Instant::now() };
        Update::Interrupted(why)
    }

    /// Asks for the status while a stream is open that tells nothing new. The stream stays.
    async fn look_beside(&mut self) -> Result<Option<Update>> {
        let asked = Queue(&self.exchange)
            .status(&self.ticket, self.with_logs)
            .await;
        self.told_at = Instant::now();
        self.lines.may_repeat();
        match asked {
            Ok(status) => Ok(self.tell(status, true)),
            Err(error) if ends_watching(&error) => Err(error),
            Err(error) => {
                debug!(%error, "the status beside the stream was not to be had");
                Ok(None)
            }
        }
    }

    async fn poll(&mut self) -> Result<Option<Update>> {
        let asked = Queue(&self.exchange)
            .status(&self.ticket, self.with_logs)
            .await;
        let pause = self.pause.mul_f64(0.75 + 0.5 * fastrand::f64());
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let next = Instant::now() + pause;
        self.phase = Phase::Poll { at: next };
        let error = match asked {
            Ok(status) => {
                let polls_on = self
                    .polling_since
                    .is_some_and(|since| since.elapsed() < WAY_BACK);
                if !polls_on {
                    self.polling_since = None;
                    self.failed_streams = self.failed_streams.min(STREAM_PATIENCE - 1);
                    // Not at once: a service that ends every stream would be asked without a pause.
                    self.phase = Phase::Connect { at: next };
                }
                self.lines.may_repeat();
                return Ok(self.tell(status, true));
            }
            Err(error) => error,
        };
        if ends_watching(&error) {
            return Err(error);
        }
        if error.kind() == ErrorKind::Malformed {
            // Without a body it was too long to be read, which the log lines make it.
            self.with_logs &= error.raw_body().is_some();
            // The result has the last word where the status cannot be read.
            let result = Queue(&self.exchange).result(&self.ticket).await;
            match &result {
                Err(error) if ends_watching(error) => return result.map(|_| None),
                Err(error) if !ends_job(error) => {}
                _ => {
                    self.result = Some(result);
                    self.phase = Phase::Ended;
                    let state = State::Completed(Completion::default());
                    let logs = Vec::new();
                    return Ok(Some(Update::Status(Status { state, logs })));
                }
            }
        }
        // Until the deadline a lost status request is transient: the job is paid for.
        Ok(Some(Update::Interrupted(error.to_string())))
    }

    /// Fetches the result of a job that is said to have ended, before the end is told.
    async fn confirm(&mut self) -> Option<Update> {
        let result = Queue(&self.exchange).result(&self.ticket).await;
        if let Err(error) = &result
            && error.kind() == ErrorKind::NotReady
        {
            let pause = self.pause;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            self.phase = Phase::Poll {
                at: Instant::now() + pause,
            };
            let why = "the end of the job was told too early";
            return Some(Update::Interrupted(why.to_owned()));
        }
        self.result = Some(result);
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Confirm(status) => Some(Update::Status(status)),
            _ => None,
        }
    }

    /// What of a status is told now.
    fn tell(&mut self, mut status: Status, is_asked: bool) -> Option<Update> {
        let has_news = self.lines.untold(&mut status.logs, is_asked);
        if has_news || self.told.as_ref() != Some(&status.state) {
            self.told_at = Instant::now();
            self.told = Some(status.state.clone());
        }
        if status.is_completed() {
            self.phase = Phase::Confirm(status);
            return None;
        }
        Some(Update::Status(status))
    }

    fn deadline_passed(&self) -> Error {
        let seconds = self.exchange.config().finish_within.as_secs_f64();
        let message =
            format!("the job did not finish within {seconds} s, and continues on the service");
        Error::new(Operation::Status, ErrorKind::Deadline, message)
            .with_delivery(Delivery::Answered)
    }
}

/// Whether asking on is of no use.
fn ends_watching(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Auth | ErrorKind::Locked | ErrorKind::Gone | ErrorKind::Config
    )
}

/// Whether a result says that the job has ended without one.
fn ends_job(error: &Error) -> bool {
    matches!(
        error.kind(),
        // The deadline of a result is the start deadline of its job.
        ErrorKind::Input | ErrorKind::Failed | ErrorKind::Cancelled | ErrorKind::Deadline
    )
}

/// Sleeps unless the time has come: even a sleep that is over takes a turn of the timer.
async fn sleep_till(at: Instant) {
    if at > Instant::now() {
        sleep_until(at).await;
    }
}
