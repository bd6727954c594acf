//! The endpoint's OpenAPI document, and the Platform API's listing of requests.

mod listing;

use http::HeaderMap;
use serde_json::Value;

use crate::auth;
use crate::server::address::Base;
use crate::server::query;
use crate::server::respond::{self, Response};
use crate::state::State;

/// Past requests of the endpoint.
pub(crate) fn listing(state: &State, headers: &HeaderMap, query: &str, base: &Base) -> Response {
    match auth::check(&state.settings, headers) {
        Ok(()) => listing::answer(state, query, base),
        Err(denied) => denied.by_platform(),
    }
}

/// The per-endpoint document at its public address. Unknown ids get 404 and `null`.
pub(crate) fn document(state: &State, query: &str) -> Response {
    let wanted = query::get(query, "endpoint_id").unwrap_or_default();
    match state.endpoints.named(&wanted) {
        Some(schema) => respond::json(200, schema.document()),
        None => respond::json(404, &Value::Null),
    }
}
