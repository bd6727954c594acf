//! Response: an HTTP response of the service that was read to its end.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::warn;

use crate::billed::{BillableUnits, Billed};
use crate::error::{Error, Result};
use crate::kind::{Delivery, ErrorKind, Operation};
use crate::lenient::{Lenient, Read};
use crate::money::MicroDollars;
use crate::retry::Outcome;
use crate::sanitize::{json_problem, plain_text};
use crate::verdict::Verdict;
use uso_types::json_repair::parse;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-fal-request-id");
const REQUEST_TIMEOUT_TYPE: HeaderName = HeaderName::from_static("x-fal-request-timeout-type");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-fal-error-type");
const NEEDS_RETRY: HeaderName = HeaderName::from_static("x-fal-needs-retry");
const BILLABLE_UNITS: HeaderName = HeaderName::from_static("x-fal-billable-units");

/// The `error_type` of a transient fault of the platform. Every other one describes the outcome of
/// a job.
const TRANSIENT: &str = "internal_error";

/// A response of the service that was read to its end.
#[derive(Clone)]
pub struct Response {
    pub(crate) operation: Operation,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
}

impl Response {
    pub(crate) fn new(operation: Operation, status: u16, headers: HeaderMap, body: Bytes) -> Self {
        Self {
            operation,
            status,
            headers,
            body,
            attempts: 1,
            elapsed: Duration::ZERO,
        }
    }

    /// The response that a verified notification stands for: its payload is the body of a result.
    pub fn announced(payload: impl Into<Bytes>) -> Self {
        Self::new(Operation::Result, 200, HeaderMap::new(), payload.into())
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// `x-fal-request-id`.
    pub fn request_id(&self) -> Option<&str> {
        self.header(&REQUEST_ID)
    }

    /// `X-Fal-Billable-Units` as it came: a decimal number, megapixels for `fal-ai/uso`; `None`
    /// where it came several times with different values.
    pub fn billable_units(&self) -> Option<&str> {
        let mut values = self.headers.get_all(BILLABLE_UNITS).iter();
        let first = values.next()?;
        values
            .all(|value| value == first)
            .then(|| first.to_str().ok())?
    }

    /// The billable units at this price of a unit, rounded up to a millionth of a dollar; `None`
    /// where the service names no plain decimal number of units.
    pub fn cost(&self, unit: MicroDollars) -> Option<MicroDollars> {
        BillableUnits::parse(self.billable_units()?)?.at(unit)
    }

    /// Decodes the body.
    ///
    /// A body that strict JSON refuses, such as one with `NaN` or a byte order mark, is repaired
    /// and decoded again, with a warning in the log.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`], with the raw body, when the body has another shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        let parsed = parse(&self.body).map_err(|error| {
            // Serde's message for a wrong shape quotes the offending value, which may be a whole
            // prompt or picture; its path and place are enough.
            let why = json_problem(&error);
            let message = format!("the response could not be decoded: {why}");
            Error::new(self.operation, ErrorKind::Malformed, message)
                .with_response(self.status, self.request_id())
                .with_delivery(Delivery::Answered)
                .with_raw_body(self.body.clone())
        })?;
        if parsed.is_repaired {
            warn!(operation = %self.operation, "the response is not valid JSON and was repaired");
        }
        Ok(parsed.value)
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The time of the service.
    pub(crate) fn date(&self) -> Option<SystemTime> {
        date(&self.headers)
    }

    /// What can be read of the body, repaired where it has to be.
    pub(crate) fn read<T: Lenient>(&self) -> T {
        parse(&self.body).map_or_else(
            |_| T::default(),
            |parsed| {
                let Read(read) = parsed.value;
                read
            },
        )
    }

    /// The body as JSON, repaired where it has to be.
    pub(crate) fn json(&self) -> Option<Value> {
        parse(&self.body).ok().map(|parsed| parsed.value)
    }

    pub(crate) fn error_type(&self, body: Option<&Value>) -> Option<String> {
        let in_body = body.and_then(|body| body.get("error_type")?.as_str());
        in_body.or_else(|| self.header(&ERROR_TYPE)).map(plain_text)
    }

    /// Whether the start deadline that the caller set has passed.
    pub(crate) fn is_start_deadline(&self) -> bool {
        self.header_is(&REQUEST_TIMEOUT_TYPE, "user")
    }

    pub(crate) fn verdict(&self) -> Verdict {
        Verdict::of(self.operation, self.status, &self.headers, &self.body)
    }

    pub(crate) fn billed(&self) -> Billed {
        match self.is_start_deadline() {
            // fal's documentation: a job that missed its start deadline is not billed.
            true => Billed::Free,
            false => Billed::read(self.billable_units()),
        }
    }

    /// Whether the response is the service's own and not a page of a gateway: it carries a request
    /// id, or its body is JSON in one of the service's forms.
    pub(crate) fn is_own(&self, body: Option<&Value>) -> bool {
        let words = ["detail", "error_type", "status"];
        let has_words = |body: &Value| words.iter().any(|name| body.get(name).is_some());
        self.headers.contains_key(REQUEST_ID) || body.is_some_and(has_words)
    }

    /// Whether an unsuccessful result describes the outcome of the job: an error type that is not
    /// transient, or the list of errors that a model answers with.
    pub(crate) fn describes_job(&self, body: Option<&Value>) -> bool {
        let has_list = body.is_some_and(|body| body.get("detail").is_some_and(Value::is_array));
        let error_type = self.error_type(body);
        has_list || error_type.is_some_and(|error_type| error_type != TRANSIENT)
    }

    /// What the response means for the decision to repeat the request.
    pub(crate) fn outcome(&self) -> Outcome {
        let is_result = self.operation == Operation::Result && self.status >= 500;
        Outcome::Answered {
            status: self.status,
            retry_after: self.headers.get(RETRY_AFTER).and_then(retry_after),
            is_final: !self.is_success()
                && (self.is_start_deadline()
                    || self.header_is(&NEEDS_RETRY, "0")
                    || (self.status == 429 && self.verdict() == Verdict::Unknown)
                    || (is_result && self.describes_job(self.json().as_ref()))),
        }
    }

    fn header_is(&self, name: &HeaderName, value: &str) -> bool {
        let found = self.headers.get(name).map(HeaderValue::as_bytes);
        found.is_some_and(|found| found.eq_ignore_ascii_case(value.as_bytes()))
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("operation", &self.operation)
            .field("status", &self.status)
            .field("request_id", &self.request_id())
            .field("billable_units", &self.billable_units())
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The `Date` header.
pub(crate) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

/// `Retry-After` as a delay: seconds, or a date.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_different_numbers_of_billable_units_prove_nothing() {
        for (second, billed) in [("0", Billed::Free), ("1", Billed::Unknown)] {
            let mut headers = HeaderMap::new();
            for value in ["0", second] {
                headers.append(BILLABLE_UNITS, HeaderValue::from_static(value));
            }
            let response = Response::new(Operation::Result, 422, headers, Bytes::new());
            assert_eq!(response.billed(), billed);
        }
    }
}
