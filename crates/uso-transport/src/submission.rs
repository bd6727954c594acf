//! Submission: a submit that is under way in a task of its own.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;
use tracing::{Instrument as _, field, info_span};

use crate::error::{Error, Result};
use crate::exchange::Exchange;
use crate::intent::Intent;
use crate::kind::{Delivery, ErrorKind, Operation};
use crate::order::Order;
use crate::queue::Queue;
use crate::ticket::Ticket;

/// A submit that is under way in a task of its own; [`Transport::start_submit`] makes it.
///
/// Its output is the ticket. Dropping it does not stop the purchase.
///
/// [`Transport::start_submit`]: crate::Transport::start_submit
#[derive(Debug)]
#[must_use = "the ticket of the purchase is lost with it"]
pub struct Submission {
    intent: Intent,
    task: JoinHandle<Result<Ticket>>,
}

impl Submission {
    pub(crate) fn start(exchange: &Exchange, order: &Order) -> Self {
        let intent = order.intent().clone();
        let span = info_span!("uso.job", request_id = field::Empty, seed = intent.seed());
        let (exchange, order) = (exchange.clone(), order.clone());
        let submit = async move { Queue(&exchange).submit(&order).await };
        Self {
            intent,
            task: tokio::spawn(submit.instrument(span)),
        }
    }
}

impl Future for Submission {
    type Output = Result<Ticket>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(context).map(|joined| {
            joined.unwrap_or_else(|error| {
                let message = "the Tokio runtime ended while the submit was under way";
                Err(
                    Error::new(Operation::Submit, ErrorKind::OutcomeUnknown, message)
                        .with_delivery(Delivery::Unknown)
                        .with_source(error)
                        .with_intent(&self.intent),
                )
            })
        })
    }
}
