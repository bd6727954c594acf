//! The protocol without IO: builds requests and reads answers.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use serde_json::Value;
use url::Url;

use crate::config::Config;
use crate::endpoint::EndpointId;
use crate::error::{Delivery, Error, ErrorKind, Operation, Problem, Result, sentence};
use crate::order::{Intent, Order};
use crate::platform::PAGE_LENGTH;
use crate::retry::Outcome;
use crate::status::Cancellation;
use crate::ticket::Ticket;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-fal-request-id");
const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("x-fal-request-timeout");
const REQUEST_TIMEOUT_TYPE: HeaderName = HeaderName::from_static("x-fal-request-timeout-type");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-fal-error-type");
const NEEDS_RETRY: HeaderName = HeaderName::from_static("x-fal-needs-retry");
const BILLABLE_UNITS: HeaderName = HeaderName::from_static("x-fal-billable-units");

/// Which of a job's follow-up URLs is meant.
#[derive(Clone, Copy)]
enum FollowUp {
    Status,
    Stream,
    Result,
    Cancel,
}

/// Builds every request of the protocol from the settings.
pub(crate) struct Wire<'a> {
    config: &'a Config,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self { config }
    }

    pub(crate) fn submit(&self, order: &Order) -> Request<Bytes> {
        self.purchase(&self.config.base_urls.queue, order)
    }

    pub(crate) fn run(&self, order: &Order) -> Request<Bytes> {
        self.purchase(&self.config.base_urls.run, order)
    }

    fn purchase(&self, base: &Url, order: &Order) -> Request<Bytes> {
        let url = extend(base, order.intent().endpoint().as_str().split('/'));
        let mut request = self.request(Method::POST, &url, order.input());
        let seconds = order.intent().start_within().as_secs_f64().to_string();
        if let Ok(value) = HeaderValue::try_from(seconds) {
            request.headers_mut().insert(REQUEST_TIMEOUT, value);
        }
        request
    }

    /// A page of the account's requests with their inputs.
    pub(crate) fn listing(
        &self,
        endpoint: &EndpointId,
        since: SystemTime,
        cursor: Option<&str>,
    ) -> Request<Bytes> {
        let path = ["v1", "models", "requests", "by-endpoint"];
        let mut url = extend(&self.config.base_urls.platform, path);
        url.query_pairs_mut()
            .append_pair("endpoint_id", endpoint.as_str())
            .append_pair(
                "start",
                &humantime::format_rfc3339_seconds(since).to_string(),
            )
            .append_pair("expand", "payloads")
            .append_pair("limit", PAGE_LENGTH)
            .extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
        self.request(Method::GET, &url, Bytes::new())
    }

    pub(crate) fn status(&self, ticket: &Ticket, logs: bool) -> Request<Bytes> {
        let mut url = self.follow_up(ticket, FollowUp::Status);
        url.set_query(Some(if logs { "logs=1" } else { "logs=0" }));
        self.request(Method::GET, &url, Bytes::new())
    }

    pub(crate) fn stream(&self, ticket: &Ticket) -> Request<Bytes> {
        let mut url = self.follow_up(ticket, FollowUp::Stream);
        url.set_query(Some("logs=1"));
        let mut request = self.request(Method::GET, &url, Bytes::new());
        let events = HeaderValue::from_static("text/event-stream");
        request.headers_mut().insert(ACCEPT, events);
        request
    }

    pub(crate) fn result(&self, ticket: &Ticket) -> Request<Bytes> {
        self.request(
            Method::GET,
            &self.follow_up(ticket, FollowUp::Result),
            Bytes::new(),
        )
    }

    pub(crate) fn cancel(&self, ticket: &Ticket) -> Request<Bytes> {
        self.request(
            Method::PUT,
            &self.follow_up(ticket, FollowUp::Cancel),
            Bytes::new(),
        )
    }

    /// The URL that the server gave, if its origin is the configured one; otherwise the one that
    /// the id makes. The key goes nowhere else.
    fn follow_up(&self, ticket: &Ticket, what: FollowUp) -> Url {
        let queue = &self.config.base_urls.queue;
        let (given, extra): (_, &[&str]) = match what {
            FollowUp::Status => (ticket.status_url(), &[]),
            FollowUp::Stream => (ticket.status_url(), &["stream"]),
            FollowUp::Result => (ticket.response_url(), &[]),
            FollowUp::Cancel => (ticket.cancel_url(), &[]),
        };
        let trusted = |url: &&Url| {
            url.origin() == queue.origin() && url.username().is_empty() && url.password().is_none()
        };
        if let Some(given) = given.filter(trusted) {
            let mut given = given.clone();
            given.set_fragment(None);
            return extend(&given, extra.iter().copied());
        }
        let made: &[&str] = match what {
            FollowUp::Status => &["status"],
            FollowUp::Stream => &["status", "stream"],
            FollowUp::Result => &[],
            FollowUp::Cancel => &["cancel"],
        };
        let job = ticket
            .endpoint()
            .app()
            .split('/')
            .chain(["requests", ticket.request_id()]);
        extend(queue, job.chain(made.iter().copied()))
    }

    fn request(&self, method: Method, url: &Url, body: Bytes) -> Request<Bytes> {
        let has_body = !body.is_empty();
        let mut request = plain_request(method, url, body);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if has_body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(key) = self.config.key.header() {
            headers.insert(AUTHORIZATION, key);
        }
        request
    }
}

/// A request without the key, as files are fetched.
pub(crate) fn plain_request(method: Method, url: &Url, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    // Every `Url` with a host is a valid `Uri`; for one that is not, the empty URI fails in the
    // connection with an error that says so.
    *request.uri_mut() = url.as_str().parse().unwrap_or_default();
    request
}

fn extend<'a>(base: &Url, segments: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// An answer that came whole.
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
        let is = |name: &HeaderName, value: &str| {
            self.headers
                .get(name)
                .is_some_and(|found| found.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
        };
        let stored_failure = self.operation == Operation::Result && self.error_type().is_some();
        Outcome::Answered {
            status: self.status,
            retry_after: self.headers.get(RETRY_AFTER).and_then(retry_after),
            is_final: is(&REQUEST_TIMEOUT_TYPE, "user") || is(&NEEDS_RETRY, "0") || stored_failure,
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

    /// The error that an answer outside 2xx stands for.
    pub(crate) fn into_error(self, key_has_documented_form: bool) -> Error {
        let refusal = Refusal::read(self.json().as_ref());
        let request_id = self.request_id();
        let error_type = self.error_type();
        let of_user = self
            .headers
            .get(&REQUEST_TIMEOUT_TYPE)
            .is_some_and(|kind| kind == "user");
        let from_job = self.operation == Operation::Result || self.operation == Operation::Run;
        let what = format!("{} was answered with HTTP {}", self.operation, self.status);
        let said = |fallback: &str| match &refusal.text {
            Some(text) => text.clone(),
            None => fallback.to_owned(),
        };
        let lowered = refusal
            .text
            .as_deref()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let is_locked = lowered.contains("user is locked") || lowered.contains("exhausted balance");
        let (kind, message) = match self.status {
            401 => (ErrorKind::Auth, said("the service does not accept the key")),
            403 if is_locked => (ErrorKind::Locked, said("the account is locked")),
            403 => (ErrorKind::Auth, said("the service forbids this to the key")),
            400 | 413 | 422 if self.operation == Operation::Submit => {
                (ErrorKind::Input, said(&what))
            }
            422 if from_job => (ErrorKind::Input, said(&what)),
            404 if self.operation == Operation::Submit || self.operation == Operation::Run => (
                ErrorKind::Config,
                said("the service does not know the endpoint"),
            ),
            404 | 410 => (ErrorKind::Gone, gone(self.operation).to_owned()),
            429 => (
                ErrorKind::Throttled,
                said("the service takes no more requests for now"),
            ),
            499 => (ErrorKind::Failed, said("the job was cancelled")),
            504 if of_user => {
                let message = "the job did not start before its start deadline; it never runs and is not billed";
                (ErrorKind::Deadline, message.to_owned())
            }
            300..=399 => (
                ErrorKind::Server,
                format!("{what}, a redirect, which is not followed with the key"),
            ),
            500.. if self.operation == Operation::Submit || self.operation == Operation::Run => {
                let message = format!("{what}, which does not say whether the job was accepted");
                (ErrorKind::OutcomeUnknown, message)
            }
            _ if self.operation == Operation::Result && error_type.is_some() => {
                (ErrorKind::Failed, said(&what))
            }
            _ if self.operation == Operation::Result
                && refusal.text.is_some()
                && request_id.is_some() =>
            {
                (ErrorKind::Failed, said(&what))
            }
            408 if self.operation == Operation::Submit => (ErrorKind::OutcomeUnknown, what),
            _ => (ErrorKind::Server, what),
        };
        let mut error = Error::new(self.operation, kind, message)
            .with_problems(refusal.problems)
            .with_answer(self.status, request_id)
            .with_attempts(self.attempts, self.elapsed)
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

/// Text from outside, fit for a terminal and a log: one line, bounded, and without any data URI
/// that it may echo.
pub(crate) fn plain_text(text: &str) -> String {
    const LONGEST: usize = 500;
    let mut plain = String::new();
    for word in text.split_whitespace() {
        if !plain.is_empty() {
            plain.push(' ');
        }
        match word.find("data:").filter(|_| word.len() > 64) {
            Some(start) => {
                plain.push_str(word.get(..start).unwrap_or_default());
                plain.push_str("data:…");
            }
            None => plain.extend(word.chars().filter(|character| !character.is_control())),
        }
        if plain.len() > LONGEST {
            let end = plain
                .char_indices()
                .map(|(at, _)| at)
                .take_while(|at| *at <= LONGEST)
                .last();
            plain.truncate(end.unwrap_or_default());
            plain.push('…');
            break;
        }
    }
    plain
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
    use crate::config::BaseUrls;
    use crate::key::ApiKey;

    fn config() -> Config {
        Config::new(ApiKey::new("id:secret").unwrap(), BaseUrls::fal().unwrap())
    }

    fn ticket(status_url: &str) -> Ticket {
        Ticket::for_request("fal-ai/flux/dev".parse().unwrap(), "r-1")
            .unwrap()
            .with_urls(Url::parse(status_url).ok(), None, None)
    }

    #[test]
    fn follow_ups_use_the_servers_url_on_its_own_origin_only() {
        let config = config();
        let wire = Wire::new(&config);
        let stream = |given: &str| wire.stream(&ticket(given)).uri().to_string();
        let given = "https://queue.fal.run/somewhere/else/r-1/status";
        assert_eq!(
            stream(given),
            "https://queue.fal.run/somewhere/else/r-1/status/stream?logs=1"
        );
        let made = "https://queue.fal.run/fal-ai/flux/requests/r-1/status/stream?logs=1";
        for foreign in [
            "https://queue.fal.run.example/r-1/status",
            "http://queue.fal.run/r-1/status",
            "https://queue.fal.run:8443/r-1/status",
            "https://user@queue.fal.run/r-1/status",
            "not a url",
        ] {
            assert_eq!(stream(foreign), made, "{foreign}");
        }
    }

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
            "input_image_urls[0]: Image too large (max_height 2048, max_width 2048)"
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

    #[test]
    fn echoed_data_uris_and_control_characters_do_not_pass() {
        let echo = format!(
            "cannot load\u{1b}[31m url=data:image/png;base64,{} sorry",
            "A".repeat(4000)
        );
        assert_eq!(plain_text(&echo), "cannot load[31m url=data:… sorry");
        assert!(plain_text(&"word ".repeat(1000)).len() < 600);
    }
}
