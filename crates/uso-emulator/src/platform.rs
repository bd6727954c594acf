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
    if query::get(query, "endpoint_id").as_deref() == Some(state.schema.endpoint_id()) {
        respond::json(200, state.schema.document())
    } else {
        respond::json(404, &Value::Null)
    }
}
