//! Answers that are passed on as they come.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderMap, StatusCode};
use uso_transport::{Error, Forward, Forwarded, ForwardedBody, Operation};

use crate::flights::Flight;
use crate::headers::{handed_back, is_event_stream};
use crate::proxy::Shared;
use crate::refusal::Refusal;

/// Passes a request on that buys nothing. When the browser leaves, it ends; a cancel goes on, since
/// it may save money.
pub(crate) async fn pass(
    shared: &Arc<Shared>,
    mut flight: Flight,
    forward: Forward,
) -> Result<Response, Refusal> {
    let started = Instant::now();
    let operation = forward.operation;
    let transport = shared.transport.clone();
    let sending = async move { transport.forward(forward).await };
    let sent = if operation == Operation::Cancel {
        let sending = shared.given_up.clone().run_until_cancelled_owned(sending);
        match shared.tasks.spawn(sending).await {
            Ok(Some(sent)) => sent,
            _ => return Err(Refusal::lost()),
        }
    } else {
        sending.await
    };
    flight.lets_go();
    let answered = sent.map_err(|error| refusal(shared, &error, started.elapsed()))?;
    let Forwarded {
        status,
        headers,
        body,
    } = answered;
    let is_stream = is_event_stream(&headers);
    let chunks = chunks(body, flight);
    let body = if is_stream {
        use futures_util::StreamExt as _;
        // A stream has no end of its own for hours; the others have, and are waited for.
        Body::from_stream(chunks.take_until(shared.closing.clone().cancelled_owned()))
    } else {
        Body::from_stream(chunks)
    };
    Ok(response(status, &headers, body))
}

/// What the page is told when the service gave no answer.
pub(crate) fn refusal(shared: &Shared, error: &Error, elapsed: Duration) -> Refusal {
    tracing::warn!(operation = %error.operation(), delivery = ?error.delivery(), %error, "no answer");
    let config = shared.transport.config();
    let limit = match error.operation() {
        Operation::Run => config.finish_limit(),
        _ => config.answer_limit(),
    };
    Refusal::unanswered(error, elapsed >= limit)
}

pub(crate) fn response(status: StatusCode, headers: &HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = handed_back(headers);
    response
}

/// A body as it comes, which ends its flight; where it breaks, the answer to the page breaks, too.
fn chunks(body: ForwardedBody, flight: Flight) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold(Some((body, flight)), async |open| {
        let (mut body, flight) = open?;
        match body.chunk().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some((body, flight)))),
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%error, "an answer broke off");
                Some((Err(io::Error::other(error)), None))
            }
        }
    })
}
