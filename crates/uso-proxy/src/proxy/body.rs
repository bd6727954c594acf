//! The body of a request: read within its limits of size, time and memory.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http_body_util::BodyExt as _;

use super::{MOMENT, Shared};
use crate::flights::{Flight, Full};
use crate::price::Input;
use crate::refusal::Refusal;

impl Shared {
    pub(super) async fn body(
        &self,
        flight: &mut Flight,
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
                flight.holds(piece.len()).map_err(no_memory)?;
                whole.extend_from_slice(&piece);
            }
            Ok(whole.freeze())
        };
        let within = self.settings.body_within;
        tokio::select! {
            read = tokio::time::timeout(within, reading) => read.unwrap_or_else(|_| {
                let text = format!("the body did not arrive within {} s", within.as_secs_f64());
                Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, text))
            }),
            () = self.closing.cancelled() => Err(Refusal::closing()),
        }
    }
}

fn no_memory(full: Full) -> Refusal {
    match full {
        Full::Caller => {
            let why =
                "the bodies of one caller take all the memory that it may have; nothing was sent";
            Refusal::too_much(why.to_owned(), MOMENT)
        }
        Full::Everybody => Refusal::busy(
            "there is no memory for another body; nothing was sent",
            MOMENT,
        ),
    }
}

/// What a body says of its price; it must be a JSON object.
pub(super) fn input(body: &[u8]) -> Result<Input, Refusal> {
    Input::read(body).ok_or_else(|| Refusal::invalid("the body is not a JSON object"))
}
