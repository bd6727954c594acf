//! Failure: an attempt without a complete response, as the retry decision and the caller see it.

use std::error::Error as StdError;

use crate::error::Error;
use crate::kind::{Delivery, ErrorKind, Operation};
use crate::retry::Outcome;

/// An attempt without a complete response.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) outcome: Outcome,
    pub(crate) error: Error,
}

impl Failure {
    /// The request provably did not leave.
    pub(crate) fn not_sent(operation: Operation, why: &str) -> Self {
        let message = format!("{operation} failed: {why}");
        Self {
            outcome: Outcome::NotSent,
            error: Error::new(operation, ErrorKind::Unreachable, message),
        }
    }

    /// The request left, or may have left, and no complete response came.
    pub(crate) fn lost(operation: Operation, why: &str) -> Self {
        let (kind, message) = match operation.is_idempotent() {
            true => (ErrorKind::Unreachable, format!("{operation} failed: {why}")),
            false => (
                ErrorKind::OutcomeUnknown,
                format!("{operation} was sent, and {why}: it may have been accepted"),
            ),
        };
        Self {
            outcome: Outcome::Lost,
            error: Error::new(operation, kind, message).with_delivery(Delivery::Unknown),
        }
    }

    /// A failure that another attempt may repair, such as a file that arrived damaged.
    pub(crate) fn passing(error: Error) -> Self {
        Self {
            outcome: Outcome::Lost,
            error,
        }
    }

    /// A failure that another attempt cannot change.
    pub(crate) fn lasting(error: Error) -> Self {
        Self {
            outcome: Outcome::Answered {
                status: error.status().unwrap_or(200),
                retry_after: None,
                is_final: true,
            },
            error,
        }
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.error = self.error.with_source(source);
        self
    }

    pub(crate) fn map(mut self, change: impl FnOnce(Error) -> Error) -> Self {
        self.error = change(self.error);
        self
    }
}
