//! Requests that buy nothing, and responses that are passed on as they come.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderMap, StatusCode};
use uso_transport::{Error, Forward, Forwarded, ForwardedBody, Operation};

use crate::headers::{handed_back, is_event_stream};
use crate::refusal::Refusal;
use crate::shared_state::Shared;
use crate::traffic::Permit;

/// Passes on a request that buys nothing. It ends when the browser leaves, except a cancel, which may
/// save money.
pub(crate) async fn pass(
    shared: &Arc<Shared>,
    mut permit: Permit,
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
    permit.free_memory();
    let answered = sent.map_err(|error| refusal(shared, &error, started.elapsed()))?;
    let Forwarded {
        status,
        headers,
        body,
    } = answered;
    let is_stream = is_event_stream(&headers);
    let chunks = chunks(body, permit);
    let body = if is_stream {
        use futures_util::StreamExt as _;
        // A stream may last for hours; other bodies end by themselves.
        Body::from_stream(chunks.take_until(shared.closing.clone().cancelled_owned()))
    } else {
        Body::from_stream(chunks)
    };
    Ok(response(status, &headers, body))
}

/// The response to the page when the service gave none.
pub(crate) fn refusal(shared: &Shared, error: &Error, elapsed: Duration) -> Refusal {
    tracing::warn!(operation = %error.operation(), delivery = ?error.delivery(), %error, "no response");
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

/// A body as it comes, which holds the permit until its end. Where it breaks, the response to the page
/// breaks as well.
fn chunks(body: ForwardedBody, permit: Permit) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold(Some((body, permit)), async |open| {
        let (mut body, permit) = open?;
        match body.chunk().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some((body, permit)))),
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%error, "a response broke off");
                Some((Err(io::Error::other(error)), None))
            }
        }
    })
}
