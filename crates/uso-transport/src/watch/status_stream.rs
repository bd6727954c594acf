//! Status stream: the server-sent events of a job.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::header;
use tokio::time::Instant;

use crate::event_reader::EventReader;
use crate::exchange::{Exchange, after};
use crate::http::{Body, Incoming};
use crate::kind::Operation;
use crate::status::Status;
use crate::ticket::Ticket;

/// The largest event that is read; one with more logs than this is read by a status request.
const LARGEST_EVENT: usize = 4 << 20;

/// An open status stream.
pub(super) struct StatusStream {
    body: Body,
    events: EventReader,
    ready: VecDeque<Bytes>,
    opened: Instant,
    heard_at: Instant,
}

impl StatusStream {
    /// Opens the stream of a job, with or without its log lines; `Err` says why there is none.
    pub(super) async fn open(
        exchange: &Exchange,
        ticket: &Ticket,
        logs: bool,
    ) -> Result<Self, String> {
        let request = exchange.requests().stream(ticket, logs);
        let opened = exchange.open(Operation::Stream, request).await;
        let incoming = opened.map_err(|failure| {
            format!("the status stream could not be opened: {}", failure.error)
        })?;
        if !is_event_stream(&incoming) {
            let status = incoming.status.as_u16();
            return Err(format!("the status stream was answered with HTTP {status}"));
        }
        let now = Instant::now();
        Ok(Self {
            body: incoming.body,
            events: EventReader::new(LARGEST_EVENT),
            ready: VecDeque::new(),
            opened: now,
            heard_at: now,
        })
    }

    /// How long the stream has been open.
    pub(super) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// When the stream counts as silent. Counted from the last byte, also for a caller who drops
    /// the future of [`StatusStream::next`] now and then.
    pub(super) fn silent_at(&self, idle: Duration) -> Instant {
        after(self.heard_at, idle)
    }

    /// The next status; `Err` says why there is none. Dropping the future loses nothing.
    pub(super) async fn next(&mut self, request_id: &str) -> Result<Status, String> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Status::read(&event, request_id)
                    .map_err(|why| format!("the status stream cannot be understood: {why}"));
            }
            match self.body.next_chunk().await {
                Ok(Some(chunk)) => {
                    self.heard_at = Instant::now();
                    let ready = &mut self.ready;
                    self.events
                        .push(&chunk, |event| {
                            ready.push_back(Bytes::copy_from_slice(event));
                        })
                        .map_err(|_| "the status stream sent an event without end".to_owned())?;
                }
                Ok(None) => return Err("the status stream ended before the job did".to_owned()),
                Err(failure) => {
                    return Err(format!("the status stream broke: {}", failure.error));
                }
            }
        }
    }
}

/// Whether the body of a response is a stream of events.
fn is_event_stream(incoming: &Incoming) -> bool {
    let content_type = incoming.headers.get(header::CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    incoming.status.is_success() && essence.eq_ignore_ascii_case("text/event-stream")
}
