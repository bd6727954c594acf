//! The body of a request, read within its limits of size, time and memory.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http_body_util::BodyExt as _;

use crate::price::is_object;
use crate::refusal::Refusal;
use crate::shared_state::Shared;
use crate::traffic::Permit;

/// Reads a body that must be one JSON object.
pub(crate) async fn read(
    shared: &Shared,
    permit: &mut Permit,
    parts: &Parts,
    body: Body,
    limit: usize,
) -> Result<Bytes, Refusal> {
    let too_large = || {
        let text = format!("the body is larger than {limit} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    let announced = parts.headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|announced| announced > limit) {
        return Err(too_large());
    }
    let reading = async {
        let mut body = body;
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refusal::invalid("the body ended too early"))?;
            let Ok(piece) = frame.into_data() else {
                continue;
            };
            if whole.len() + piece.len() > limit {
                return Err(too_large());
            }
            permit.take_memory(piece.len()).map_err(Refusal::exceeded)?;
            whole.extend_from_slice(&piece);
        }
        if !is_object(&whole) {
            return Err(Refusal::invalid("the body is not a JSON object"));
        }
        Ok(whole.freeze())
    };
    let within = shared.settings.body_within;
    tokio::select! {
        read = tokio::time::timeout(within, reading) => read.unwrap_or_else(|_| {
            let text = format!("the body did not arrive within {} s", within.as_secs_f64());
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, text))
        }),
        () = shared.closing.cancelled() => Err(Refusal::closing()),
    }
}
