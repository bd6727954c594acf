//! Queue: submit, synchronous run, status, result and cancel.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::de::{IgnoredAny, MapAccess};
use serde_json::Value;
use tracing::{Span, debug, info_span, warn};

use crate::error::{Error, Result};
use crate::exchange::{Attempt, Exchange, Moment};
use crate::http::{Guarded, RequestBody, Withheld};
use crate::intent::Intent;
use crate::kind::{Delivery, ErrorKind, Operation};
use crate::lenient::{Lenient, text};
use crate::order::Order;
use crate::problem::Problem;
use crate::reconcile::Reconcile;
use crate::requests::Request;
use crate::response::Response;
use crate::status::{Cancellation, State, Status};
use crate::ticket::Ticket;

/// The pause before the service is asked whether it really means that a job has ended badly.
const CONFIRMATION: Duration = Duration::from_millis(500);

/// A request that was submitted less than this ago may not be known everywhere yet.
const SETTLING: Duration = Duration::from_secs(30);

/// How often a request id that is not known, or a page of a gateway, is asked for again.
const PATIENCE: u32 = 4;

/// Statements about the end of a job, each unlike the one before, after which none is believed.
const STATEMENTS: u32 = 3;

/// The operations of the queue.
pub(crate) struct Queue<'a>(pub(crate) &'a Exchange);

/// The span of a job, for the log lines of everything that is done about it.
pub(crate) fn span(ticket: &Ticket) -> Span {
    info_span!(
        "uso.job",
        request_id = ticket.request_id(),
        seed = ticket.seed()
    )
}

impl Queue<'_> {
    pub(crate) async fn submit(&self, order: &Order) -> Result<Ticket> {
        order.once(self.submit_and_look(order)).await
    }

    /// Buys an order, and looks for the purchase when its response is lost.
    async fn submit_and_look(&self, order: &Order) -> Result<Ticket> {
        let begun = Moment::now();
        let error = match self.send_order(order).await {
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => error,
            outcome => return outcome,
        };
        let date = || order.intent().clone().sent(self.0.since(begun));
        let intent = date();
        let error = error.with_intent(&intent);
        warn!(%error, "the outcome is unknown");
        let Some(within) = self.0.config().reconcile_within else {
            return Err(error);
        };
        // Boxed, so that a submit whose response arrives needs no room for the search.
        let candidate = error.intent().unwrap_or(&intent);
        let reconciled = Box::pin(Reconcile(self.0).within(candidate, within)).await;
        reconciled.map_err(|why| {
            // The search may have read the service's clock.
            let error = match intent.is_dated() {
                true => error,
                false => error.with_intent(&date()),
            };
            error.with_postscript(&why)
        })
    }

    async fn send_order(&self, order: &Order) -> Result<Ticket> {
        let request = || self.0.requests().submit(order);
        let ticket = match self.send_guarded(Operation::Submit, order, request).await {
            Ok(response) if response.is_success() => read_submitted(order.intent(), &response)?,
            Ok(response) => return Err(self.0.refused(response)),
            // A 2xx head carries the request id even if the body is lost.
            Err(error) if matches!(error.status(), Some(200..=299)) => {
                let id = error.request_id().map(str::to_owned);
                match id.and_then(|id| order.intent().ticket(id).ok()) {
                    Some(ticket) => ticket,
                    None => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        Span::current().record("request_id", ticket.request_id());
        debug!("submitted");
        Ok(ticket)
    }

    /// Sends a purchase while its guard allows it.
    async fn send_guarded(
        &self,
        operation: Operation,
        order: &Order,
        request: impl Fn() -> Request<Bytes>,
    ) -> Result<Response> {
        let withheld = Withheld::default();
        let guarded = || {
            request().map(|body| match order.guard() {
                Some(guard) => {
                    let body = Guarded::new(body, guard.clone(), withheld.clone());
                    RequestBody::stream(body)
                }
                None => body.into(),
            })
        };
        let begun = Moment::now();
        // An intent finds the purchases of submits; of a run there is none.
        let may_repeat =
            || operation == Operation::Run || order.intent().may_repeat(begun.elapsed().1);
        match self.0.send_while(operation, may_repeat, guarded).await {
            // With a status, the service has judged the request without its body.
            Err(error) if withheld.happened() && error.status().is_none() => {
                Err(Withheld::error(operation))
            }
            sent => sent,
        }
    }

    pub(crate) async fn run(&self, order: &Order) -> Result<Response> {
        order.once(self.run_to_end(order)).await
    }

    async fn run_to_end(&self, order: &Order) -> Result<Response> {
        if order.intent().has_webhook() {
            let problem = Problem::new(
                "webhook",
                "a synchronous run notifies no webhook; submit it to the queue, or leave the webhook out",
            );
            return Err(Error::invalid(vec![problem]));
        }
        let request = || self.0.requests().run(order);
        self.0
            .accepted(self.send_guarded(Operation::Run, order, request).await?)
    }

    /// The status of a job, with or without its log lines.
    pub(crate) async fn status(&self, ticket: &Ticket, logs: bool) -> Result<Status> {
        let attach = |error: Error| error.with_ticket(ticket);
        let mut asked = Asked::default();
        loop {
            let request = || self.0.requests().status(ticket, logs);
            let response = self.0.send(Operation::Status, request).await;
            let response = response.map_err(attach)?;
            if response.is_success() {
                return read_status(response, ticket).map_err(attach);
            }
            self.ask_again(&mut asked, attach(self.0.refused(response)), ticket)
                .await?;
        }
    }

    /// Waits before the same is asked again, or returns the error if it is to be believed.
    async fn ask_again(&self, asked: &mut Asked, error: Error, ticket: &Ticket) -> Result<()> {
        let pause = asked.again(&error, ticket).ok_or(error)?;
        self.0.pause(pause).await;
        Ok(())
    }

    /// The result of a job that has ended.
    ///
    /// Only the service's own words end a job, and only when they are said twice with a pause
    /// between: a page of a gateway, or a fault in front of the stored result, passes.
    pub(crate) async fn result(&self, ticket: &Ticket) -> Result<Response> {
        let attach = |error: Error| error.with_ticket(ticket);
        let mut asked = Asked::default();
        let mut said: Option<ErrorKind> = None;
        let mut statements = 0;
        loop {
            let request = || self.0.requests().result(ticket);
            let response = self.0.send(Operation::Result, request).await;
            let response = response.map_err(attach)?;
            if response.is_success() {
                return Ok(response);
            }
            // "Not finished yet" is a 400, and so may be the job's own response: the status tells.
            if response.status == 400 && !Box::pin(self.is_completed(ticket)).await? {
                let message = "the job has not finished yet";
                let error = Error::new(Operation::Result, ErrorKind::NotReady, message);
                return Err(attach(
                    error.with_response(response.status, response.request_id()),
                ));
            }
            let is_fault = response.status >= 500 && !response.is_start_deadline();
            let error = attach(self.0.refused(response));
            let kind = error.kind();
            match kind {
                ErrorKind::Input | ErrorKind::Failed | ErrorKind::Cancelled => {
                    if said == Some(kind) {
                        return Err(error);
                    }
                    statements += 1;
                    if statements == STATEMENTS {
                        let why = "after other answers that contradict each other";
                        return Err(error.into_server_fault(why));
                    }
                    said = Some(kind);
                    self.0.pause(CONFIRMATION).await;
                    if is_fault && error.problems().is_empty() {
                        // The status is the second statement where the first may be a fault in
                        // front of the result. Where it cannot be read, only a result that stays
                        // the same is one.
                        let is_denied = match self.names_failure(ticket).await? {
                            Some(true) => return Err(error),
                            said => said.is_some(),
                        };
                        let response = Box::pin(self.insist(ticket)).await.map_err(attach)?;
                        if response.is_success() {
                            return Ok(response);
                        }
                        let error = attach(self.0.refused(response));
                        return Err(match is_denied {
                            true => error.into_server_fault("while the status names no failure"),
                            false => error,
                        });
                    }
                }
                _ => self.ask_again(&mut asked, error, ticket).await?,
            }
        }
    }

    /// Whether a job has ended. A status that cannot be read does not say that it has.
    async fn is_completed(&self, ticket: &Ticket) -> Result<bool> {
        match self.status(ticket, false).await {
            Ok(status) => Ok(status.is_completed()),
            Err(error) if error.kind() == ErrorKind::Malformed => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the status of a job names a failure; `None` when the status cannot be read.
    async fn names_failure(&self, ticket: &Ticket) -> Result<Option<bool>> {
        match Box::pin(self.status(ticket, false)).await {
            Ok(status) => Ok(Some(matches!(
                status.state,
                State::Completed(completion) if completion.failure().is_some()
            ))),
            Err(error) if error.kind() == ErrorKind::Malformed => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks for the result of a job that may not have failed until the service gives the result,
    /// as often as the retry policy allows.
    async fn insist(&self, ticket: &Ticket) -> Result<Response> {
        let attempt = || async {
            let request = self.0.requests().result(ticket).map(Into::into);
            match self.0.attempt(Operation::Result, request).await {
                Ok(response) => Attempt::transient(response),
                Err(failure) => failure.into(),
            }
        };
        Ok(self.0.repeat(Operation::Result, attempt).await?.value)
    }

    pub(crate) async fn cancel(&self, ticket: &Ticket) -> Result<Cancellation> {
        let attach = |error: Error| error.with_ticket(ticket);
        let mut asked = Asked::default();
        loop {
            let request = || self.0.requests().cancel(ticket);
            let response = self.0.send(Operation::Cancel, request).await;
            let response = response.map_err(attach)?;
            if let Some(cancellation) = read_cancelled(&response) {
                return Ok(cancellation);
            }
            // "Too late" is a 400; where its words cannot be read, the status tells. So it does where
            // a 2xx says that nothing was cancelled.
            let may_be_late = response.status == 400 || response.is_success();
            if may_be_late && self.is_completed(ticket).await? {
                return Ok(Cancellation::AlreadyCompleted);
            }
            self.ask_again(&mut asked, attach(self.0.refused(response)), ticket)
                .await?;
        }
    }
}

/// How often the same was asked because the response was not to be believed at once.
#[derive(Default)]
struct Asked(u32);

impl Asked {
    /// The pause before the next question; `None` when the error is to be believed.
    ///
    /// A request id that is not known is asked for once more, and several times right after the
    /// submit, since a queue may be eventually consistent. A page of a gateway says nothing.
    fn again(&mut self, error: &Error, ticket: &Ticket) -> Option<Duration> {
        let is_page = error.kind() == ErrorKind::Server
            && matches!(error.status(), Some(300..=407 | 409..=428 | 430..=499));
        let most = match error.kind() {
            ErrorKind::Gone if is_settling(ticket) => PATIENCE,
            ErrorKind::Gone => 1,
            _ if is_page => PATIENCE,
            _ => 0,
        };
        let pause = CONFIRMATION * 2_u32.saturating_pow(self.0);
        self.0 += 1;
        (self.0 <= most).then_some(pause)
    }
}

fn is_settling(ticket: &Ticket) -> bool {
    let submitted = ticket.submitted_at();
    submitted.is_some_and(|at| SystemTime::now().duration_since(at).unwrap_or_default() < SETTLING)
}

fn read_status(response: Response, ticket: &Ticket) -> Result<Status> {
    Status::read(&response.body, ticket.request_id()).map_err(|why| {
        let message = format!("the status could not be understood: {why}");
        Error::new(response.operation, ErrorKind::Malformed, message)
            .with_response(response.status, response.request_id())
            .with_raw_body(response.body)
    })
}

/// The ticket in the response to a submit.
fn read_submitted(intent: &Intent, response: &Response) -> Result<Ticket> {
    let unknown = |why: String| {
        // Bought, and without an id that could collect the job.
        let message = format!("the submit was accepted, but its response is of no use: {why}");
        Error::new(Operation::Submit, ErrorKind::OutcomeUnknown, message)
            .with_response(response.status, response.request_id())
            .with_delivery(Delivery::Unknown)
            .with_raw_body(response.body.clone())
    };
    let body: Submitted = response.read();
    let id = body.request_id.as_deref().or_else(|| response.request_id());
    let id = id.ok_or_else(|| unknown("it has no request_id".to_owned()))?;
    let ticket = intent
        .ticket(id)
        .map_err(|error| unknown(error.to_string()))?;
    Ok(ticket.with_urls(body.status_url, body.response_url, body.cancel_url))
}

/// What the response to a cancel says; `None` when it is an error.
fn read_cancelled(response: &Response) -> Option<Cancellation> {
    let Cancelled { status, success } = response.read();
    match (response.status, status.as_deref()) {
        (_, Some("ALREADY_COMPLETED")) => Some(Cancellation::AlreadyCompleted),
        (200, Some("OK")) => Some(Cancellation::Removed),
        (200..=299, _) => success.unwrap_or(true).then_some(Cancellation::Requested),
        _ => None,
    }
}

/// What is read of the response to a submit.
#[derive(Default)]
struct Submitted {
    request_id: Option<String>,
    status_url: Option<String>,
    response_url: Option<String>,
    cancel_url: Option<String>,
}

impl Lenient for Submitted {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: &mut A) -> Result<(), A::Error> {
        let field = match name {
            "request_id" => &mut self.request_id,
            "status_url" => &mut self.status_url,
            "response_url" => &mut self.response_url,
            "cancel_url" => &mut self.cancel_url,
            _ => return value.next_value::<IgnoredAny>().map(drop),
        };
        *field = text(value)?;
        Ok(())
    }
}

/// What is read of the response to a cancel.
#[derive(Default)]
struct Cancelled {
    status: Option<String>,
    success: Option<bool>,
}

impl Lenient for Cancelled {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: &mut A) -> Result<(), A::Error> {
        match name {
            "status" => self.status = text(value)?,
            "success" => self.success = value.next_value::<Value>()?.as_bool(),
            _ => drop(value.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}
