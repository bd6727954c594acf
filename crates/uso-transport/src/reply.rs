//! The answers of the protocol, without IO: what each means, and what may be shown of it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

use crate::error::{Billed, Delivery, Error, ErrorKind, Operation, Problem, Result, sentence};
use crate::order::Intent;
use crate::retry::Outcome;
use crate::status::Cancellation;
use crate::text::plain_text;
use crate::ticket::Ticket;
use crate::verdict::Verdict;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-fal-request-id");
const REQUEST_TIMEOUT_TYPE: HeaderName = HeaderName::from_static("x-fal-request-timeout-type");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-fal-error-type");
const NEEDS_RETRY: HeaderName = HeaderName::from_static("x-fal-needs-retry");
const BILLABLE_UNITS: HeaderName = HeaderName::from_static("x-fal-billable-units");

/// The `error_type` of a fault of the platform's own, which passes; all others are the outcome of
/// a job, which stays.
const PASSING: &str = "internal_error";

/// An answer that came whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) operation: Operation,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
}

impl Reply {
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

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn request_id(&self) -> Option<String> {
        self.text_header(&REQUEST_ID)
    }

    pub(crate) fn billable_units(&self) -> Option<String> {
        self.text_header(&BILLABLE_UNITS)
    }

    fn text_header(&self, name: &HeaderName) -> Option<String> {
        self.headers.get(name)?.to_str().ok().map(plain_text)
    }

    /// What the answer means for the decision to repeat the request.
    pub(crate) fn outcome(&self) -> Outcome {
        let stored_failure = self.operation == Operation::Result
            && self
                .error_type()
                .is_some_and(|error_type| error_type != PASSING);
        Outcome::Answered {
            status: self.status,
            retry_after: self.headers.get(RETRY_AFTER).and_then(retry_after),
            is_final: self.is_user_timeout()
                || self.header_is(&NEEDS_RETRY, "0")
                || (self.status == 429 && self.verdict() == Verdict::Unknown)
                || stored_failure,
        }
    }

    fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    fn error_type(&self) -> Option<String> {
        let json = self.json();
        let in_body = json
            .as_ref()
            .and_then(|json| json.get("error_type"))
            .and_then(Value::as_str);
        in_body
            .map(plain_text)
            .or_else(|| self.text_header(&ERROR_TYPE))
    }

    fn is_user_timeout(&self) -> bool {
        self.header_is(&REQUEST_TIMEOUT_TYPE, "user")
    }

    fn header_is(&self, name: &HeaderName, value: &str) -> bool {
        let found = self.headers.get(name).map(HeaderValue::as_bytes);
        found.is_some_and(|found| found.eq_ignore_ascii_case(value.as_bytes()))
    }

    pub(crate) fn verdict(&self) -> Verdict {
        Verdict::of(self.operation, self.status, &self.headers, &self.body)
    }

    /// Whether the response is the service's own and no page of a gateway on the way: it carries
    /// the request's id, or its body is a JSON object in one of the service's forms.
    fn is_own(&self, body: Option<&Value>) -> bool {
        let has_words = |body: &Value| {
            ["detail", "error_type"]
                .iter()
                .any(|name| body.get(name).is_some())
        };
        self.headers.contains_key(&REQUEST_ID) || body.is_some_and(has_words)
    }

    /// What an answer outside 2xx means, in a kind and in words; `said` is the service's own text.
    fn meaning(
        &self,
        said: Option<&str>,
        error_type: Option<&str>,
        is_model_error: bool,
        is_own: bool,
    ) -> (ErrorKind, String) {
        let operation = self.operation;
        let purchase = !operation.is_idempotent();
        let relayed = matches!(operation, Operation::Result | Operation::Run);
        let what = format!("{operation} was answered with HTTP {}", self.status);
        let with_text = |what: &str| match said {
            Some(text) => format!("{what}: {text}"),
            None => what.to_owned(),
        };
        let lowered = said.unwrap_or_default().to_ascii_lowercase();
        if self.verdict() == Verdict::Unknown && !(self.operation == Operation::Run && is_own) {
            let text = match self.status {
                300..=399 => format!("{what}, a redirect, which is not followed with the key"),
                _ => format!("{what}, which does not say whether it was accepted"),
            };
            return (ErrorKind::OutcomeUnknown, text);
        }
        let is_locked = lowered.contains("user is locked") || lowered.contains("exhausted balance");
        match self.status {
            401 => (
                ErrorKind::Auth,
                with_text("the service does not accept the key"),
            ),
            403 if is_locked => (ErrorKind::Locked, with_text("the account is locked")),
            403 => (
                ErrorKind::Auth,
                with_text("the service forbids this to the key"),
            ),
            422 if relayed => (
                ErrorKind::Input,
                with_text("the endpoint refuses the input"),
            ),
            404 if purchase => (
                ErrorKind::Config,
                with_text("the service does not know the endpoint"),
            ),
            404 | 410 => (ErrorKind::Gone, gone(operation).to_owned()),
            429 => (
                ErrorKind::Throttled,
                with_text("the service takes no more requests for now"),
            ),
            499 => (ErrorKind::Failed, with_text("the job was cancelled")),
            504 if self.is_user_timeout() => {
                let text = "the job did not start before its start deadline; it never runs and is not billed";
                (ErrorKind::Deadline, text.to_owned())
            }
            300..=399 => (
                ErrorKind::Server,
                format!("{what}, a redirect, which is not followed with the key"),
            ),
            // What a finished job answered, told from a gateway that could not fetch it.
            _ if relayed && (is_model_error || error_type.is_some_and(|kind| kind != PASSING)) => {
                (ErrorKind::Failed, with_text("the job failed"))
            }
            400..=499 if purchase && self.verdict() == Verdict::NotBought => (
                ErrorKind::Input,
                with_text("the service refuses the request"),
            ),
            _ if purchase => (ErrorKind::OutcomeUnknown, with_text(&what)),
            _ => (ErrorKind::Server, with_text(&what)),
        }
    }

    /// The error that an answer outside 2xx stands for.
    pub(crate) fn into_error(self, key_has_documented_form: bool) -> Error {
        let json = self.json();
        let refusal = Refusal::read(json.as_ref());
        let error_type = self.error_type();
        let is_model_error = !refusal.problems.is_empty();
        let (kind, message) = self.meaning(
            refusal.text.as_deref(),
            error_type.as_deref(),
            is_model_error,
            self.is_own(json.as_ref()),
        );
        let billed = match self.is_user_timeout() {
            // The service's documentation: a job that missed its start deadline is not billed.
            true => Billed::Free,
            false => Billed::read(self.billable_units().as_deref()),
        };
        let mut error = Error::new(self.operation, kind, message)
            .with_problems(refusal.problems)
            .with_answer(self.status, self.request_id())
            .with_attempts(self.attempts, self.elapsed)
            .with_verdict(self.verdict())
            .with_billed(billed)
            .with_error_type(error_type);
        if kind == ErrorKind::Auth && !key_has_documented_form {
            error = error.with_hint("the key does not have the form key_id:key_secret; copy it again from fal's dashboard");
        }
        if matches!(
            kind,
            ErrorKind::Failed | ErrorKind::Server | ErrorKind::OutcomeUnknown
        ) {
            error = error.with_raw_body(self.body);
        }
        if kind == ErrorKind::OutcomeUnknown {
            error = error.with_delivery(Delivery::Unknown);
        }
        error
    }
}

fn gone(operation: Operation) -> &'static str {
    match operation {
        Operation::Download => "the picture is no longer there",
        Operation::Keys => "there are no public keys of webhooks at this address",
        Operation::Result => {
            "the service does not have this result: the request id is unknown, or the result has expired"
        }
        _ => "the service does not know this request id, or no longer",
    }
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

/// What the body of a refusal says, whichever of its known forms it has.
#[derive(Default)]
struct Refusal {
    text: Option<String>,
    problems: Vec<Problem>,
}

impl Refusal {
    fn read(body: Option<&Value>) -> Self {
        let Some(body) = body else {
            return Self::default();
        };
        let detail = body
            .get("detail")
            .or_else(|| body.get("error"))
            .unwrap_or(body);
        match detail {
            Value::String(text) => Self {
                text: Some(plain_text(text)),
                problems: Vec::new(),
            },
            Value::Array(entries) => {
                let problems: Vec<Problem> = entries.iter().filter_map(problem).collect();
                let text = (!problems.is_empty()).then(|| sentence(&problems, ""));
                Self { text, problems }
            }
            Value::Object(_) => {
                let text = detail
                    .get("message")
                    .and_then(Value::as_str)
                    .map(plain_text);
                Self {
                    text,
                    problems: Vec::new(),
                }
            }
            _ => Self::default(),
        }
    }
}

/// One entry of a FastAPI-shaped `detail`. Its `input` is left alone: it may be a whole picture.
fn problem(entry: &Value) -> Option<Problem> {
    let message = plain_text(entry.get("msg")?.as_str()?);
    let mut path = String::new();
    let location = entry
        .get("loc")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    for part in location.skip_while(|part| part.as_str() == Some("body")) {
        match part {
            Value::String(name) if path.is_empty() => path.push_str(&plain_text(name)),
            Value::String(name) => path.extend([".", &plain_text(name)]),
            Value::Number(index) => path.push_str(&format!("[{index}]")),
            _ => {}
        }
    }
    let limits = entry
        .get("ctx")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let limits = limits.map(|(name, value)| {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        (plain_text(name), plain_text(&value))
    });
    Some(Problem {
        path,
        message,
        category: entry
            .get("type")
            .and_then(Value::as_str)
            .map(plain_text)
            .unwrap_or_default(),
        limits: limits.collect(),
    })
}

/// What a submit's answer says.
pub(crate) fn read_submitted(intent: &Intent, reply: &Reply) -> Result<Ticket> {
    let unknown = |why: String| {
        // The service said yes, and did not say to what: this is bought and cannot be collected.
        let message = format!("the submit was accepted, but its answer is of no use: {why}");
        Error::new(Operation::Submit, ErrorKind::OutcomeUnknown, message)
            .with_answer(reply.status, reply.request_id())
            .with_delivery(Delivery::Unknown)
            .with_raw_body(reply.body.clone())
    };
    let body: Option<Value> = reply.json();
    let field = |name: &str| {
        body.as_ref()
            .and_then(|body| body.get(name))
            .and_then(Value::as_str)
    };
    let id = field("request_id")
        .map(str::to_owned)
        .or_else(|| reply.request_id());
    let id = id.ok_or_else(|| unknown("it has no request_id".to_owned()))?;
    let ticket = Ticket::for_request(intent.endpoint().clone(), id);
    let ticket = ticket
        .map_err(|error| unknown(error.to_string()))?
        .of_intent(intent);
    let url = |name: &str| field(name).and_then(|url| Url::parse(url).ok());
    Ok(ticket.with_urls(url("status_url"), url("response_url"), url("cancel_url")))
}

/// What a cancel's answer says; `None` when it is an error.
pub(crate) fn read_cancelled(reply: &Reply) -> Option<Cancellation> {
    let json = reply.json();
    let word = json
        .as_ref()
        .and_then(|json| json.get("status"))
        .and_then(Value::as_str);
    match (reply.status, word) {
        (400, Some("ALREADY_COMPLETED")) => Some(Cancellation::AlreadyCompleted),
        (200, Some("OK")) => Some(Cancellation::Removed),
        (200..=299, _) => Some(Cancellation::Requested),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(
        operation: Operation,
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> Reply {
        let pairs = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        Reply::new(
            operation,
            status,
            pairs.collect(),
            Bytes::copy_from_slice(body.as_bytes()),
        )
    }

    #[test]
    fn a_422_names_field_limit_and_reason_without_the_input() {
        let body = r#"{"detail":[{"loc":["body","input_image_urls",0],"msg":"Image too large","type":"image_too_large",
            "ctx":{"max_height":2048,"max_width":2048},"input":"data:image/png;base64,SECRET"}]}"#;
        let error = reply(Operation::Result, 422, &[], body).into_error(true);
        assert_eq!(error.kind(), ErrorKind::Input);
        assert_eq!(
            error.to_string(),
            "the endpoint refuses the input: input_image_urls[0]: Image too large (max_height 2048, max_width 2048)"
        );
        assert!(!format!("{error:?}").contains("SECRET"));
    }

    #[test]
    fn a_lock_is_not_a_bad_key() {
        let locked = r#"{"detail":"User is locked. Reason: Exhausted balance."}"#;
        assert_eq!(
            reply(Operation::Submit, 403, &[], locked)
                .into_error(true)
                .kind(),
            ErrorKind::Locked
        );
        let error = reply(Operation::Submit, 403, &[], "<html>").into_error(true);
        assert_eq!(error.kind(), ErrorKind::Auth);
        let error = reply(Operation::Submit, 401, &[], "{}").into_error(false);
        assert!(error.hint().unwrap().contains("key_id:key_secret"));
    }

    #[test]
    fn a_gateway_page_on_submit_is_an_unknown_outcome() {
        for status in [500, 502, 503, 504] {
            let error =
                reply(Operation::Submit, status, &[], "<html>nginx</html>").into_error(true);
            assert_eq!(
                (error.kind(), error.delivery()),
                (ErrorKind::OutcomeUnknown, Delivery::Unknown)
            );
        }
    }

    #[test]
    fn the_stored_failure_of_a_job_is_told_from_passing_trouble() {
        let stored = r#"{"detail":"gone","error_type":"runner_disconnected"}"#;
        let reply_of = |body: &str| reply(Operation::Result, 503, &[], body);
        assert!(matches!(
            reply_of(stored).outcome(),
            Outcome::Answered { is_final: true, .. }
        ));
        assert_eq!(reply_of(stored).into_error(true).kind(), ErrorKind::Failed);
        assert!(matches!(
            reply_of("<html>").outcome(),
            Outcome::Answered {
                is_final: false,
                ..
            }
        ));
        assert_eq!(
            reply_of("<html>").into_error(true).kind(),
            ErrorKind::Server
        );
    }
}
