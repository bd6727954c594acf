//! One request: log it, route it, answer it.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{HeaderName, HeaderValue, VARY};
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::Connection;
use super::address::Address;
use super::respond::{self, Response, detail, json, set};
use super::route::{Page, Route};
use crate::lock::lock;
use crate::queue::Plan;
use crate::queue::handlers::{self, Call, Twist};
use crate::scenario::{Operation, apply};
use crate::state::State;
use crate::{pages, platform, storage, webhook};

/// Bodies above this are refused with 413. fal publishes no limit; this one is chosen here.
const MAX_BODY: usize = 64 << 20;

/// The same for a file or a part of one; fal's clients send up to 100 MiB in one piece.
const MAX_FILE: usize = 256 << 20;

/// The answer was deliberately not given.
#[derive(Debug)]
pub(crate) struct Unanswered;

impl std::fmt::Display for Unanswered {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the answer was withheld")
    }
}

impl std::error::Error for Unanswered {}

pub(crate) async fn serve(
    state: Arc<State>,
    connection: Arc<Connection>,
    request: http::Request<Incoming>,
) -> Result<Response, Unanswered> {
    let (parts, body) = request.into_parts();
    let address = Address::of(&parts, connection.tls, &state.addr.to_string());
    let route = Route::of(&parts.method, address.service, &address.path);
    let operation = route.operation();
    let sequence = state
        .requests
        .open(&parts, &address.host, operation, connection.number);
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
                    state.requests.strike(sequence, fault.name());
                    apply::answer(fault, &request, &connection).await?
                }
            }
        }
        Err(refusal) => refusal,
    };
    state.requests.close(sequence, response.status().as_u16());
    let origin = admission.allowed_origin(&parts.headers);
    Ok(open_to_browsers(origin, response))
}

/// A request that was read and routed.
pub(crate) struct Request<'a> {
    pub(crate) state: &'a Arc<State>,
    pub(crate) parts: &'a Parts,
    pub(crate) operation: Operation,
    address: Address,
    route: Route,
    body: Bytes,
}

impl Request<'_> {
    /// Does the work and answers truthfully, but for what a scenario has planned for the job or
    /// wants of the stream.
    pub(crate) async fn answer(&self, plan: Plan, twist: Option<Twist<'_>>) -> Response {
        let (state, headers, base) = (self.state, &self.parts.headers, &self.address.base);
        let query = self.parts.uri.query().unwrap_or_default();
        let call = |endpoint_id| Call {
            endpoint_id,
            headers,
            query,
            body: &self.body,
            base,
            plan,
        };
        match &self.route {
            Route::Submit(endpoint_id) => handlers::submit(state, call(endpoint_id)),
            Route::Run(endpoint_id) => handlers::run(state, call(endpoint_id), false).await,
            Route::RunStream(endpoint_id) => handlers::run(state, call(endpoint_id), true).await,
            Route::FollowUp(follow_up) => {
                handlers::follow_up(state, follow_up, headers, query, base, twist)
            }
            Route::File(path) => storage::file(state, path, headers, query),
            Route::Storage(route) => {
                let call = storage::Call {
                    headers,
                    query,
                    body: &self.body,
                    base,
                };
                storage::answer(state, route, &call)
            }
            Route::Jwks => webhook::jwks(state),
            Route::OpenApi => platform::document(state, query),
            Route::Platform(operation) => {
                platform::answer(state, *operation, headers, query, &self.body, base)
            }
            Route::Page(page) => match page {
                Page::Home => pages::home(state),
                Page::Requests => pages::requests(state),
                Page::Ledger => json(200, &lock(&state.ledger).snapshot().json()),
                Page::Webhooks => webhook::page(state),
            },
            Route::Preflight => respond::response(204, "text/plain", respond::full(Bytes::new())),
            Route::WrongMethod => detail(405, "Method Not Allowed"),
            Route::Unknown => detail(404, "Not Found"),
        }
    }

    /// The request id in its path.
    pub(crate) fn request_id(&self) -> Option<&str> {
        match &self.route {
            Route::FollowUp(follow_up) => Some(&follow_up.request_id),
            _ => None,
        }
    }
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
