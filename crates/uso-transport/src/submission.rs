//! Submission: a submit, which continues in a task of its own when its caller drops it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::{Instrument as _, field, info_span};

use crate::error::{Error, Result};
use crate::exchange::Exchange;
use crate::kind::{Delivery, ErrorKind, Operation};
use crate::order::Order;
use crate::queue::Queue;
use crate::ticket::Ticket;

/// A submit; [`Transport::submit`](crate::Transport::submit) makes it. Its output is the ticket.
///
/// Nothing is sent before the first poll. Dropped later, the submit continues in a task of its own,
/// so that the service sees no broken connection. [`Submission::detach`] keeps hold of that task.
#[must_use = "nothing is sent before the first poll"]
pub struct Submission {
    order: Order,
    work: Work,
}

enum Work {
    New(Sending),
    /// Polled by the caller, in this runtime.
    Held(Sending, Option<Handle>),
    Task(JoinHandle<Result<Ticket>>),
    Done,
}

type Sending = Pin<Box<dyn Future<Output = Result<Ticket>> + Send>>;

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Submission").field(&self.order).finish()
    }
}

impl Submission {
    pub(crate) fn new(exchange: Exchange, order: Order) -> Self {
        let seed = order.intent().seed();
        let span = info_span!("uso.job", request_id = field::Empty, seed);
        let sent = order.clone();
        let submit = async move { Queue(&exchange).submit(&sent).await };
        Self {
            order,
            work: Work::New(Box::pin(submit.instrument(span))),
        }
    }

    /// Lets the submit continue in a task of its own; tells whether there is something to wait for.
    pub fn detach(&mut self) -> bool {
        match std::mem::replace(&mut self.work, Work::Done) {
            Work::New(_) | Work::Done => return false,
            Work::Task(task) => self.work = Work::Task(task),
            Work::Held(sending, runtime) => {
                // Without a runtime nothing can read the response.
                let Some(runtime) = runtime else { return false };
                self.work = Work::Task(runtime.spawn(sending));
            }
        }
        true
    }

    fn ended(&self) -> Error {
        let message = "the Tokio runtime ended while the submit was under way";
        Error::new(Operation::Submit, ErrorKind::OutcomeUnknown, message)
            .with_delivery(Delivery::Unknown)
            .with_intent(self.order.intent())
    }
}

impl Future for Submission {
    type Output = Result<Ticket>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match std::mem::replace(&mut self.work, Work::Done) {
            Work::New(sending) => {
                self.work = Work::Held(sending, Handle::try_current().ok());
                self.poll(context)
            }
            Work::Held(mut sending, runtime) => {
                let polled = sending.as_mut().poll(context);
                if polled.is_pending() {
                    self.work = Work::Held(sending, runtime);
                }
                polled
            }
            Work::Task(mut task) => match Pin::new(&mut task).poll(context) {
                Poll::Ready(joined) => {
                    Poll::Ready(joined.unwrap_or_else(|error| Err(self.ended().with_source(error))))
                }
                Poll::Pending => {
                    self.work = Work::Task(task);
                    Poll::Pending
                }
            },
            Work::Done => Poll::Ready(Err(self.ended())),
        }
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        self.detach();
    }
}
