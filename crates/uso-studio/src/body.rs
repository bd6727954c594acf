//! Bodies of requests, read within limits of size and time.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::headers::single;
use crate::refusal::Refusal;

/// Bytes of a JSON body.
const JSON: usize = 256 << 10;

/// The longest wait for the next bytes of a body, and for a whole JSON body.
const PATIENCE: Duration = Duration::from_secs(20);

/// The value of a JSON body. A body of another type is refused: browsers send `text/plain` across
/// origins without asking first.
pub(crate) async fn json<T: DeserializeOwned>(request: Request) -> Result<T, Refusal> {
    let (parts, body) = request.into_parts();
    if media_type(&parts.headers) != Some("application/json") {
        let message = "the body must be application/json";
        return Err(Refusal::of_type(message));
    }
    let reading = async {
        let mut bytes = BytesMut::new();
        let mut pieces = Pieces::of(body, JSON);
        while let Some(piece) = pieces.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    };
    let bytes = timeout(PATIENCE, reading)
        .await
        .unwrap_or_else(|_| Err(too_slow()))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::bad(format!("the JSON is wrong: {error}")))
}

/// The media type without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = single(headers, CONTENT_TYPE)?;
    value.split(';').next().map(str::trim)
}

/// A body piece by piece, up to a limit.
pub(crate) struct Pieces {
    body: Body,
    left: usize,
    limit: usize,
}

impl Pieces {
    pub(crate) fn of(body: Body, limit: usize) -> Self {
        Self {
            body,
            left: limit,
            limit,
        }
    }

    /// The next piece, or `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let frame = timeout(PATIENCE, self.body.frame())
                .await
                .map_err(|_| too_slow())?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|_| Refusal::bad("the body ends early"))?;
            let Ok(piece) = frame.into_data() else {
                continue;
            };
            let Some(left) = self.left.checked_sub(piece.len()) else {
                let message = format!("the body has more than {} KiB", self.limit >> 10);
                return Err(Refusal::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too_large",
                    message,
                ));
            };
            self.left = left;
            return Ok(Some(piece));
        }
    }
}

fn too_slow() -> Refusal {
    Refusal::new(
        StatusCode::REQUEST_TIMEOUT,
        "slow",
        "the body did not arrive in time",
    )
}
