//! Exit codes, and failures on their way to one.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use uso::error::Operation;
use uso::{Error, ErrorKind};

use crate::advice::advice;

pub(crate) const OTHER: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const INPUT: u8 = 3;
pub(crate) const AUTH: u8 = 4;
pub(crate) const LOCKED: u8 = 5;
pub(crate) const OUTCOME_UNKNOWN: u8 = 6;
pub(crate) const DEADLINE: u8 = 7;
pub(crate) const FAILED: u8 = 8;
pub(crate) const BUDGET: u8 = 9;
pub(crate) const FLAGGED: u8 = 10;

/// Why a command ends without what was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    kind: &'static str,
    message: String,
    hint: Option<String>,
    error: Option<Box<Error>>,
    partial: Option<Box<Value>>,
    folder: Option<PathBuf>,
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
            folder: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, "usage", message)
    }

    pub(crate) fn budget(message: impl Into<String>) -> Self {
        Self::new(BUDGET, "budget", message)
    }

    /// The purchase may or may not have been accepted.
    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self::new(OUTCOME_UNKNOWN, "outcome_unknown", message)
    }

    /// A delivery that does not verify; `kind` says why.
    pub(crate) fn refused(kind: &'static str, message: impl Into<String>) -> Self {
        Self::new(OTHER, kind, message)
    }

    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::new(OTHER, "other", message)
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

    /// Where a raw answer would be kept.
    pub(crate) fn beside(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.as_deref().unwrap_or(Path::new("."))
    }

    /// The answer to a purchase, or to the question for its result, that could not be understood.
    pub(crate) fn raw_answer(&self) -> Option<&[u8]> {
        let error = self.error.as_ref()?;
        let kept = match error.operation() {
            Operation::Submit => true,
            Operation::Result => error.kind() == ErrorKind::Malformed,
            _ => false,
        };
        error.raw_body().filter(|_| kept)
    }

    /// The error of the client path behind it, if there is one.
    pub(crate) fn error(&self) -> Option<&Error> {
        self.error.as_deref()
    }

    pub(crate) fn request_id(&self) -> Option<&str> {
        self.error.as_ref()?.request_id()
    }

    /// The message, and what lies at the root of it; what is between the two are wrappers.
    pub(crate) fn chain(&self) -> String {
        match self.causes().pop() {
            // A cause that only repeats what its effect said is of no use to a person.
            Some(root) if !self.message.ends_with(&root) => format!("{}: {root}", self.message),
            _ => self.message.clone(),
        }
    }

    fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut cause = self.error.as_deref().and_then(|error| error.source());
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        causes
    }

    /// What to do about it.
    pub(crate) fn advice(&self) -> Option<String> {
        if let Some(hint) = &self.hint {
            return Some(hint.clone());
        }
        advice(self.error.as_ref()?)
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut fields = json!({
            "kind": self.kind,
            "exit_code": self.code,
            "message": self.message,
            "cause": self.causes().pop(),
            "advice": self.advice(),
        });
        if let (Some(error), Some(fields)) = (&self.error, fields.as_object_mut()) {
            fields.insert("operation".to_owned(), json!(error.operation()));
            fields.insert("delivery".to_owned(), json!(error.delivery()));
            fields.insert("request_id".to_owned(), json!(error.request_id()));
            fields.insert("status".to_owned(), json!(error.status()));
            fields.insert("error_type".to_owned(), json!(error.error_type()));
            fields.insert("problems".to_owned(), json!(error.problems()));
            fields.insert("attempts".to_owned(), json!(error.attempts()));
            fields.insert("ticket".to_owned(), json!(error.ticket()));
            let raw = error.raw_body().map(String::from_utf8_lossy);
            fields.insert("raw_body".to_owned(), json!(raw));
        }
        let mut document = json!({ "error": fields });
        if let (Some(Value::Object(partial)), Some(document)) =
            (self.partial.as_deref(), document.as_object_mut())
        {
            document.extend(partial.clone());
        }
        document
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::Input => INPUT,
            ErrorKind::Auth => AUTH,
            ErrorKind::Locked => LOCKED,
            ErrorKind::OutcomeUnknown => OUTCOME_UNKNOWN,
            ErrorKind::Deadline => DEADLINE,
            ErrorKind::Failed | ErrorKind::Cancelled => FAILED,
            _ => OTHER,
        };
        let mut failure = Self::new(code, error.kind().as_str(), error.to_string());
        failure.error = Some(Box::new(error));
        failure
    }
}

/// The worst of several exit codes: first what may cost money unseen, then what a person must mend,
/// then what cannot be helped.
pub(crate) fn worst(codes: impl Iterator<Item = u8>) -> u8 {
    const ORDER: [u8; 9] = [
        OUTCOME_UNKNOWN,
        LOCKED,
        AUTH,
        DEADLINE,
        FAILED,
        INPUT,
        OTHER,
        FLAGGED,
        0,
    ];
    let rank = |code: &u8| {
        let place = ORDER.iter().position(|known| known == code);
        place.unwrap_or(0)
    };
    codes.min_by_key(rank).unwrap_or(0)
}
