//! Response to a request under a fault.

use std::future;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use http_body_util::BodyExt;

use super::{Fault, Operation, bodies, mangle};
use crate::queue::Plan;
use crate::queue::outcome::Outcome;
use crate::random;
use crate::server::connection::{Connection, Unanswered};
use crate::server::request::Request;
use crate::server::respond::{self, Response, detail, full, platform_error, set};

/// Answers a request under a fault.
pub(crate) async fn answer(
    fault: Fault,
    request: &Request<'_>,
    connection: &Arc<Connection>,
) -> Result<Response, Unanswered> {
    if let Some(refusal) = refusal(&fault, request) {
        return Ok(refusal);
    }
    match &fault {
        Fault::Drop => return cut(connection).await,
        Fault::Hang => return future::pending().await,
        Fault::SlowHeaders => connection.slow_down(),
        _ => {}
    }
    let response = request
        .answer(plan(&fault), Some((&fault, connection)))
        .await;
    match fault {
        Fault::AcceptThenDrop => cut(connection).await,
        Fault::AcceptThenHang => future::pending().await,
        Fault::Delay(by) => {
            let clock = &request.state.clock;
            clock.sleep_until(clock.now().saturating_add(by)).await;
            Ok(response)
        }
        Fault::AcceptThenStatus(status) => {
            let id = respond::text(response.headers(), "x-fal-request-id").map(str::to_owned);
            Ok(error(request, status, id))
        }
        Fault::AcceptThenStatusWithoutId(status) => {
            let mut response = error(request, status, None);
            response.headers_mut().remove("x-fal-request-id");
            Ok(response)
        }
        Fault::AcceptThenGatewayPage(status) => Ok(page(status)),
        // A stream's body was put together with the fault in it.
        _ if request.operation == Operation::Stream && response.status().is_success() => {
            Ok(relabelled(&fault, response))
        }
        _ => twisted(&fault, response).await,
    }
}

/// Closes the connection; the answer that is waited for never comes.
async fn cut(connection: &Connection) -> Result<Response, Unanswered> {
    connection.cut();
    future::pending().await
}

/// What the job has ahead of it.
fn plan(fault: &Fault) -> Plan {
    let mut plan = Plan::default();
    match fault {
        Fault::NeverStarts => plan.never_starts = true,
        Fault::Requeue => plan.lost_runners = 1,
        Fault::FilesGone => plan.files_gone = true,
        Fault::InvisibleFor(calls) => plan.invisible_for = *calls,
        Fault::MistypedPicture => plan.mistyped = true,
        Fault::FailsWith { status, error_type } => {
            let words = error_type.replace('_', " ");
            plan.ends_with = Some(Arc::new(Outcome::from_platform(
                *status, error_type, &words,
            )));
        }
        Fault::ModelAnswers { status, body } => {
            plan.ends_with = Some(Arc::new(Outcome::from_app(*status, body.clone())));
        }
        Fault::BilledRefusal { body } => {
            plan.ends_with = Some(Arc::new(Outcome::billed_refusal(body.clone())));
        }
        _ => {}
    }
    plan
}

/// The answer of faults that refuse before any work.
fn refusal(fault: &Fault, request: &Request<'_>) -> Option<Response> {
    let response = match fault {
        Fault::Throttled { retry_after } => {
            let mut response = told(request, 429, "rate_limited", "Too many requests");
            if let Some(seconds) = retry_after {
                response
                    .headers_mut()
                    .insert(RETRY_AFTER, (*seconds).into());
            }
            response
        }
        Fault::ConcurrencyLimit => {
            let text = "Too many requests run at the same time for this account.";
            let mut response = platform_error(429, "concurrent_requests_limit", text);
            set(&mut response, "x-fal-needs-retry", "1");
            response
        }
        Fault::Status(status) => error(request, *status, None),
        Fault::CutStatus(status) => bodies::cut(error(request, *status, None)),
        Fault::GatewayPage(status) => page(*status),
        Fault::Locked => told(
            request,
            403,
            "authorization_error",
            "User is locked. Reason: Exhausted balance. Top up your balance at \
             fal.ai/dashboard/billing.",
        ),
        Fault::Forbidden => told(
            request,
            403,
            "authorization_error",
            "The key lacks the permission for this.",
        ),
        Fault::Unauthorized => told(
            request,
            401,
            "authorization_error",
            "No user found for Key ID and Secret",
        ),
        Fault::TokenExpired => {
            request.state.tokens.expire(&request.parts.headers);
            detail(401, "The token is missing, unknown or expired.")
        }
        Fault::UserTimeout => {
            let text = "The request did not start within the time that the caller allowed.";
            let mut response = platform_error(504, "startup_timeout", text);
            set(&mut response, "x-fal-request-timeout-type", "user");
            response
        }
        Fault::StringDetail => detail(422, "Something about the request is wrong."),
        Fault::Answer { status, body } => {
            respond::response(*status, "application/json", full(body.clone()))
        }
        Fault::Gone => detail(410, "Gone"),
        Fault::Redirect(origin) => {
            let mut response = respond::response(307, "text/plain", full(""));
            let target = request
                .parts
                .uri
                .path_and_query()
                .map_or("/", |target| target.as_str());
            let to = format!("{}{target}", origin.trim_end_matches('/'));
            set(&mut response, LOCATION.as_str(), &to);
            response
        }
        _ => return None,
    };
    Some(response)
}

/// A refusal in the envelope of the API that was called.
fn told(request: &Request<'_>, status: u16, kind: &str, text: &str) -> Response {
    if request.operation.is_platform() {
        respond::platform_api_error(status, kind, text)
    } else {
        detail(status, text)
    }
}

/// An error that fal itself passes on, which its request id tells.
fn error(request: &Request<'_>, status: u16, request_id: Option<String>) -> Response {
    let mut response = match status {
        _ if request.operation.is_platform() => told(request, status, "server_error", "Emulated"),
        500 => platform_error(500, "internal_error", "Internal error"),
        503 => platform_error(503, "runner_connection_error", "Runner connection error"),
        504 => platform_error(504, "request_timeout", "Request timed out"),
        _ => detail(status, "Emulated"),
    };
    let request_id = request_id
        .or_else(|| request.request_id().map(str::to_owned))
        .unwrap_or_else(random::uuid);
    set(&mut response, "x-fal-request-id", &request_id);
    lead_away(&mut response);
    if status >= 500 || status == 429 {
        set(&mut response, "x-fal-needs-retry", "1");
    }
    response
}

/// A redirect leads somewhere.
fn lead_away(response: &mut Response) {
    if response.status().is_redirection() {
        set(response, LOCATION.as_str(), "/emulator/moved");
    }
}

/// The page of a gateway in front of the service.
fn page(status: u16) -> Response {
    let words = match status {
        404 => "404 Not Found",
        410 => "410 Gone",
        422 => "422 Unprocessable Entity",
        499 => "499 Client Closed Request",
        502 => "502 Bad Gateway",
        503 => "503 Service Temporarily Unavailable",
        504 => "504 Gateway Time-out",
        _ => "Error",
    };
    let page = format!(
        "<html>\r\n<head><title>{words}</title></head>\r\n<body>\r\n\
         <center><h1>{words}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    );
    let mut response = respond::response(status, "text/html", full(page));
    set(&mut response, "server", "nginx");
    lead_away(&mut response);
    response
}

fn relabelled(fault: &Fault, mut response: Response) -> Response {
    if *fault == Fault::WrongContentType {
        set(&mut response, "content-type", "text/html");
    }
    response
}

/// Faults of the body.
async fn twisted(fault: &Fault, response: Response) -> Result<Response, Unanswered> {
    let (mut parts, body) = response.into_parts();
    if let Some(body) = bodies::endless(fault, &mut parts.headers) {
        return Ok(Response::from_parts(parts, body));
    }
    let bytes = body.collect().await.map_err(|_| Unanswered)?.to_bytes();
    if let Fault::BillableUnits(units) = fault {
        let name = HeaderName::from_static("x-fal-billable-units");
        parts.headers.remove(&name);
        let units = units
            .as_ref()
            .and_then(|units| HeaderValue::from_str(units).ok());
        parts.headers.extend(units.map(|units| (name, units)));
    }
    let body = match bodies::changed(fault, &mut parts, &bytes) {
        Some(body) => body,
        None => match mangle::bytes(fault, &bytes) {
            Some(mangled) => full(mangled),
            None => full(bytes),
        },
    };
    Ok(relabelled(fault, Response::from_parts(parts, body)))
}
