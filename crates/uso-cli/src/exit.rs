//! Exit codes, and failures on their way to one.

use std::error::Error as _;
use std::process::ExitCode;

use serde_json::{Value, json};
use uso::{Delivery, Error, ErrorKind};

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
}

impl Failure {
    fn new(code: u8, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            kind,
            message: message.into(),
            hint: None,
            error: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, "usage", message)
    }

    pub(crate) fn budget(message: impl Into<String>) -> Self {
        Self::new(BUDGET, "budget", message)
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

    /// The raw answer that could not be understood, where money was spent on it.
    pub(crate) fn raw_body(&self) -> Option<&[u8]> {
        self.error.as_ref()?.raw_body()
    }

    pub(crate) fn request_id(&self) -> Option<&str> {
        self.error.as_ref()?.request_id()
    }

    /// The message, its causes in brackets.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.message.clone();
        for cause in self.causes() {
            // A cause that only repeats what its effect said is of no use to a person.
            if !text.ends_with(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
        }
        text
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
        let error = self.error.as_ref()?;
        if let Some(hint) = error.hint() {
            return Some(hint.to_owned());
        }
        let id = error.ticket().map(uso::Ticket::request_id);
        let collect = id.map(|id| format!("collect it later with: uso result {id}"));
        match error.kind() {
            ErrorKind::Auth => Some("check the key in FAL_KEY; nothing was bought".to_owned()),
            ErrorKind::Locked => Some("top up the account at fal.ai/dashboard/billing, then run the command again".to_owned()),
            ErrorKind::Throttled => Some("nothing was bought; run the command again later".to_owned()),
            ErrorKind::Unreachable => match (error.delivery(), collect) {
                (_, Some(collect)) => Some(format!("the job goes on; {collect}")),
                (Delivery::NotSent, None) => Some("nothing was sent; it is safe to run the command again".to_owned()),
                _ => Some("it is safe to run the command again".to_owned()),
            },
            ErrorKind::OutcomeUnknown => Some(
                "the job may have been accepted and billed: look at the requests in fal's dashboard before you run the command again".to_owned(),
            ),
            ErrorKind::Deadline | ErrorKind::Server | ErrorKind::Malformed => collect,
            ErrorKind::NotReady => id.map(|id| format!("wait for it with: uso watch {id}")),
            _ => None,
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut fields = json!({
            "kind": self.kind,
            "exit_code": self.code,
            "message": self.message,
            "causes": self.causes(),
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
        json!({ "error": fields })
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
            ErrorKind::Failed => FAILED,
            _ => OTHER,
        };
        let mut failure = Self::new(code, error.kind().as_str(), error.to_string());
        failure.error = Some(Box::new(error));
        failure
    }
}
