//! Refusals: what a response outside 2xx means, and what of it may be shown.

use serde_json::Value;

use crate::error::Error;
use crate::kind::{Delivery, ErrorKind, Operation};
use crate::problem::{Problem, sentence};
use crate::response::Response;
use crate::sanitize::plain_text;
use crate::verdict::Verdict;

impl Response {
    /// What a response outside 2xx means: its kind, and the message for people.
    fn meaning(&self, words: &Words, is_own: bool, describes_job: bool) -> (ErrorKind, String) {
        let operation = self.operation;
        let purchase = !operation.is_idempotent();
        let run = operation == Operation::Run;
        let relayed = run || operation == Operation::Result;
        let answered = format!("{operation} was answered with HTTP {}", self.status);
        let with_text = |what: &str| match &words.text {
            Some(text) => format!("{what}: {text}"),
            None => what.to_owned(),
        };
        if self.is_start_deadline() && relayed {
            let text =
                "the job did not start before its start deadline; it never runs and is not billed";
            return (ErrorKind::Deadline, text.to_owned());
        }
        if self.verdict() == Verdict::Unknown && !(run && is_own) {
            let why = match self.status {
                300..=399 => "a redirect, which is not followed with the key",
                _ => "which does not say whether it was accepted",
            };
            return (ErrorKind::OutcomeUnknown, format!("{answered}, {why}"));
        }
        let lowered = words
            .text
            .as_deref()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let is_locked = lowered.contains("user is locked") || lowered.contains("exhausted balance");
        let (kind, what) = match self.status {
            // A page of a gateway in front of a result.
            401 | 403 | 429 if operation == Operation::Result && !is_own => {
                (ErrorKind::Server, answered.as_str())
            }
            401 => (ErrorKind::Auth, "the service does not accept the key"),
            403 if is_locked => (ErrorKind::Locked, "the account is locked"),
            403 => (ErrorKind::Auth, "the service forbids this to the key"),
            429 if self.verdict() == Verdict::NotBought => (
                ErrorKind::Throttled,
                "the service takes no more requests for now",
            ),
            404 if operation == Operation::Submit => {
                (ErrorKind::Config, "the service does not know the endpoint")
            }
            404 | 410 if !purchase && is_own => return (ErrorKind::Gone, gone(operation)),
            404 | 410 if matches!(operation, Operation::Download | Operation::Keys) => {
                return (ErrorKind::Gone, gone(operation));
            }
            422 if relayed && is_own => (ErrorKind::Input, "the endpoint refuses the input"),
            499 if relayed && is_own => (ErrorKind::Cancelled, "the job was cancelled"),
            300..=399 if !purchase => {
                let why = "a redirect, which is not followed with the key";
                return (ErrorKind::Server, format!("{answered}, {why}"));
            }
            _ if relayed && describes_job => (ErrorKind::Failed, "the job failed"),
            _ if run => (ErrorKind::OutcomeUnknown, answered.as_str()),
            _ if purchase => (ErrorKind::Input, "the service refuses the request"),
            _ => (ErrorKind::Server, answered.as_str()),
        };
        (kind, with_text(what))
    }

    /// The error that a response outside 2xx stands for.
    pub(crate) fn into_error(self, key_has_documented_form: bool) -> Error {
        let json = self.json();
        let words = Words::read(json.as_ref());
        let is_own = self.is_own(json.as_ref());
        let (kind, message) = self.meaning(&words, is_own, self.describes_job(json.as_ref()));
        let mut error = Error::new(self.operation, kind, message)
            .with_problems(words.problems)
            .with_response(self.status, self.request_id())
            .with_attempts(self.attempts, self.elapsed)
            .with_verdict(self.verdict())
            .with_billed(self.billed())
            .with_error_type(self.error_type(json.as_ref()));
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

fn gone(operation: Operation) -> String {
    let text = match operation {
        Operation::Download => "the picture is no longer there",
        Operation::Keys => "there are no public keys of webhooks at this address",
        Operation::Result => {
            "the service does not have this result: the request id is unknown, or the result has expired"
        }
        _ => "the service does not know this request id, or no longer",
    };
    text.to_owned()
}

/// The words of an error body, in any of its known forms.
#[derive(Default)]
struct Words {
    text: Option<String>,
    problems: Vec<Problem>,
}

impl Words {
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::retry::Outcome;

    fn response(
        operation: Operation,
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> Response {
        let pairs = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        Response::new(
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
        let error = response(Operation::Result, 422, &[], body).into_error(true);
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
            response(Operation::Submit, 403, &[], locked)
                .into_error(true)
                .kind(),
            ErrorKind::Locked
        );
        let error = response(Operation::Submit, 403, &[], "<html>").into_error(true);
        assert_eq!(error.kind(), ErrorKind::Auth);
        let error = response(Operation::Submit, 401, &[], "{}").into_error(false);
        assert!(error.hint().unwrap().contains("key_id:key_secret"));
    }

    #[test]
    fn a_gateway_page_on_submit_is_an_unknown_outcome() {
        for status in [500, 502, 503, 504] {
            let error =
                response(Operation::Submit, status, &[], "<html>nginx</html>").into_error(true);
            assert_eq!(
                (error.kind(), error.delivery()),
                (ErrorKind::OutcomeUnknown, Delivery::Unknown)
            );
        }
    }

    #[test]
    fn the_stored_failure_of_a_job_is_told_from_passing_trouble() {
        let stored = r#"{"detail":"gone","error_type":"runner_disconnected"}"#;
        let response_of = |body: &str| response(Operation::Result, 503, &[], body);
        assert!(matches!(
            response_of(stored).outcome(),
            Outcome::Answered { is_final: true, .. }
        ));
        assert_eq!(
            response_of(stored).into_error(true).kind(),
            ErrorKind::Failed
        );
        assert!(matches!(
            response_of("<html>").outcome(),
            Outcome::Answered {
                is_final: false,
                ..
            }
        ));
        assert_eq!(
            response_of("<html>").into_error(true).kind(),
            ErrorKind::Server
        );
    }
}
