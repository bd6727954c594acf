//! Purchases: sent once, by a task of their own, and followed to their outcome whether or not the
//! browser waits for it.

mod scan;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, StatusCode};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::task_tracker::TaskTrackerToken;
use uso_transport::{
    Delivery, EndpointId, Error, Forward, Forwarded, ForwardedBody, MicroDollars, Operation,
};

use crate::audit::Record;
use crate::caller::Caller;
use crate::flights::Flight;
use crate::limits::SetAside;
use crate::owners::Room;
use crate::proxy::Shared;
use crate::refusal::Refusal;
use crate::relay;
use crate::repeats::UnderWay;
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
    pub(crate) under_way: UnderWay,
    pub(crate) flight: Flight,
    pub(crate) forward: Forward,
}

/// What goes to the page of an answer.
enum Passing {
    Piece(io::Result<Bytes>),
    /// That was all. Who takes it has given all of it to the page.
    Whole(Option<UnderWay>),
}

type Head = Result<(StatusCode, HeaderMap, mpsc::Receiver<Passing>), Error>;

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

impl Order {
    /// Sends it, and gives the answer as it comes.
    pub(crate) async fn place(self, shared: &Arc<Shared>) -> Result<Response, Refusal> {
        let started = Instant::now();
        let (head, answered) = oneshot::channel();
        let tracked = shared.tasks.token();
        let following = self.follow(Arc::clone(shared), tracked, head);
        tokio::spawn(shared.given_up.clone().run_until_cancelled_owned(following));
        // Without a head the task was given up, or ended with its runtime.
        let head: Head = answered.await.map_err(|_| Refusal::lost())?;
        let (status, headers, passing) =
            head.map_err(|error| relay::refusal(shared, &error, started.elapsed()))?;
        let body = stream::unfold(Some(passing), async |passing| {
            let mut passing = passing?;
            match passing.recv().await {
                Some(Passing::Piece(piece)) => Some((piece, Some(passing))),
                Some(Passing::Whole(under_way)) => {
                    // Here and not in the task, so that it holds before the page has the end.
                    under_way.into_iter().for_each(UnderWay::settle);
                    None
                }
                // What ends in another way must not look whole.
                None => Some((Err(io::ErrorKind::BrokenPipe.into()), None)),
            }
        });
        Ok(relay::response(status, &headers, Body::from_stream(body)))
    }

    /// Sends the purchase and follows it to its outcome, and its answer to the page.
    ///
    /// It alone decides what becomes of the purchase. Whoever waits for the end waits for the record,
    /// and not for a page that reads slowly.
    async fn follow(
        self,
        shared: Arc<Shared>,
        tracked: TaskTrackerToken,
        head: oneshot::Sender<Head>,
    ) {
        let operation = self.forward.operation;
        let record = Record::open(
            &shared,
            tracked,
            self.caller.clone(),
            self.endpoint.clone(),
            operation,
            self.estimate,
        );
        let mut purchase = Following {
            shared,
            caller: self.caller,
            endpoint: self.endpoint,
            set_aside: self.set_aside,
            room: self.room,
            under_way: Some(self.under_way),
            record,
        };
        let mut flight = self.flight;
        let sent = purchase.shared.transport.forward(self.forward).await;
        flight.lets_go();
        let Forwarded {
            status,
            headers,
            body,
        } = match sent {
            Ok(answered) => answered,
            Err(error) => {
                purchase.is_unanswered(error.delivery());
                // The browser may have left, which changes nothing.
                let _ = head.send(Err(error));
                return;
            }
        };
        let named = headers.get(REQUEST_ID);
        let named = named.and_then(|value| value.to_str().ok()?.to_owned().into());
        let outcome = Outcome::of(operation, status);
        let scans = outcome == Outcome::Bought && operation == Operation::Submit;
        if !scans {
            purchase.ends(outcome, status, named.as_deref());
        }

        let (pieces, passing) = mpsc::channel(PIECES);
        let has_left = head.send(Ok((status, headers, passing))).is_err();
        let mut page = Page {
            pieces,
            within: purchase.shared.settings.reading_within,
            has_left,
        };
        let mut scan = scans.then(Scan::default);
        let is_whole = pump(body, &mut page, |piece| {
            let look = scan.as_mut().map_or(Look::Enough, |scan| scan.push(piece));
            if let Look::Found(id) = &look {
                purchase.ends(outcome, status, Some(id));
            }
            look
        })
        .await;
        if scan.is_some_and(|scan| !scan.has_found) {
            // The body's id is the one that clients read, so the header's is the second choice.
            purchase.ends(outcome, status, named.as_deref());
            if named.is_none() {
                tracing::warn!("a submit was accepted, and its answer has no request id");
                purchase.under_way = None;
            }
        }
        if is_whole {
            page.pass(Passing::Whole(purchase.under_way.take())).await;
        }
    }
}

/// A purchase that was sent.
struct Following {
    shared: Arc<Shared>,
    caller: Caller,
    endpoint: EndpointId,
    set_aside: SetAside,
    room: Option<Room>,
    /// `None` as soon as it is decided whether the same may be bought again.
    under_way: Option<UnderWay>,
    record: Record,
}

impl Following {
    fn is_unanswered(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::NotSent => self.did_not_come_about(),
            _ => self.under_way = None,
        }
        self.record.write(None, delivery);
    }

    /// Its outcome is known. It is called before the page can know it, so that no request of the
    /// page's comes too early.
    fn ends(&mut self, outcome: Outcome, status: StatusCode, request_id: Option<&str>) {
        if outcome == Outcome::Refused {
            self.did_not_come_about();
        } else if let Some(id) = request_id {
            if let Some(room) = &mut self.room {
                room.bind(self.endpoint.app(), id, Instant::now());
            }
            if let Some(under_way) = &self.under_way {
                under_way.is_known_as(id);
            }
            self.record.is_known_as(id);
        }
        let delivery = match outcome {
            Outcome::Unknown => {
                self.under_way = None;
                Delivery::Unknown
            }
            _ => Delivery::Answered,
        };
        self.record.write(Some(status), delivery);
    }

    fn did_not_come_about(&mut self) {
        let limits = &self.shared.limits;
        limits.give_back(&self.caller, self.set_aside, Instant::now());
        self.under_way.take().into_iter().for_each(UnderWay::settle);
    }
}

/// The page that waits for an answer.
struct Page {
    pieces: mpsc::Sender<Passing>,
    within: Duration,
    /// It is gone, or does not read.
    has_left: bool,
}

impl Page {
    async fn pass(&mut self, passing: Passing) {
        if !self.has_left {
            let passed = self.pieces.send_timeout(passing, self.within).await;
            self.has_left = passed.is_err();
        }
    }
}

/// Passes the body's pieces to the page, each after a look at it. When the page has left, it goes on
/// for as long as there is something to look for. Says whether the page has been given all of it.
async fn pump(
    mut body: ForwardedBody,
    page: &mut Page,
    mut look: impl FnMut(&[u8]) -> Look,
) -> bool {
    let mut looks = true;
    while looks || !page.has_left {
        match body.chunk().await {
            Ok(Some(piece)) => {
                looks = matches!(look(&piece), Look::On);
                page.pass(Passing::Piece(Ok(piece))).await;
            }
            Ok(None) => return !page.has_left,
            Err(error) => {
                tracing::warn!(%error, "the answer to a purchase broke off");
                page.pass(Passing::Piece(Err(io::Error::other(error))))
                    .await;
                return false;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_that_does_not_take_its_answer_is_not_waited_for() {
        let (pieces, mut passing) = mpsc::channel(1);
        let mut page = Page {
            pieces,
            within: Duration::from_millis(1),
            has_left: false,
        };
        page.pass(Passing::Piece(Ok(Bytes::new()))).await;
        assert!(!page.has_left);
        page.pass(Passing::Piece(Ok(Bytes::new()))).await;
        assert!(page.has_left);
        page.pass(Passing::Whole(None)).await;
        drop(page);
        assert!(matches!(passing.recv().await, Some(Passing::Piece(_))));
        assert!(passing.recv().await.is_none(), "it must not look whole");
    }

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
