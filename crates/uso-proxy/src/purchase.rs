//! Purchases: sent once, by a task of their own, and followed to their outcome whether or not the
//! browser waits for it.

mod scan;

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, StatusCode};
use tokio::sync::{mpsc, oneshot};
use uso_transport::{
    Delivery, EndpointId, Error, Forward, Forwarded, ForwardedBody, MicroDollars, Operation,
};

use crate::audit::Purchase;
use crate::caller::Caller;
use crate::limits::SetAside;
use crate::owners::Room;
use crate::proxy::Shared;
use crate::refusal::Refusal;
use crate::relay;
use crate::repeats::Sameness;
use scan::{Look, Scan};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-fal-request-id");

/// Pieces of an answer that wait for a slow browser.
const PIECES: usize = 8;

/// A purchase that is paid for with money set aside, ready to be sent.
pub(crate) struct Order {
    pub(crate) caller: Caller,
    pub(crate) endpoint: EndpointId,
    pub(crate) estimate: MicroDollars,
    pub(crate) set_aside: SetAside,
    /// Where a submitted request is remembered.
    pub(crate) room: Option<Room>,
    pub(crate) sameness: Sameness,
    pub(crate) forward: Forward,
}

type Pieces = mpsc::Receiver<io::Result<Bytes>>;
type Head = Result<(StatusCode, HeaderMap, Pieces), Error>;

/// What an answer's status says of a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Bought,
    /// Nothing was bought.
    Refused,
    /// It was answered for, and may be billed: a run that failed its validation.
    Failed,
    /// It may have been bought.
    Unknown,
}

impl Outcome {
    fn of(operation: Operation, status: StatusCode) -> Self {
        match status.as_u16() {
            200..=299 => Self::Bought,
            400 | 422 if operation == Operation::Run => Self::Failed,
            400 | 401 | 403 | 404 | 405 | 413 | 415 | 422 | 429 => Self::Refused,
            _ => Self::Unknown,
        }
    }
}

/// While it is armed, a browser that leaves has not had the answer to its purchase.
struct Undelivered {
    shared: Arc<Shared>,
    sameness: Sameness,
    request_id: Arc<OnceLock<String>>,
    is_armed: bool,
}

impl Drop for Undelivered {
    fn drop(&mut self) {
        if self.is_armed {
            let id = self.request_id.get().cloned();
            self.shared
                .repeats
                .remember(self.sameness, id, Instant::now());
        }
    }
}

impl Order {
    /// Sends it, and gives the answer as it comes.
    pub(crate) async fn place(self, shared: &Arc<Shared>) -> Result<Response, Refusal> {
        let started = Instant::now();
        let operation = self.forward.operation;
        let request_id = Arc::new(OnceLock::new());
        let mut undelivered = Undelivered {
            shared: Arc::clone(shared),
            sameness: self.sameness,
            request_id: Arc::clone(&request_id),
            is_armed: true,
        };
        let (head, answered) = oneshot::channel();
        shared
            .tasks
            .spawn(self.follow(Arc::clone(shared), head, request_id));
        // Without a head the task was ended with its runtime.
        let head: Head = answered.await.map_err(|_| Refusal::lost())?;
        let (status, headers, pieces) = head.map_err(|error| {
            undelivered.is_armed = false;
            relay::refusal(shared, &error, started.elapsed())
        })?;
        undelivered.is_armed = Outcome::of(operation, status) == Outcome::Bought;
        let body = stream::unfold(
            (pieces, undelivered),
            async |(mut pieces, mut undelivered)| {
                let piece = pieces.recv().await;
                if piece.is_none() {
                    undelivered.is_armed = false;
                }
                Some((piece?, (pieces, undelivered)))
            },
        );
        Ok(relay::response(status, &headers, Body::from_stream(body)))
    }

    /// Sends the purchase and follows it to its outcome.
    async fn follow(
        mut self,
        shared: Arc<Shared>,
        head: oneshot::Sender<Head>,
        request_id: Arc<OnceLock<String>>,
    ) {
        let at = SystemTime::now();
        let forward = self.forward.clone();
        let operation = forward.operation;
        let sent = shared.transport.forward(forward).await;
        let Forwarded {
            status,
            headers,
            body,
        } = match sent {
            Ok(answered) => answered,
            Err(error) => {
                if error.delivery() == Delivery::NotSent {
                    self.did_not_come_about(&shared);
                } else {
                    self.may_have_come_about(&shared);
                }
                self.record(&shared, at, None, None, error.delivery());
                // The browser may have left, which changes nothing.
                let _ = head.send(Err(error));
                return;
            }
        };
        let outcome = Outcome::of(operation, status);
        match outcome {
            Outcome::Refused => self.did_not_come_about(&shared),
            Outcome::Unknown => self.may_have_come_about(&shared),
            Outcome::Bought | Outcome::Failed => {}
        }
        let named = headers
            .get(REQUEST_ID)
            .and_then(|value| value.to_str().ok());
        if let Some(id) = named.filter(|_| outcome != Outcome::Refused) {
            self.is_known(&request_id, id);
        }
        let scans = outcome == Outcome::Bought && operation == Operation::Submit;
        if !scans {
            let delivery = match outcome {
                Outcome::Unknown => Delivery::Unknown,
                _ => Delivery::Answered,
            };
            self.record(&shared, at, Some(status), request_id.get(), delivery);
        }
        let (pieces, waiting) = mpsc::channel(PIECES);
        let has_left = head.send(Ok((status, headers, waiting))).is_err();
        if has_left && outcome == Outcome::Bought {
            self.was_left(&shared, request_id.get());
        }
        if !scans {
            if !has_left {
                pump(body, &pieces, |_| Look::Enough).await;
            }
            return;
        }
        let mut scan = Scan::default();
        pump(body, &pieces, |piece| {
            let look = scan.push(piece);
            if let Look::Found(id) = &look {
                self.is_known(&request_id, id);
                if has_left {
                    self.was_left(&shared, Some(id));
                }
                self.record(&shared, at, Some(status), Some(id), Delivery::Answered);
            }
            look
        })
        .await;
        if !scan.has_found {
            if request_id.get().is_none() {
                tracing::warn!("a submit was accepted, and its answer has no request id");
                self.may_have_come_about(&shared);
            }
            let id = request_id.get();
            self.record(&shared, at, Some(status), id, Delivery::Answered);
        }
    }

    /// From now on the caller may ask for the request. It is called before the browser can know
    /// the id, so that no request of the browser's comes too early.
    fn is_known(&mut self, request_id: &OnceLock<String>, id: &str) {
        if let Some(room) = &mut self.room {
            room.bind(&self.caller, self.endpoint.app(), id, Instant::now());
        }
        // The header's id and the body's are the same; where they are not, both are the caller's.
        let _ = request_id.set(id.to_owned());
    }

    fn did_not_come_about(&self, shared: &Shared) {
        let now = Instant::now();
        shared.limits.give_back(&self.caller, self.set_aside, now);
        shared.repeats.forget(self.sameness, now);
    }

    fn may_have_come_about(&self, shared: &Shared) {
        shared.repeats.remember(self.sameness, None, Instant::now());
    }

    /// It was bought, and its browser had left by then.
    fn was_left(&self, shared: &Shared, request_id: Option<&String>) {
        let (id, now) = (request_id.cloned(), Instant::now());
        shared.repeats.remember(self.sameness, id, now);
    }

    fn record(
        &self,
        shared: &Shared,
        at: SystemTime,
        status: Option<StatusCode>,
        request_id: Option<&String>,
        delivery: Delivery,
    ) {
        let purchase = Purchase {
            at,
            caller: self.caller.clone(),
            endpoint: self.endpoint.clone(),
            operation: self.forward.operation,
            request_id: request_id.cloned(),
            estimate: self.estimate,
            status: status.map(|status| status.as_u16()),
            delivery,
        };
        purchase.log();
        if let Some(record) = &shared.settings.on_purchase {
            record(&purchase);
        }
    }
}

/// Passes the body's pieces to the browser, each after a look at it. When the browser has left, it
/// goes on for as long as there is something to look for.
async fn pump(
    mut body: ForwardedBody,
    pieces: &mpsc::Sender<io::Result<Bytes>>,
    mut look: impl FnMut(&[u8]) -> Look,
) {
    let mut has_left = false;
    loop {
        match body.chunk().await {
            Ok(Some(piece)) => {
                let looking = matches!(look(&piece), Look::On);
                has_left |= pieces.send(Ok(piece)).await.is_err();
                if has_left && !looking {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the answer to a purchase broke off");
                let _ = pieces.send(Err(io::Error::other(error))).await;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_says_that_nothing_was_bought() {
        for (status, outcome) in [
            (200, Outcome::Bought),
            (400, Outcome::Refused),
            (401, Outcome::Refused),
            (429, Outcome::Refused),
            (302, Outcome::Unknown),
            (408, Outcome::Unknown),
            (409, Outcome::Unknown),
            (500, Outcome::Unknown),
            (502, Outcome::Unknown),
            (504, Outcome::Unknown),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Outcome::of(Operation::Submit, status), outcome, "{status}");
        }
        let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
        assert_eq!(Outcome::of(Operation::Run, unprocessable), Outcome::Failed);
    }
}
