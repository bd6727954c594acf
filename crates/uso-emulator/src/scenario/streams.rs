//! Faults of status streams.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, future, stream};
use hyper::body::Frame;
use serde_json::{Value, json};

use super::{Fault, mangle};
use crate::queue::events::Event;
use crate::server::connection::Connection;
use crate::server::respond::{self, Body};

/// Between two keep-alives or repeated events.
const BEAT: Duration = Duration::from_millis(100);
const CHUNK: usize = 64 << 10;
/// Long enough for what was written to leave the process.
pub(super) const LEAVING: Duration = Duration::from_millis(20);

/// The body of a status stream under a fault.
pub(crate) fn body(
    events: impl Stream<Item = Event> + Send + 'static,
    fault: &Fault,
    connection: &Arc<Connection>,
) -> Body {
    let connection = Arc::clone(connection);
    match fault {
        Fault::EndStream => {
            let early = events.take_while(|event| future::ready(!event.is_last()));
            respond::stream(early.map(|event| frame(event.bytes())))
        }
        Fault::CutStream => {
            let early = events.take_while(|event| future::ready(!event.is_last()));
            respond::stream(
                early
                    .map(|event| frame(event.bytes()))
                    .chain(cut(connection)),
            )
        }
        Fault::CutAfterCompleted => respond::stream(
            events
                .map(|event| frame(event.bytes()))
                .chain(cut(connection)),
        ),
        Fault::CutMidEvent => {
            let half = |event: Event| {
                let bytes = event.bytes();
                frame(bytes.slice(..bytes.len() / 2))
            };
            respond::stream(events.take(1).map(half).chain(cut(connection)))
        }
        Fault::SilentStream => {
            let first = events.take(1).map(|event| frame(event.bytes()));
            respond::stream(first.chain(stream::pending()))
        }
        Fault::KeepAlivesOnly => respond::stream(beats().map(|()| frame(Event::KeepAlive.bytes()))),
        Fault::InProgressForever | Fault::SameLogForever => {
            let logs = match fault {
                Fault::SameLogForever => json!([{
                    "message": "still at work",
                    "timestamp": "2026-01-05T10:00:01.250Z",
                }]),
                _ => Value::Null,
            };
            let running = events
                .take(1)
                .map(move |event| in_progress(&event, logs.clone()));
            respond::stream(running.flat_map(|bytes| beats().map(move |()| frame(bytes.clone()))))
        }
        Fault::EndlessLine => {
            let start = stream::iter([frame(Bytes::from_static(b"data: {\"status\":\""))]);
            let more = Bytes::from(vec![b'x'; CHUNK]);
            respond::stream(start.chain(stream::repeat_with(move || frame(more.clone()))))
        }
        Fault::SplitEvents => {
            let pieces = |event: Event| {
                // The comment has characters of several bytes, which the pieces split.
                let mut bytes = ": \u{20ac}\u{1f5bc}\n".as_bytes().to_vec();
                bytes.extend_from_slice(&event.bytes());
                let pieces: Vec<_> = bytes.chunks(5).map(Bytes::copy_from_slice).collect();
                stream::iter(pieces).map(frame).then(|piece| async {
                    // Lets each piece leave on its own.
                    tokio::task::yield_now().await;
                    piece
                })
            };
            respond::stream(events.flat_map(pieces))
        }
        other => {
            let fault = other.clone();
            respond::stream(events.map(move |event| {
                let mangled = match &event {
                    Event::Status { json, .. } => mangle::text(&fault, json),
                    Event::KeepAlive => None,
                };
                match mangled {
                    Some(text) => frame(format!("data: {text}\n\n").into()),
                    None => frame(event.bytes()),
                }
            }))
        }
    }
}

fn beats() -> impl Stream<Item = ()> + Send {
    stream::unfold((), |()| async {
        tokio::time::sleep(BEAT).await;
        Some(((), ()))
    })
}

/// The event of a job that runs, with these log lines.
fn in_progress(event: &Event, logs: Value) -> Bytes {
    let Event::Status { json, .. } = event else {
        return event.bytes();
    };
    let mut status: Value = serde_json::from_str(json).unwrap_or_default();
    if let Some(fields) = status.as_object_mut() {
        for ended in ["queue_position", "metrics", "error", "error_type"] {
            fields.remove(ended);
        }
        fields.insert("status".to_owned(), "IN_PROGRESS".into());
        fields.insert("logs".to_owned(), logs);
    }
    format!("data: {status}\n\n").into()
}

fn frame(bytes: Bytes) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(bytes))
}

/// Ends a body by closing the connection under it, once what was sent before has left.
fn cut(connection: Arc<Connection>) -> impl Stream<Item = Result<Frame<Bytes>, io::Error>> + Send {
    stream::once(async move {
        tokio::time::sleep(LEAVING).await;
        connection.cut();
        future::pending().await
    })
}
