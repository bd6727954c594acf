//! The progress of a job: the one loop below `Job::events` and `Job::wait`.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::Serialize;
use uso_transport::{
    Completion, LogLine, Operation, Response, Result, State, Status, Update, Watch,
};

use super::collector::Collector;
use crate::from_result::FromResult;
use crate::runtime;

/// A change in the progress of a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The job waits; also after its runner failed and the service put it back into the queue.
    Queued {
        /// Requests ahead of it, where the service says so.
        position: Option<u64>,
    },
    /// A runner works on the job.
    Running,
    /// The job wrote a line to its log.
    Log(LogLine),
    /// The connection was lost and is made again; the job is not affected.
    Interrupted(String),
    /// The job has ended: it failed when the completion names an error, and otherwise
    /// [`Job::output`](crate::Job::output) says. This is the last event.
    Completed(Completion),
}

/// The loop that follows a job. The watch tells an end only when the result confirms it, and has
/// then fetched the result.
pub(super) struct Following {
    collector: Collector,
    watch: Watch,
    ready: VecDeque<Event>,
    last: Option<State>,
    /// What the service said about the end, and the result that confirms it.
    end: Option<(Completion, Result<Response>)>,
}

impl Following {
    /// The loop, which asks for the log lines of the job where a caller listens.
    pub(super) fn of(collector: Collector, with_logs: bool) -> Self {
        let watch = collector.transport.watch(&collector.ticket);
        Self {
            watch: match with_logs {
                true => watch,
                false => watch.without_logs(),
            },
            collector,
            ready: VecDeque::new(),
            last: None,
            end: None,
        }
    }

    pub(super) async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.last.is_none()
                && let Err(error) = runtime::check(Operation::Status)
            {
                return Some(Err(error));
            }
            match self.watch.next().await? {
                Ok(Update::Status(status)) => self.take(status),
                Ok(Update::Interrupted(why)) => return Some(Ok(Event::Interrupted(why))),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn take(&mut self, status: Status) {
        self.ready.extend(status.logs.into_iter().map(Event::Log));
        if self.last.as_ref() == Some(&status.state) {
            return;
        }
        self.last = Some(status.state.clone());
        match status.state {
            State::Queued { position } => self.ready.push_back(Event::Queued { position }),
            State::Completed(completion) => {
                let fetched = self.watch.take_result();
                self.end = fetched.map(|fetched| (completion.clone(), fetched));
                self.ready.push_back(Event::Completed(completion));
            }
            // Lines that come with the start of a run belong behind it.
            _ => self.ready.push_front(Event::Running),
        }
    }

    /// The output, when the last event has been given.
    pub(super) async fn into_output<T: FromResult>(self) -> Result<T> {
        match self.end {
            Some((completion, fetched)) => {
                let read = fetched.and_then(|response| self.collector.read(response));
                self.collector.agree(&completion, read)
            }
            None => Box::pin(self.collector.output()).await,
        }
    }
}

/// The events of a job, as a `Stream`; [`Events::next`] needs no other crate.
///
/// # Cancel safety
///
/// Dropping the future of [`Events::next`] loses no event, so that it can stand in a `select!`.
/// Dropping the events leaves the job running.
#[must_use = "the job is followed only while events are asked for"]
pub struct Events {
    state: Step,
}

/// Between two events the loop is at rest; while one is awaited, a future owns the loop.
enum Step {
    Rest(Box<Following>),
    Busy(Pin<Box<dyn Future<Output = Followed> + Send>>),
    Over,
}

type Followed = (Box<Following>, Option<Result<Event>>);

impl Events {
    pub(super) fn of(collector: Collector) -> Self {
        Self {
            state: Step::Rest(Box::new(Following::of(collector, true))),
        }
    }

    /// The next event; `None` after the last event or after an error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event: the next call goes on where this one was.
    ///
    /// # Errors
    ///
    /// Those of [`Job::wait`](crate::Job::wait) that come before the end of the job.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for Events {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match std::mem::replace(&mut self.state, Step::Over) {
                Step::Over => return Poll::Ready(None),
                Step::Rest(mut following) => {
                    self.state = Step::Busy(Box::pin(async move {
                        let event = following.next().await;
                        (following, event)
                    }));
                }
                Step::Busy(mut future) => match future.as_mut().poll(context) {
                    Poll::Pending => {
                        self.state = Step::Busy(future);
                        return Poll::Pending;
                    }
                    Poll::Ready((following, event)) => {
                        if matches!(event, Some(Ok(_))) {
                            self.state = Step::Rest(following);
                        }
                        return Poll::Ready(event);
                    }
                },
            }
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
