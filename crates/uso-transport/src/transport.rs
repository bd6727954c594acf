//! The operations of the protocol, each with its deadline and the one retry loop.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{Request, header};
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use crate::answer::Answer;
use crate::attempt::{AttemptProblem, Unfinished};
use crate::config::Config;
use crate::error::{Delivery, Error, ErrorKind, Operation, Problem, Result};
use crate::http::{BodyProblem, Http, Incoming, Outgoing, Unanswered};
use crate::order::Order;
use crate::reply::{Reply, read_cancelled, read_submitted};
use crate::retry::{Budget, decide};
use crate::status::{Cancellation, Status};
use crate::storage::{Token, Watched};
use crate::ticket::Ticket;
use crate::watch::Watch;
use crate::wire::Wire;

/// The protocol's client: one set of connections, shared by all clones.
///
/// ```no_run
/// use std::time::Duration;
/// use uso_transport::{Config, EndpointId, Order, Transport};
///
/// # async fn example() -> uso_transport::Result<()> {
/// let transport = Transport::new(Config::from_env()?)?;
/// let input = br#"{"input_image_urls":["https://example.org/cat.png"],"seed":7}"#;
/// let order = Order::new(EndpointId::uso(), input.to_vec(), Duration::from_secs(600))?;
/// let ticket = transport.submit(&order).await?;
/// let mut watch = transport.watch(&ticket);
/// while let Some(update) = watch.next().await {
///     println!("{:?}", update?);
/// }
/// let answer = transport.result(&ticket).await?;
/// println!("{} bytes", answer.body().len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Transport {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    http: Http,
    /// Repeats of everything that belongs to a purchase.
    budget: Budget,
    /// Repeats of uploads, which must not use up those of jobs that are paid for.
    upload_budget: Budget,
    /// The CDN's token, and the one line of those who want a new one.
    token: tokio::sync::Mutex<Option<Arc<Token>>>,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

impl Transport {
    /// Makes the client. No connection is opened yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when TLS is needed and there are no root certificates.
    pub fn new(config: Config) -> Result<Self> {
        let http = Http::new(&config)?;
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                http,
                budget: Budget::default(),
                upload_budget: Budget::default(),
                token: tokio::sync::Mutex::default(),
            }),
        })
    }

    /// The settings that the client was made with.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    pub(crate) fn http(&self) -> &Http {
        &self.shared.http
    }

    pub(crate) fn kept_token(&self) -> &tokio::sync::Mutex<Option<Arc<Token>>> {
        &self.shared.token
    }

    pub(crate) fn wire(&self) -> Wire<'_> {
        Wire::new(&self.shared.config)
    }

    /// Buys a job: puts the order's input into the endpoint's queue.
    ///
    /// The request is sent again only when it provably did not leave, or when the service refused
    /// it with 429 before queueing it. When the outcome is unknown, the request is looked for
    /// among the account's requests, for as long as [`Config::reconcile_within`] says, and adopted
    /// when it is found. The input is validated when the job runs, not now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`], with the intent, when the job may have been bought;
    /// [`ErrorKind::Unreachable`], [`ErrorKind::Throttled`], [`ErrorKind::Auth`] and
    /// [`ErrorKind::Locked`] when it was not.
    pub async fn submit(&self, order: &Order) -> Result<Ticket> {
        let error = match self.send_order(order).await {
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => error,
            outcome => return outcome,
        };
        warn!(%error, "the outcome is unknown");
        let Some(within) = self.shared.config.reconcile_within else {
            return Err(error.with_intent(order.intent(), None));
        };
        let reconciled = self.reconcile(order.intent(), within).await;
        reconciled.map_err(|why| error.with_intent(order.intent(), Some(&why)))
    }

    async fn send_order(&self, order: &Order) -> Result<Ticket> {
        let sent = self
            .exchange(Operation::Submit, || self.wire().submit(order))
            .await;
        let ticket = match sent {
            Ok(reply) if reply.is_success() => read_submitted(order.intent(), &reply)?,
            Ok(reply) => return Err(self.refused(reply)),
            // The head of a yes names the request, though the rest of the answer was lost.
            Err(error)
                if error
                    .status()
                    .is_some_and(|status| (200..300).contains(&status)) =>
            {
                let endpoint = order.intent().endpoint().clone();
                let id = error.request_id().map(str::to_owned);
                match id.and_then(|id| Ticket::for_request(endpoint, id).ok()) {
                    Some(ticket) => ticket.of_intent(order.intent()),
                    None => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        debug!(request_id = ticket.request_id(), "submitted");
        Ok(ticket)
    }

    /// Runs an order synchronously. There is no ticket: when the connection breaks, what was
    /// bought is lost. Prefer [`Transport::submit`].
    ///
    /// # Errors
    ///
    /// As for [`Transport::submit`], and those of the job itself as for [`Transport::result`].
    pub async fn run(&self, order: &Order) -> Result<Answer> {
        if order.intent().has_webhook() {
            let problem = Problem::new(
                "webhook",
                "a synchronous run is not announced; submit it to the queue, or leave the webhook out",
            );
            return Err(Error::invalid(vec![problem]));
        }
        let reply = self
            .exchange(Operation::Run, || self.wire().run(order))
            .await?;
        if reply.is_success() {
            Ok(answer(reply))
        } else {
            Err(self.refused(reply))
        }
    }

    /// Asks once where a job stands.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] when the service does not know the request, [`ErrorKind::Malformed`]
    /// with the raw body when the answer is of no use.
    pub async fn status(&self, ticket: &Ticket) -> Result<Status> {
        let attach = |error: Error| error.with_ticket(ticket);
        let request = || self.wire().status(ticket, true);
        let reply = self
            .exchange(Operation::Status, request)
            .await
            .map_err(attach)?;
        self.read_status(reply).map_err(attach)
    }

    pub(crate) fn read_status(&self, reply: Reply) -> Result<Status> {
        if !reply.is_success() {
            return Err(self.refused(reply));
        }
        Status::read(&reply.body).map_err(|why| {
            let message = format!("the status could not be understood: {why}");
            Error::new(reply.operation, ErrorKind::Malformed, message)
                .with_answer(reply.status, reply.request_id())
                .with_raw_body(reply.body)
        })
    }

    /// Follows a job until it has ended: by stream where it can, by polling where it cannot.
    pub fn watch(&self, ticket: &Ticket) -> Watch {
        Watch::new(self.clone(), ticket.clone())
    }

    /// Fetches the result of a job that has ended. Fetching does not consume it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotReady`] when the job has not ended, [`ErrorKind::Input`] when the endpoint
    /// refused the input, [`ErrorKind::Failed`] when the job failed, [`ErrorKind::Gone`] when the
    /// service does not have the result (any more).
    pub async fn result(&self, ticket: &Ticket) -> Result<Answer> {
        let attach = |error: Error| error.with_ticket(ticket);
        let request = || self.wire().result(ticket);
        let reply = self
            .exchange(Operation::Result, request)
            .await
            .map_err(attach)?;
        if reply.is_success() {
            return Ok(answer(reply));
        }
        // "Not finished yet" is a 400, and so may be the job's own answer: the status tells.
        if reply.status == 400 && !self.status(ticket).await?.is_completed() {
            let message = "the job has not finished yet";
            let error = Error::new(Operation::Result, ErrorKind::NotReady, message);
            return Err(attach(error.with_answer(reply.status, reply.request_id())));
        }
        Err(attach(self.refused(reply)))
    }

    /// Asks the service to cancel a job. It may still complete, and is then billed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] when the service does not know the request.
    pub async fn cancel(&self, ticket: &Ticket) -> Result<Cancellation> {
        let attach = |error: Error| error.with_ticket(ticket);
        let request = || self.wire().cancel(ticket);
        let reply = self
            .exchange(Operation::Cancel, request)
            .await
            .map_err(attach)?;
        if let Some(cancellation) = read_cancelled(&reply) {
            return Ok(cancellation);
        }
        // "Too late" is a 400; where its words cannot be read, the status tells.
        if reply.status == 400 && self.status(ticket).await?.is_completed() {
            return Ok(Cancellation::AlreadyCompleted);
        }
        Err(attach(self.refused(reply)))
    }

    pub(crate) fn refused(&self, reply: Reply) -> Error {
        reply.into_error(self.shared.config.key.has_documented_form())
    }

    /// The one retry loop: sends until there is an answer to take, or no attempt left.
    pub(crate) async fn exchange<B: Into<Outgoing>>(
        &self,
        operation: Operation,
        request: impl Fn() -> Request<B>,
    ) -> Result<Reply> {
        let started = Instant::now();
        let mut attempt = 1;
        let budget = match operation {
            Operation::Upload => &self.shared.upload_budget,
            _ => &self.shared.budget,
        };
        budget.earn();
        loop {
            let mut outcome = self.attempt(operation, request()).await;
            let summary = match &outcome {
                Ok(reply) => reply.outcome(),
                Err(problem) => problem.outcome(),
            };
            let decision = decide(operation, summary, attempt, &self.shared.config.retry);
            if let Some(delay) = decision.delay()
                && budget.spend()
            {
                warn!(%operation, attempt, ?summary, ?delay, "trying again");
                sleep(delay).await;
                attempt += 1;
                continue;
            }
            debug!(%operation, attempt, ?summary, ?decision, "done");
            let elapsed = started.elapsed();
            if let Ok(reply) = &mut outcome {
                (reply.attempts, reply.elapsed) = (attempt, elapsed);
            }
            return outcome.map_err(|problem| {
                problem
                    .into_error(operation)
                    .with_attempts(attempt, elapsed)
            });
        }
    }

    /// One attempt, from the connection to the last byte of the answer.
    pub(crate) async fn attempt(
        &self,
        operation: Operation,
        request: Request<impl Into<Outgoing>>,
    ) -> Result<Reply, AttemptProblem> {
        let request = request.map(Into::into);
        match request.body().watched() {
            None => self.send_and_read(operation, request).await,
            // Boxed, so that the requests of a job, which are many, need not have room for it.
            Some(watched) => Box::pin(self.send_watched(operation, request, watched)).await,
        }
    }

    /// One attempt at a file or a part of it.
    async fn send_watched(
        &self,
        operation: Operation,
        request: Request<Outgoing>,
        watched: Watched,
    ) -> Result<Reply, AttemptProblem> {
        let sending = pin!(self.send_and_read(operation, request));
        let stalling = pin!(self.stalls(&watched));
        let outcome = match select(sending, stalling).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right((stalled, _)) => Err(stalled.into()),
        };
        watched.end(outcome.as_ref().is_ok_and(Reply::is_success));
        match watched.fault() {
            // Whatever became of the request: what was sent was not the file.
            Some(error) => Err(AttemptProblem::own(error)),
            None => outcome,
        }
    }

    /// Returns when nothing of a file has gone out for too long.
    async fn stalls(&self, watched: &Watched) -> Unanswered {
        let idle = self.shared.config.stream_idle;
        let mut before = None;
        loop {
            sleep(idle).await;
            let sent = Some(watched.sent());
            if sent == before {
                return Unanswered {
                    delivery: Delivery::Unknown,
                    why: format!("nothing went out for {} s", idle.as_secs_f64()),
                    source: None,
                };
            }
            before = sent;
        }
    }

    async fn send_and_read(
        &self,
        operation: Operation,
        request: Request<Outgoing>,
    ) -> Result<Reply, AttemptProblem> {
        let config = &self.shared.config;
        let limit = self.attempt_limit(operation, request.body().len());
        let deadline = from_now(limit);
        let sent = self.shared.http.send(request, deadline).await;
        let Incoming {
            status,
            headers,
            body,
        } = sent.map_err(|problem| AttemptProblem {
            head: None,
            kind: Unfinished::Unanswered(problem),
        })?;
        let reading = body.collect(config.max_body, config.stream_idle);
        let unfinished = match tokio::time::timeout_at(deadline, reading).await {
            Ok(Ok(body)) => return Ok(Reply::new(operation, status.as_u16(), headers, body)),
            Ok(Err(BodyProblem::TooLong)) => Unfinished::TooLong {
                limit: config.max_body,
            },
            Ok(Err(BodyProblem::Broken(problem))) => Unfinished::Unanswered(problem),
            Err(_) => {
                let why = format!("the answer did not end within {} s", limit.as_secs_f64());
                Unfinished::Unanswered(Unanswered {
                    delivery: Delivery::Unknown,
                    why,
                    source: None,
                })
            }
        };
        let head = Reply::new(operation, status.as_u16(), headers, Bytes::new());
        Err(AttemptProblem {
            head: Some(Box::new(head)),
            kind: unfinished,
        })
    }

    /// The longest time that an attempt may take with a body of this many bytes.
    pub(crate) fn attempt_limit(&self, operation: Operation, body: u64) -> Duration {
        let limit = match operation {
            Operation::Run => self.shared.config.finish_within,
            _ => self.shared.config.answer_within,
        };
        // A slow line is not a lost answer: a large body has the time to leave.
        limit.saturating_add(Duration::from_secs(body / SLOW_LINE))
    }
}

/// Bytes a second of a line that is slow and still of use.
const SLOW_LINE: u64 = 32 << 10;

/// A point in time that far away; "never" is a year, which no wait outlasts.
pub(crate) fn from_now(limit: Duration) -> Instant {
    Instant::now() + limit.min(Duration::from_secs(365 * 24 * 3600))
}

fn answer(reply: Reply) -> Answer {
    Answer {
        operation: reply.operation,
        status: reply.status,
        request_id: reply.request_id(),
        billable_units: reply.billable_units(),
        body: reply.body,
    }
}

/// Whether an answer's body is a stream of events.
pub(crate) fn is_event_stream(incoming: &Incoming) -> bool {
    let content_type = incoming.headers.get(header::CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    incoming.status.is_success() && essence.eq_ignore_ascii_case("text/event-stream")
}
