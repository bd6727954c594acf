//! JSON as response.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;

/// A response with this value.
pub(crate) fn response(status: StatusCode, value: &impl Serialize) -> Response {
    let kind = [(CONTENT_TYPE, "application/json")];
    match serde_json::to_vec(value) {
        Ok(text) => (status, kind, text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A response 200 with this value.
pub(crate) fn ok(value: &impl Serialize) -> Response {
    response(StatusCode::OK, value)
}
