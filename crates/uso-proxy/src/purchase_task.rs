//! Purchases: each is recorded, sent once by a task of its own, and followed to its outcome whether
//! or not the browser waits for the response.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, StatusCode};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::task::task_tracker::TaskTrackerToken;
use uso_transport::{Delivery, Forward, Forwarded, Operation, Ticket, Verdict};

use crate::pass_through;
use crate::purchase::Purchase;
use crate::refusal::Refusal;
use crate::request_id_scan::{Look, Scan};
use crate::shared_state::Shared;
use crate::traffic::Permit;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-fal-request-id");

/// Pieces of a response that wait for a slow browser.
const PIECES: usize = 8;

/// Pauses between two tries to record an outcome.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A purchase that is ready to be sent.
pub(crate) struct Order {
    pub(crate) purchase: Purchase,
    pub(crate) permit: Permit,
    pub(crate) forward: Forward,
}

/// A part of the response on its way to the page.
enum Passing {
    Piece(io::Result<Bytes>),
    /// The end: the page has taken the whole response. With a purchase, an equal one may begin.
    Whole(Option<Box<Purchase>>),
}

type Head = Result<(StatusCode, HeaderMap, mpsc::Receiver<Passing>), Refusal>;

impl Order {
    /// Records the purchase, sends it, and passes on the response as it comes.
    pub(crate) async fn place(self, shared: &Arc<Shared>) -> Result<Response, Refusal> {
        let (head, answered) = oneshot::channel();
        let tracked = shared.tasks.token();
        tokio::spawn(self.follow(Arc::clone(shared), tracked, head));
        // Without a head the purchase was given up, or its task ended with the runtime.
        let head: Head = answered.await.map_err(|_| Refusal::lost())?;
        let (status, headers, passing) = head?;
        let records = Arc::clone(&shared.settings.records);
        let body = stream::unfold(Some((passing, records)), async |open| {
            let (mut passing, records) = open?;
            match passing.recv().await {
                Some(Passing::Piece(piece)) => Some((piece, Some((passing, records)))),
                Some(Passing::Whole(purchase)) => {
                    // Here and not in the task, so that the record is made before the page has the
                    // end.
                    if let Some(purchase) = purchase {
                        records.received(&purchase).await;
                    }
                    None
                }
                // A response that ends in another way must not look whole.
                None => Some((Err(io::ErrorKind::BrokenPipe.into()), None)),
            }
        });
        Ok(pass_through::response(
            status,
            &headers,
            Body::from_stream(body),
        ))
    }

    /// Sends the purchase and follows it to its outcome, and its response to the page.
    async fn follow(
        self,
        shared: Arc<Shared>,
        tracked: TaskTrackerToken,
        head: oneshot::Sender<Head>,
    ) {
        let (records, limits) = (&shared.settings.records, &shared.settings.limits);
        let guard = match records.begin(&self.purchase, limits).await {
            Ok(guard) => guard,
            Err(why) => {
                // The browser may have left, which changes nothing, here and below.
                let _ = head.send(Err(Refusal::not_begun(why, &self.purchase, limits)));
                return;
            }
        };
        self.purchase.log("sending");
        let mut purchase = Sent {
            shared: &shared,
            purchase: self.purchase,
            tracked: Some(tracked),
        };
        let mut permit = self.permit;
        let started = Instant::now();
        let may_send = move || guard.as_ref().is_none_or(|holds| holds());
        let sending = shared.transport.forward_while(self.forward, may_send);
        let sent = shared.given_up.run_until_cancelled(sending).await;
        permit.free_memory();
        let Forwarded {
            status,
            headers,
            mut body,
        } = match sent {
            Some(Ok(response)) => response,
            Some(Err(error)) => {
                purchase.has_no_response(error.delivery()).await;
                let refusal = pass_through::refusal(&shared, &error, started.elapsed());
                let _ = head.send(Err(refusal));
                return;
            }
            None => return purchase.has_no_response(Delivery::Unknown).await,
        };
        let operation = purchase.purchase.operation;
        let verdict = Verdict::of(operation, status.as_u16(), &headers, b"");
        let named = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let named = named.map(str::to_owned);
        let mut scan =
            (verdict == Verdict::Bought && operation == Operation::Submit).then(Scan::default);
        if scan.is_none() {
            purchase.ends(verdict, status, [named.clone(), None]).await;
        }

        let (pieces, passing) = mpsc::channel(PIECES);
        let has_left = head.send(Ok((status, headers, passing))).is_err();
        let mut page = Page {
            pieces,
            within: shared.settings.reading_within,
            has_left,
        };
        // When the page has left, the body is read for as long as it may still bring the id.
        let mut is_whole = false;
        while scan.is_some() || !page.has_left {
            match shared.given_up.run_until_cancelled(body.chunk()).await {
                Some(Ok(Some(piece))) => {
                    let look = scan.as_mut().map_or(Look::GoOn, |scan| scan.push(&piece));
                    let found = match look {
                        Look::GoOn => None,
                        Look::Found(id) => Some([Some(id), named.clone()]),
                        Look::GiveUp => Some([named.clone(), None]),
                    };
                    if let Some(ids) = found {
                        scan = None;
                        // Before the page can know the id, so that no request of the page comes
                        // too early.
                        purchase.ends(verdict, status, ids).await;
                    }
                    page.pass(Passing::Piece(Ok(piece))).await;
                }
                Some(Ok(None)) => {
                    is_whole = !page.has_left;
                    break;
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "the response to a purchase broke off");
                    let broken = io::Error::other(error);
                    page.pass(Passing::Piece(Err(broken))).await;
                    break;
                }
                None => break,
            }
        }
        if scan.is_some() {
            purchase.ends(verdict, status, [named, None]).await;
        }
        if is_whole {
            let has_name = purchase.purchase.request_id.is_some() || operation == Operation::Run;
            let may_repeat = verdict == Verdict::Bought && has_name;
            let received = may_repeat.then(|| Box::new(purchase.purchase));
            page.pass(Passing::Whole(received)).await;
        }
    }
}

/// A purchase that was sent.
struct Sent<'a> {
    shared: &'a Arc<Shared>,
    purchase: Purchase,
    /// The close of the proxy waits for this token: for the record, and not for a page that reads
    /// slowly. `None` once the outcome is recorded.
    tracked: Option<TaskTrackerToken>,
}

impl Sent<'_> {
    async fn has_no_response(&mut self, delivery: Delivery) {
        self.purchase.delivery = delivery;
        self.record(match delivery {
            Delivery::NotSent => Verdict::NotBought,
            _ => Verdict::Unknown,
        })
        .await;
    }

    /// Records the outcome, under the first of the ids that is a request id. Clients read the id in
    /// the body, so it comes before that of the header.
    async fn ends(&mut self, verdict: Verdict, status: StatusCode, ids: [Option<String>; 2]) {
        self.purchase.status = Some(status.as_u16());
        self.purchase.delivery = match verdict {
            Verdict::Unknown => Delivery::Unknown,
            _ => Delivery::Answered,
        };
        let endpoint = &self.purchase.endpoint;
        let mut tickets = ids
            .into_iter()
            .flatten()
            .filter_map(|id| Ticket::for_request(endpoint.clone(), id).ok());
        if verdict != Verdict::NotBought {
            let id = tickets.next().map(|ticket| ticket.request_id().to_owned());
            if id.is_none() && verdict == Verdict::Bought {
                tracing::warn!("a purchase was accepted, and its response has no valid request id");
            }
            self.purchase.request_id = id;
        }
        self.record(verdict).await;
    }

    async fn record(&mut self, verdict: Verdict) {
        self.purchase.outcome = Some(verdict);
        self.purchase.log("purchase");
        if let Some(token) = self.tracked.take() {
            self.shared.record(&self.purchase, token).await;
        }
    }
}

impl Shared {
    /// Records the outcome of a purchase. Where that fails, a task of its own records it again, until
    /// that succeeds or the proxy is given up; the close of the proxy waits for the token.
    async fn record(self: &Arc<Self>, purchase: &Purchase, token: TaskTrackerToken) {
        if self.end(purchase).await {
            return;
        }
        self.unrecorded.add(purchase);
        let (shared, purchase) = (Arc::clone(self), purchase.clone());
        tokio::spawn(async move {
            shared.record_again(&purchase).await;
            drop(token);
        });
    }

    async fn record_again(&self, purchase: &Purchase) {
        let mut pause = FIRST_PAUSE;
        loop {
            let waiting = self.given_up.run_until_cancelled(sleep(pause));
            let is_last = waiting.await.is_none();
            if self.end(purchase).await {
                return self.unrecorded.remove(purchase);
            }
            if is_last {
                return;
            }
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    async fn end(&self, purchase: &Purchase) -> bool {
        let ended = self.settings.records.end(purchase, &self.settings.limits);
        let Err(error) = ended.await else { return true };
        let (id, request_id) = (&purchase.id, purchase.request_id.as_deref());
        tracing::error!(id, request_id, %error, "the outcome of a purchase is not recorded yet");
        false
    }
}

/// The page that waits for a response.
struct Page {
    pieces: mpsc::Sender<Passing>,
    within: Duration,
    /// The page is gone, or does not read.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_that_does_not_read_is_not_waited_for() {
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
}
