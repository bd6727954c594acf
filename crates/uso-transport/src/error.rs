//! The error of the client path: operation, kind, delivery, and what to do next.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::billed::Billed;
use crate::intent::Intent;
use crate::key::InvalidKey;
use crate::kind::{Delivery, ErrorKind, Operation};
use crate::money::InvalidAmount;
use crate::problem::{Problem, sentence};
use crate::sanitize::plain_text;
use crate::ticket::Ticket;
use crate::verdict::Verdict;

/// Shorthand for results of the client path.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Error of a client call.
///
/// `Display` is one lower-case fragment without the source, a body or a key; walk
/// [`std::error::Error::source`] for the causes.
///
/// ```
/// # fn handle(error: uso_transport::Error) {
/// # use uso_transport::ErrorKind;
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
    host: Option<String>,
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
            host: None,
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

    /// Operation that failed.
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// Kind of the error, by what the caller does next.
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

    /// Knowledge about the bill for the attempt that failed.
    pub fn billed(&self) -> Billed {
        self.0.billed
    }

    /// Verdict on the purchase that this error belongs to. An error with a ticket belongs to
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

    /// Intent that finds the purchase later, for [`ErrorKind::OutcomeUnknown`] of a submit.
    pub fn intent(&self) -> Option<&Intent> {
        self.0.intent.as_ref()
    }

    /// The request's id on the service, from the ticket or from the response's header.
    pub fn request_id(&self) -> Option<&str> {
        let from_ticket = self.0.ticket.as_ref().map(Ticket::request_id);
        from_ticket.or(self.0.request_id.as_deref())
    }

    /// The HTTP status of the response, if there was a response.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The host that was spoken to, with its port where that is not the usual one. It is set when
    /// no response came.
    pub fn host(&self) -> Option<&str> {
        self.0.host.as_deref()
    }

    /// The service's `error_type`, such as `runner_disconnected`, where it sent one.
    pub fn error_type(&self) -> Option<&str> {
        self.0.error_type.as_deref()
    }

    /// Number of HTTP attempts that were made.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Time from the first attempt to the error.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed
    }

    /// The body of the response as it came, where money was spent and the body could not be understood.
    pub fn raw_body(&self) -> Option<&[u8]> {
        self.0.raw.as_deref()
    }

    /// Attaches the job that the error belongs to, unless it already has one.
    #[must_use]
    pub fn with_ticket(mut self, ticket: &Ticket) -> Self {
        self.0.ticket.get_or_insert_with(|| ticket.clone());
        self
    }

    /// Attaches what finds the purchase later, with the id that the response named as a candidate.
    pub(crate) fn with_intent(mut self, intent: &Intent) -> Self {
        let candidate = self.0.request_id.as_deref();
        self.0.intent = Some(intent.clone().with_candidate(candidate));
        self
    }

    /// Makes the error one of a passing fault of the service.
    pub(crate) fn into_server_fault(mut self, why: &str) -> Self {
        self.0.kind = ErrorKind::Server;
        let status = self.0.status.unwrap_or_default();
        self.0.message = format!(
            "{} was answered with HTTP {status} ({}), {why}",
            self.0.operation, self.0.message
        );
        self
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

    pub(crate) fn with_response(mut self, status: u16, request_id: Option<&str>) -> Self {
        self.0.status = Some(status);
        self.0.request_id = request_id.map(plain_text);
        self.0.delivery = Delivery::Answered;
        self
    }

    pub(crate) fn with_host(mut self, host: &str) -> Self {
        self.0.host = Some(host.to_owned());
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
            .field("host", &inner.host)
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

impl From<InvalidKey> for Error {
    fn from(error: InvalidKey) -> Self {
        Self::new(Operation::Configure, ErrorKind::Config, error.to_string())
            .with_hint("a key has the form key_id:key_secret; copy it again from fal's dashboard")
    }
}

impl From<InvalidAmount> for Error {
    fn from(error: InvalidAmount) -> Self {
        Self::invalid(vec![Problem::new("", error.to_string())])
    }
}
