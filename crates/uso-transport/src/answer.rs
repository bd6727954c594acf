//! A finished job's answer, as it came.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::error::{Delivery, Error, ErrorKind, Operation, Result};
use crate::text::json_problem;

/// The body of a successful result or run, with what its headers say.
#[derive(Clone)]
pub struct Answer {
    pub(crate) operation: Operation,
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(crate) request_id: Option<String>,
    pub(crate) billable_units: Option<String>,
}

impl Answer {
    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// `x-fal-request-id`.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// `X-Fal-Billable-Units` as it came: a decimal number, megapixels for `fal-ai/uso`.
    pub fn billable_units(&self) -> Option<&str> {
        self.billable_units.as_deref()
    }

    /// Decodes the body.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`], with the raw body, when it has another shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // Serde's message for a wrong shape quotes the offending value, which may be a whole
            // prompt or picture; its path and place are enough.
            let problem = format!("the answer could not be decoded: {}", json_problem(&error));
            Error::new(self.operation, ErrorKind::Malformed, problem)
                .with_answer(self.status, self.request_id.clone())
                .with_delivery(Delivery::Answered)
                .with_raw_body(self.body.clone())
        })
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("request_id", &self.request_id)
            .field("billable_units", &self.billable_units)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}
