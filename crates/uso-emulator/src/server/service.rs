//! Service of one connection: reads, logs, routes and answers each request.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{HeaderName, HeaderValue, VARY};
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::address::Address;
use super::connection::{Connection, Unanswered};
use super::request::Request;
use super::respond::{Response, detail, set};
use super::route::Route;
use crate::lock::lock;
use crate::queue::Plan;
use crate::scenario::{Operation, apply};
use crate::state::State;

/// Bodies above this are refused with 413. fal publishes no limit; this one is chosen here.
const MAX_BODY: usize = 64 << 20;

/// The same for a file or a part of one; fal's clients send up to 100 MiB in one piece.
const MAX_FILE: usize = 256 << 20;

pub(crate) async fn serve(
    state: Arc<State>,
    connection: Arc<Connection>,
    request: http::Request<Incoming>,
) -> Result<Response, Unanswered> {
    let (parts, body) = request.into_parts();
    let address = Address::of(&parts, connection.tls, state.addr);
    let route = Route::of(&parts.method, address.service, &address.path);
    let operation = route.operation();
    // Else an open page would fill the log with itself.
    let sequence = match route.is_of_the_live_page() {
        true => None,
        false => {
            let log = &state.requests;
            Some(log.open(&parts, &address.host, operation, connection.number))
        }
    };
    let limit = match operation {
        Operation::Upload | Operation::Part => MAX_FILE,
        _ => MAX_BODY,
    };
    let admission = state.admission();
    let refusal = admission.refusal(&address.host, address.base.is_fals(), &parts.headers);
    let read = match refusal {
        Some(refusal) => Err(refusal),
        None => read(&parts, body, limit).await,
    };
    let response = match read {
        Ok(body) => {
            let fault = lock(&state.scenario).strike(operation);
            let request = Request {
                state: &state,
                parts: &parts,
                address,
                route,
                operation,
                body,
            };
            match fault {
                None => request.answer(Plan::default(), None).await,
                Some(fault) => {
                    if let Some(sequence) = sequence {
                        state.requests.strike(sequence, fault.name());
                    }
                    apply::answer(fault, &request, &connection).await?
                }
            }
        }
        Err(refusal) => refusal,
    };
    if let Some(sequence) = sequence {
        state.requests.close(sequence, response.status().as_u16());
    }
    let origin = admission.allowed_origin(&parts.headers);
    Ok(open_to_browsers(origin, response))
}

async fn read(parts: &Parts, body: Incoming, limit: usize) -> Result<Bytes, Response> {
    if parts.method == Method::GET || parts.method == Method::HEAD {
        return Ok(Bytes::new());
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(detail(413, "The request body is too large."))
        }
        Err(_) => Err(detail(400, "The request body ended early.")),
    }
}

/// CORS for a page that was let in.
fn open_to_browsers(origin: Option<&str>, mut response: Response) -> Response {
    let Some(origin) = origin else {
        return response;
    };
    set(&mut response, "access-control-allow-origin", origin);
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("origin"));
    for (name, value) in [
        (
            "access-control-allow-methods",
            "GET, HEAD, POST, PUT, OPTIONS",
        ),
        ("access-control-allow-headers", ALLOWED),
        ("access-control-expose-headers", EXPOSED),
        ("access-control-max-age", "86400"),
    ] {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    response
}

/// A wildcard does not cover `authorization`.
const ALLOWED: &str = "authorization, *, accept, content-type, x-app-fal-disable-fallback, \
    x-fal-file-name, x-fal-no-retry, x-fal-object-lifecycle, x-fal-object-lifecycle-preference, \
    x-fal-queue-priority, \
    x-fal-request-start-timeout, x-fal-request-timeout, x-fal-retry-config, x-fal-runner-hint, \
    x-fal-store-io, x-fal-tags, x-fal-target-url";

const EXPOSED: &str = "etag, x-fal-billable-units, x-fal-error-type, x-fal-needs-retry, \
    x-fal-request-id, x-fal-request-timeout-type, x-fal-retryable, x-fal-served-from";
