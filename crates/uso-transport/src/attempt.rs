//! Why an attempt has no whole answer, and what that means.

use crate::error::{Delivery, Error, ErrorKind, Operation};
use crate::http::Unanswered;
use crate::reply::Reply;
use crate::retry::Outcome;

/// Why an attempt has no whole answer, and the head of it if that came.
#[derive(Debug)]
pub(crate) struct AttemptProblem {
    pub(crate) head: Option<Box<Reply>>,
    pub(crate) kind: Unfinished,
}

#[derive(Debug)]
pub(crate) enum Unfinished {
    Unanswered(Unanswered),
    TooLong {
        limit: usize,
    },
    /// Nothing was wrong with the line: what was to be sent could not be read.
    Own(Error),
}

impl From<Unanswered> for AttemptProblem {
    fn from(problem: Unanswered) -> Self {
        Self {
            head: None,
            kind: Unfinished::Unanswered(problem),
        }
    }
}

impl AttemptProblem {
    pub(crate) fn own(error: Error) -> Self {
        Self {
            head: None,
            kind: Unfinished::Own(error),
        }
    }

    pub(crate) fn is_too_long(&self) -> bool {
        matches!(self.kind, Unfinished::TooLong { .. })
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match &self.kind {
            Unfinished::Unanswered(problem) if problem.delivery == Delivery::NotSent => {
                Outcome::NotSent
            }
            Unfinished::Unanswered(_) => Outcome::Lost,
            // It will not be any shorter the next time, nor the file any more whole.
            Unfinished::TooLong { .. } | Unfinished::Own(_) => {
                let status = self.head.as_ref().map_or(200, |head| head.status);
                Outcome::Answered {
                    status,
                    retry_after: None,
                    is_final: true,
                }
            }
        }
    }

    pub(crate) fn into_error(self, operation: Operation) -> Error {
        let purchase = !operation.is_idempotent();
        let error = match self.kind {
            Unfinished::Own(error) => return error,
            Unfinished::TooLong { limit } => {
                let kind = if purchase {
                    ErrorKind::OutcomeUnknown
                } else {
                    ErrorKind::Malformed
                };
                let message = format!("the answer to {operation} is larger than {limit} bytes");
                Error::new(operation, kind, message).with_hint(
                    "raise the largest body of the settings (Config::max_body) if this is right",
                )
            }
            Unfinished::Unanswered(problem) => {
                let sent = problem.delivery != Delivery::NotSent;
                let (kind, message) = if sent && purchase {
                    let message = format!(
                        "{operation} was sent, and {}: it may have been accepted",
                        problem.why
                    );
                    (ErrorKind::OutcomeUnknown, message)
                } else {
                    (
                        ErrorKind::Unreachable,
                        format!("{operation} failed: {}", problem.why),
                    )
                };
                let error = Error::new(operation, kind, message).with_delivery(problem.delivery);
                match problem.source {
                    Some(source) => error.with_source(source),
                    None => error,
                }
            }
        };
        let delivery = match error.kind() {
            ErrorKind::OutcomeUnknown => Delivery::Unknown,
            ErrorKind::Malformed => Delivery::Answered,
            _ => error.delivery(),
        };
        match self.head {
            Some(head) => error
                .with_answer(head.status, head.request_id())
                .with_delivery(delivery),
            None => error.with_delivery(delivery),
        }
    }
}
