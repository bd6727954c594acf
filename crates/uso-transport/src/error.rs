//! The one error of the client path: what was being done, what became of it, and what to do next.

mod kind;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

pub use self::kind::{Delivery, ErrorKind, Operation};
use crate::order::Intent;
use crate::ticket::Ticket;
use crate::verdict::Verdict;

/// Shorthand for results of the client path.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type BoxError = Box<dyn StdError + Send + Sync>;

/// What is known of the bill for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Billed {
    /// Proved free: the service named zero billable units, or said that the job never started.
    Free,
    /// The service named billable units above zero.
    Something,
    /// The service named no billable units, or a text that is no decimal number.
    Unknown,
}

impl Billed {
    /// Reads `X-Fal-Billable-Units`: only a plain decimal number counts, such as `0`, `0.0` or
    /// `1.05`. Anything else proves nothing.
    pub(crate) fn read(units: Option<&str>) -> Self {
        let Some(units) = units.map(str::trim) else {
            return Self::Unknown;
        };
        let (whole, fraction) = units.split_once('.').unwrap_or((units, "0"));
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            Self::Unknown
        } else if units.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
            Self::Free
        } else {
            Self::Something
        }
    }
}

/// One thing that is wrong with a request, as our own check or the service's 422 names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// The field, such as `num_images` or `input_image_urls[0]`; empty when it is the whole input.
    pub path: String,
    /// What is wrong, for people.
    pub message: String,
    /// The machine's category, such as `image_too_large`; empty when there is none.
    pub category: String,
    /// The limits that the service named, such as `max_width` and `2048`.
    pub limits: Vec<(String, String)>,
}

impl Problem {
    /// A problem that our own check found.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            category: String::new(),
            limits: Vec::new(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        for (position, (name, value)) in self.limits.iter().enumerate() {
            let separator = if position == 0 { " (" } else { ", " };
            write!(f, "{separator}{name} {value}")?;
        }
        if !self.limits.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// What went wrong between the caller and the picture.
///
/// `Display` is one lower-case fragment without the source, a body or a key; walk
/// [`std::error::Error::source`] for the causes.
///
/// ```
/// # fn handle(error: uso_transport::Error) {
/// use uso_transport::ErrorKind;
/// match error.kind() {
///     ErrorKind::Unreachable | ErrorKind::Throttled => println!("safe to repeat"),
///     ErrorKind::OutcomeUnknown => println!("look for the request before repeating it"),
///     _ => println!("{error}"),
/// }
/// if let Some(ticket) = error.ticket() {
///     println!("the job can be resumed: {}", ticket.request_id());
/// }
/// # }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    operation: Operation,
    kind: ErrorKind,
    delivery: Delivery,
    verdict: Option<Verdict>,
    message: String,
    hint: Option<String>,
    problems: Vec<Problem>,
    ticket: Option<Ticket>,
    intent: Option<Intent>,
    request_id: Option<String>,
    status: Option<u16>,
    error_type: Option<String>,
    billed: Billed,
    attempts: u32,
    elapsed: Duration,
    raw: Option<Bytes>,
    source: Option<BoxError>,
}

impl Error {
    /// An error that happened before anything was sent.
    pub fn new(operation: Operation, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            operation,
            kind,
            delivery: Delivery::NotSent,
            verdict: None,
            message: message.into(),
            hint: None,
            problems: Vec::new(),
            ticket: None,
            intent: None,
            request_id: None,
            status: None,
            error_type: None,
            billed: Billed::Unknown,
            attempts: 0,
            elapsed: Duration::ZERO,
            raw: None,
            source: None,
        }))
    }

    /// A request that our own check refuses, with everything that is wrong with it.
    pub fn invalid(problems: Vec<Problem>) -> Self {
        let message = sentence(&problems, "the input is refused");
        Self::new(Operation::Prepare, ErrorKind::Input, message).with_problems(problems)
    }

    /// What was being done.
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// What the caller does next.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the request reached the service.
    pub fn delivery(&self) -> Delivery {
        self.0.delivery
    }

    /// The way out that fits this very error, where there is a better one than the kind's.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The fields that are wrong, for [`ErrorKind::Input`].
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// The bought job that this error belongs to; it can be resumed.
    pub fn ticket(&self) -> Option<&Ticket> {
        self.0.ticket.as_ref()
    }

    /// What is known of the bill for the attempt that failed.
    pub fn billed(&self) -> Billed {
        self.0.billed
    }

    /// What is known of the purchase that this error belongs to. An error with a ticket belongs to
    /// a job that was bought.
    pub fn verdict(&self) -> Verdict {
        let purchase = !self.0.operation.is_idempotent();
        match self.0.verdict {
            _ if self.0.ticket.is_some() => Verdict::Bought,
            Some(verdict) => verdict,
            None if purchase && self.0.delivery != Delivery::NotSent => Verdict::Unknown,
            None => Verdict::NotBought,
        }
    }

    /// What finds the purchase later, for [`ErrorKind::OutcomeUnknown`] of a submit.
    pub fn intent(&self) -> Option<&Intent> {
        self.0.intent.as_ref()
    }

    /// The request's id on the service, from the ticket or from the answer's header.
    pub fn request_id(&self) -> Option<&str> {
        let from_ticket = self.0.ticket.as_ref().map(Ticket::request_id);
        from_ticket.or(self.0.request_id.as_deref())
    }

    /// The HTTP status of the answer, if one came.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The service's `error_type`, such as `runner_disconnected`, where it sent one.
    pub fn error_type(&self) -> Option<&str> {
        self.0.error_type.as_deref()
    }

    /// How many HTTP attempts were made.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Time from the first attempt to the error.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed
    }

    /// The answer's body as it came, where money was spent and it could not be understood.
    pub fn raw_body(&self) -> Option<&[u8]> {
        self.0.raw.as_deref()
    }

    /// Attaches the job that the error belongs to, unless it already has one.
    #[must_use]
    pub fn with_ticket(mut self, ticket: &Ticket) -> Self {
        self.0.ticket.get_or_insert_with(|| ticket.clone());
        self
    }

    /// Attaches what finds the purchase later, and why it was not found now.
    pub(crate) fn with_intent(mut self, intent: &Intent, not_found: Option<&str>) -> Self {
        self.0.intent = Some(intent.clone());
        match not_found {
            Some(why) => self.with_postscript(why),
            None => self,
        }
    }

    /// Adds what else was tried, and why it did not help.
    pub(crate) fn with_postscript(mut self, words: &str) -> Self {
        self.0.message = format!("{}; {words}", self.0.message);
        self
    }

    /// Attaches the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Attaches the way out that fits this very error.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Attaches the body as it came.
    #[must_use]
    pub fn with_raw_body(mut self, raw: Bytes) -> Self {
        self.0.raw = Some(raw);
        self
    }

    pub(crate) fn with_problems(mut self, problems: Vec<Problem>) -> Self {
        self.0.problems = problems;
        self
    }

    /// Says whether the request reached the service.
    #[must_use]
    pub fn with_delivery(mut self, delivery: Delivery) -> Self {
        self.0.delivery = delivery;
        self
    }

    pub(crate) fn with_answer(mut self, status: u16, request_id: Option<String>) -> Self {
        self.0.status = Some(status);
        self.0.request_id = request_id;
        self.0.delivery = Delivery::Answered;
        self
    }

    pub(crate) fn with_error_type(mut self, error_type: Option<String>) -> Self {
        self.0.error_type = error_type;
        self
    }

    pub(crate) fn with_verdict(mut self, verdict: Verdict) -> Self {
        self.0.verdict = Some(verdict);
        self
    }

    pub(crate) fn with_billed(mut self, billed: Billed) -> Self {
        self.0.billed = billed;
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32, elapsed: Duration) -> Self {
        self.0.attempts = attempts;
        self.0.elapsed = elapsed;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.debug_struct("Error")
            .field("operation", &inner.operation)
            .field("kind", &inner.kind)
            .field("delivery", &inner.delivery)
            .field("message", &inner.message)
            .field("request_id", &self.request_id())
            .field("status", &inner.status)
            .field("error_type", &inner.error_type)
            .field("attempts", &inner.attempts)
            .field("elapsed", &inner.elapsed)
            .field("raw_body_len", &inner.raw.as_ref().map(Bytes::len))
            .field("source", &inner.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.0.source.as_deref()?;
        Some(source)
    }
}

impl From<uso_types::Violations> for Error {
    fn from(violations: uso_types::Violations) -> Self {
        let problems = violations
            .iter()
            .map(|violation| {
                let message = format!("{} is not {}", violation.value(), violation.limit());
                Problem::new(violation.path(), message)
            })
            .collect();
        Self::invalid(problems)
    }
}

/// The problems as one fragment; `otherwise` where there is none.
pub(crate) fn sentence(problems: &[Problem], otherwise: &str) -> String {
    if problems.is_empty() {
        return otherwise.to_owned();
    }
    let parts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    parts.join("; ")
}
