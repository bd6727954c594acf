//! Builders of responses.

use std::io;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(crate) type Response = http::Response<Body>;

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

pub(crate) fn stream<S>(chunks: S) -> Body
where
    S: futures_util::Stream<Item = Result<Frame<Bytes>, io::Error>> + Send + 'static,
{
    BodyExt::boxed_unsync(StreamBody::new(chunks))
}

pub(crate) fn response(status: u16, content_type: &'static str, body: Body) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(crate) fn json(status: u16, body: &Value) -> Response {
    response(status, "application/json", full(body.to_string()))
}

/// `{"detail": text}`, the shape of most refusals.
pub(crate) fn detail(status: u16, text: &str) -> Response {
    json(status, &json!({ "detail": text }))
}

/// A refusal by the platform in front of the app, with its machine-readable type.
pub(crate) fn platform_error(status: u16, error_type: &'static str, text: &str) -> Response {
    let mut response = json(status, &json!({ "detail": text, "error_type": error_type }));
    set(&mut response, "x-fal-error-type", error_type);
    response
}

/// A refusal of the Platform API, whose envelope is not that of the queue.
pub(crate) fn platform_api_error(status: u16, kind: &str, message: &str) -> Response {
    json(
        status,
        &json!({ "error": { "type": kind, "message": message } }),
    )
}

pub(crate) fn events(body: Body) -> Response {
    let mut response = response(200, "text/event-stream", body);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Sets a header; a value that cannot travel in one is left out.
pub(crate) fn set(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
}

/// The text of a request header, if it is one.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::trim)
}
