//! The error of a command: a message, the way out, and an exit code.

mod next_step;
pub(crate) mod option_names;
mod outcome;

use std::process::ExitCode;

use serde_json::{Value, json};
use uso::error::{Delivery, Operation};
use uso::{Error, ErrorKind};

use crate::document::merged;
use crate::exit_code::{
    AUTH, BUDGET, DEADLINE, FAILED, INPUT, LOCKED, OTHER, OUTCOME_UNKNOWN, USAGE,
};
use crate::root_cause::root_cause;
use crate::signals::Signal;

/// Word for a job that another process works on.
const BUSY: &str = "busy";

/// Why a command ends without what was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    kind: &'static str,
    message: String,
    hint: Option<String>,
    error: Option<Box<Error>>,
    partial: Option<Box<Value>>,
    signal: Option<Signal>,
}

impl Failure {
    fn new(code: u8, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            kind,
            message: message.into(),
            hint: None,
            error: None,
            partial: None,
            signal: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, "usage", message)
    }

    /// A picture or a file that goes in cannot be used.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::new(INPUT, "input", message)
    }

    pub(crate) fn auth(message: impl Into<String>) -> Self {
        Self::new(AUTH, "auth", message)
    }

    pub(crate) fn budget(message: impl Into<String>) -> Self {
        Self::new(BUDGET, "budget", message)
    }

    /// The purchase may or may not have been accepted.
    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self::new(OUTCOME_UNKNOWN, "outcome_unknown", message)
    }

    /// A notification that does not verify; `kind` says why.
    pub(crate) fn refused(kind: &'static str, message: impl Into<String>) -> Self {
        Self::new(OTHER, kind, message)
    }

    /// A server of this machine could not start at this address.
    pub(crate) fn cannot_listen(address: std::net::SocketAddr, error: &std::io::Error) -> Self {
        Self::other(format!("cannot listen on {address}: {error}"))
            .with_hint("give another address with --listen")
    }

    pub(crate) fn no_signals(error: std::io::Error) -> Self {
        Self::other(format!("signals cannot be received: {error}"))
    }

    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::new(OTHER, "other", message)
    }

    /// A file or a stream of this machine that could not be read or written.
    pub(crate) fn io(message: impl Into<String>) -> Self {
        Self::new(OTHER, "io", message)
    }

    /// The process ends by this signal after the message.
    pub(crate) fn interrupted(signal: Signal, message: impl Into<String>) -> Self {
        let mut failure = Self::new(signal.exit_code(), "interrupted", message);
        failure.signal = Some(signal);
        failure
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    pub(crate) fn number(&self) -> u8 {
        self.code
    }

    /// The signal that the process ends by.
    pub(crate) fn signal(&self) -> Option<Signal> {
        self.signal
    }

    /// The same failure, ending the process by this signal.
    pub(crate) fn ended_by(mut self, signal: Signal) -> Self {
        self.signal = Some(signal);
        self
    }

    /// Adds why, where that is known.
    pub(crate) fn because(mut self, why: Option<String>) -> Self {
        if let Some(why) = why {
            self.message = format!("{}; {why}", self.message);
        }
        self
    }

    /// Says where in a series it happened.
    pub(crate) fn at(mut self, place: &str) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// What was achieved all the same.
    pub(crate) fn with_partial(mut self, partial: Value) -> Self {
        self.partial = Some(Box::new(partial));
        self
    }

    /// The response to a purchase or to the request for its result, as it came, where it could not
    /// be understood: it may be the only trace of a picture that was paid for.
    pub(crate) fn unreadable_response(&self) -> Option<&[u8]> {
        let error = self.error.as_ref()?;
        let is_kept = match error.operation() {
            Operation::Submit => matches!(error.status(), Some(200..=299)),
            Operation::Result => error.kind() == ErrorKind::Malformed,
            _ => false,
        };
        error.raw_body().filter(|body| is_kept && !body.is_empty())
    }

    /// Whether another process works on the job.
    pub(crate) fn is_busy(&self) -> bool {
        self.kind == BUSY
    }

    pub(crate) fn request_id(&self) -> Option<&str> {
        self.error.as_ref()?.request_id()
    }

    /// The message and its root cause; what is between the two are wrappers.
    pub(crate) fn chain(&self) -> String {
        match self.root_cause() {
            // A cause that only repeats its effect is of no use to a person.
            Some(root) if !self.message.ends_with(&root) => {
                let repeated = root.rsplit(": ").next().unwrap_or_default();
                let message = self.message.strip_suffix(repeated);
                let message = message.and_then(|message| message.strip_suffix(": "));
                format!("{}: {root}", message.unwrap_or(&self.message))
            }
            _ => self.message.clone(),
        }
    }

    fn root_cause(&self) -> Option<String> {
        root_cause(self.error.as_deref()?)
    }

    /// The way out.
    pub(crate) fn next_step(&self) -> Option<String> {
        if let Some(hint) = &self.hint {
            return Some(hint.clone());
        }
        next_step::after(self.error.as_ref()?)
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut fields = json!({
            "kind": self.kind,
            "exit_code": self.code,
            "message": self.message,
            "cause": self.root_cause(),
            "advice": self.next_step(),
        });
        if let Some(error) = &self.error {
            let told = json!({
                "operation": error.operation(),
                "delivery": error.delivery(),
                "request_id": error.request_id(),
                "status": error.status(),
                "error_type": error.error_type(),
                "problems": error.problems(),
                "attempts": error.attempts(),
                "ticket": error.ticket(),
                "raw_body": error.raw_body().map(String::from_utf8_lossy),
            });
            fields = merged(fields, told);
        }
        let partial = self.partial.as_deref().cloned().unwrap_or_default();
        merged(json!({ "error": fields }), partial)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let is_before_sending =
            error.operation() == Operation::Prepare && error.delivery() == Delivery::NotSent;
        let code = match error.kind() {
            // A file that goes in, such as the one to upload.
            ErrorKind::Io if is_before_sending || error.operation() == Operation::Upload => INPUT,
            // The model refuses what the service had accepted.
            ErrorKind::Input if error.ticket().is_some() => FAILED,
            kind => code_of(kind),
        };
        let mut message = error.to_string();
        if error.kind() == ErrorKind::Input && !error.problems().is_empty() {
            message = option_names::sentence(error.problems());
        }
        if is_before_sending && error.kind() == ErrorKind::Input {
            message.push_str("; nothing was sent");
        }
        let mut failure = Self::new(code, error.kind().as_str(), message);
        failure.error = Some(Box::new(error));
        failure
    }
}

/// The exit code of a kind of error.
fn code_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Input => INPUT,
        ErrorKind::Auth => AUTH,
        ErrorKind::Locked => LOCKED,
        ErrorKind::OutcomeUnknown => OUTCOME_UNKNOWN,
        ErrorKind::Deadline => DEADLINE,
        ErrorKind::Failed | ErrorKind::Cancelled => FAILED,
        _ => OTHER,
    }
}
