//! Responses of the proxy itself.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use uso_transport::{Delivery, Error, Operation};

use crate::purchase::Purchase;
use crate::records::{NotBegun, PurchaseLimits, RecordsError};
use crate::traffic::Exceeded;

/// Wait for a resource that is free again in a moment.
const MOMENT: Duration = Duration::from_secs(1);

/// Text of a failed storage. Its reason may name a server or a path, so only the log has the reason.
const UNAVAILABLE: &str = "the records of purchases are not available";

/// A response that the proxy gives by itself.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    body: Value,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal whose body is a JSON string, like those of fal's own proxy.
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

    /// 401: the check does not know the caller.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized")
    }

    /// 429: the caller has to wait.
    fn too_much(why: String, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, why)
        }
    }

    /// 503: there is no room for any caller at the moment.
    fn busy(why: &str, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, why)
        }
    }

    /// 404 in the service's own words, the same for a request of another caller and for one that does
    /// not exist.
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

    /// 409: the purchase may be one that was made already.
    fn repeated(
        operation: Operation,
        id: Option<&str>,
        is_under_way: bool,
        wait: Duration,
    ) -> Self {
        let seconds = wait.as_secs() + 1;
        // The picture of a run cannot be collected, whatever its id.
        let id = id.filter(|_| operation == Operation::Submit);
        let detail = match (is_under_way, operation, id) {
            (true, ..) => {
                "the same input is being bought now: wait for that response, or send another seed for another picture".to_owned()
            }
            (false, Operation::Run, _) => format!(
                "the same run was sent a moment ago, and its response did not reach the caller: it may be billed, and its picture cannot be collected; it can be bought again in {seconds} s"
            ),
            (false, _, Some(id)) => format!(
                "the same input was bought a moment ago as request {id}, and its response did not reach the caller: collect that request, or send this again in {seconds} s"
            ),
            (false, _, None) => format!(
                "the same input was sent a moment ago, and whether it was bought is not known: look for it before this is sent again, which is possible in {seconds} s"
            ),
        };
        Self {
            status: StatusCode::CONFLICT,
            body: json!({ "detail": detail, "request_id": id }),
            retry_after: Some(wait),
        }
    }

    /// The purchase was not sent.
    pub(crate) fn not_begun(why: NotBegun, purchase: &Purchase, limits: &PurchaseLimits) -> Self {
        let (reserved, limit) = (purchase.reserved, limits.spending_per_day);
        // A place becomes free when an old request has had its time.
        let turn = limits.requests_kept_for / 24;
        match why {
            NotBegun::Repeated {
                request_id,
                is_under_way,
                wait,
            } => Self::repeated(
                purchase.operation,
                request_id.as_deref(),
                is_under_way,
                wait,
            ),
            NotBegun::Spent(wait) => Self::too_much(
                format!(
                    "this counts {reserved}, and would take its caller over {limit} in 24 hours; nothing was sent"
                ),
                wait,
            ),
            NotBegun::TooDear => Self::new(
                StatusCode::FORBIDDEN,
                format!(
                    "this counts {reserved}, and a caller may spend {limit} in 24 hours; nothing was sent"
                ),
            ),
            NotBegun::CallerIsFull => {
                let each = limits.requests_kept_each;
                let text = format!(
                    "{each} requests are kept for one caller, which is the limit; nothing was sent"
                );
                Self::too_much(text, turn)
            }
            NotBegun::Full => Self::busy("no more requests can be kept; nothing was sent", turn),
            // Not 429 or 503, which fal's clients repeat.
            NotBegun::Budget => Self::new(
                StatusCode::FORBIDDEN,
                "the account's budget has no room for this; nothing was sent",
            ),
            NotBegun::Unavailable(error) => {
                tracing::warn!(%error, "nothing is bought");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!("{UNAVAILABLE}; nothing was sent"),
                )
            }
        }
    }

    /// 503: the records are not available.
    pub(crate) fn unavailable(error: &RecordsError) -> Self {
        tracing::warn!(%error, "the owner of a request is not known");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE)
    }

    /// 429 or 503: a limit of this process.
    pub(crate) fn exceeded(limit: Exceeded) -> Self {
        match limit {
            Exceeded::PerMinute(limit, wait) => Self::too_much(
                format!("more than {limit} requests a minute of one caller"),
                wait,
            ),
            Exceeded::AtOnce(limit) => Self::too_much(
                format!("more than {limit} requests of one caller at once"),
                MOMENT,
            ),
            Exceeded::MemoryOfCaller => Self::too_much(
                "the bodies of one caller take all the memory that it may have; nothing was sent"
                    .to_owned(),
                MOMENT,
            ),
            Exceeded::Memory => Self::busy(
                "there is no memory for another body; nothing was sent",
                MOMENT,
            ),
            Exceeded::Streams => Self::busy(
                "as many status streams are open as the proxy has room for; ask for the status instead",
                MOMENT,
            ),
        }
    }

    /// 503: the proxy is closing.
    pub(crate) fn closing() -> Self {
        let text = "the proxy is closing; nothing was sent";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// 502 or 504: the service gave no response; the text says what that means.
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
            "the proxy ended before the service responded, so the outcome of the request is not known",
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
