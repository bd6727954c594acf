//! The proxy's own answers.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use uso_transport::{Delivery, Error, Operation};

use crate::repeats::Suspect;

/// An answer that the proxy gives by itself.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    body: Value,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal whose body is a JSON string, as fal's own proxy has them.
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            body: Value::String(text.into()),
            retry_after: None,
        }
    }

    /// 400: there is no target, or one that is not allowed.
    pub(crate) fn invalid(why: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("Invalid request: {why}"))
    }

    /// 401: nobody that the check knows.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized")
    }

    /// 429: the caller has to wait.
    pub(crate) fn too_much(why: String, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, why)
        }
    }

    /// 503: there is no room at the moment, whoever asks.
    pub(crate) fn busy(why: &str, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, why)
        }
    }

    /// 404 in the service's own words: for a request that is another caller's, and for one that
    /// nobody knows, alike.
    pub(crate) fn not_found(operation: Operation) -> Self {
        let body = match operation {
            Operation::Result => json!({ "detail": "Request not found" }),
            _ => json!({ "status": "NOT_FOUND" }),
        };
        Self {
            status: StatusCode::NOT_FOUND,
            body,
            retry_after: None,
        }
    }

    /// 409: this purchase may be one that was made already.
    pub(crate) fn repeated(operation: Operation, suspect: &Suspect) -> Self {
        let seconds = suspect.wait.as_secs() + 1;
        // What a run has made cannot be collected, whatever its id.
        let id = suspect.request_id.as_deref();
        let id = id.filter(|_| operation == Operation::Submit);
        let detail = match (suspect.is_under_way, operation, id) {
            (true, _, None) => {
                "the same input is being bought at this moment: wait for that answer, or send another seed for another picture".to_owned()
            }
            (true, _, Some(id)) => format!(
                "the same input is being bought at this moment as request {id}: wait for that answer, or send another seed for another picture"
            ),
            (false, Operation::Run, _) => format!(
                "the same run was sent a moment ago, and its answer did not reach the caller: it may be billed, and what it made cannot be collected; whoever would pay for it again can send it in {seconds} s"
            ),
            (false, _, Some(id)) => format!(
                "the same input was bought a moment ago as request {id}, and its answer did not reach the caller: collect that one, or send this again in {seconds} s"
            ),
            (false, _, None) => format!(
                "the same input was sent a moment ago, and whether it was bought is not known: look for it before this is sent again, which is possible in {seconds} s"
            ),
        };
        Self {
            status: StatusCode::CONFLICT,
            body: json!({ "detail": detail, "request_id": id }),
            retry_after: Some(suspect.wait),
        }
    }

    /// 503: the proxy is closing.
    pub(crate) fn closing() -> Self {
        let text = "the proxy is closing; nothing was sent";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// 502 or 504: the service gave no answer, and what that means.
    pub(crate) fn unanswered(error: &Error, timed_out: bool) -> Self {
        let purchase = !error.operation().is_idempotent();
        let advice = match (purchase, error.delivery()) {
            (true, Delivery::NotSent) => "nothing was sent and nothing was bought",
            (true, _) => "it may be billed, so look for it before it is sent again",
            (false, _) => "it is safe to send it again",
        };
        let status = if timed_out {
            StatusCode::GATEWAY_TIMEOUT
        } else {
            StatusCode::BAD_GATEWAY
        };
        Self {
            status,
            body: json!({ "detail": format!("{error}; {advice}"), "delivery": error.delivery() }),
            retry_after: None,
        }
    }

    /// 502: the task that waited for the service was ended with its runtime.
    pub(crate) fn lost() -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            "the proxy ended before the service's answer came, so what became of the request is not known",
        )
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            // Rounded up: a second too early is refused again.
            let whole = u64::from(wait.subsec_nanos() > 0) + wait.as_secs();
            headers.insert(RETRY_AFTER, HeaderValue::from(whole.max(1)));
        }
        response
    }
}
