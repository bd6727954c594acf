//! A bought job: following it, collecting it, cancelling it.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use uso_transport::{
    Cancellation, Completion, Error, ErrorKind, LogLine, Operation, Result, State, Status, Ticket,
    Transport, Update, Watch,
};

use crate::output::Output;

/// A job that was bought. Dropping it detaches from it: the job goes on, and its ticket finds it.
#[derive(Clone, Debug)]
pub struct Job {
    transport: Transport,
    ticket: Ticket,
}

/// What becomes known of a job on its way.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// It waits; also after its runner failed and the service put it back into the queue.
    Queued {
        /// Requests ahead of it, where the service says so.
        position: Option<u64>,
    },
    /// A runner has it.
    Running,
    /// It wrote a line.
    Log(LogLine),
    /// The connection was lost and is being made anew; the job is not affected.
    Interrupted(String),
    /// It has ended; badly when the completion names an error, and otherwise as [`Job::output`]
    /// says. This is the last event.
    Completed(Completion),
}

impl Job {
    pub(crate) fn new(transport: Transport, ticket: Ticket) -> Self {
        Self { transport, ticket }
    }

    /// What resumes the job anywhere: keep it.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Leaves the job alone and keeps its ticket.
    pub fn detach(self) -> Ticket {
        self.ticket
    }

    /// Asks once where the job stands.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] when the service does not know the request (any more).
    pub async fn status(&self) -> Result<Status> {
        self.transport.status(&self.ticket).await
    }

    /// The job's progress, to its end. Dropping the events leaves the job alone.
    pub fn events(&self) -> Events {
        Events {
            state: Step::Ready(Box::new(self.follow())),
        }
    }

    /// Waits for the job to end and fetches its output.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when the endpoint refused the input, [`ErrorKind::Failed`] when the
    /// job failed or was cancelled, [`ErrorKind::Deadline`] when it did not start or finish in
    /// time, [`ErrorKind::Malformed`] with the raw body when the answer is of no use. Each carries
    /// the ticket.
    pub async fn wait(&self) -> Result<Output> {
        self.wait_with(|_| ()).await
    }

    /// As [`Job::wait`], telling the progress on the way.
    ///
    /// ```no_run
    /// # async fn example(job: uso::Job) -> uso::Result<()> {
    /// let output = job.wait_with(|event| eprintln!("{event:?}")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Job::wait`].
    pub async fn wait_with(&self, mut tell: impl FnMut(&Event) + Send) -> Result<Output> {
        let mut following = self.follow();
        let mut completion = Completion::default();
        while let Some(event) = following.next().await {
            let event = event?;
            tell(&event);
            let Event::Completed(told) = event else {
                continue;
            };
            completion = told;
            match following.watch.within_deadline(self.output()).await {
                // The end was told too early. The job is still on its way.
                Err(error) if error.kind() == ErrorKind::NotReady => following.watch.look_again(),
                outcome => return self.agree(&completion, outcome),
            }
        }
        self.agree(&completion, self.output().await)
    }

    fn follow(&self) -> Following {
        Following {
            watch: self.transport.watch(&self.ticket),
            ready: VecDeque::new(),
            last: None,
        }
    }

    /// A status that names an error makes the job a failure, whatever the result is.
    fn agree(&self, completion: &Completion, outcome: Result<Output>) -> Result<Output> {
        let Some(said) = completion.failure() else {
            return outcome;
        };
        match outcome {
            Err(error) if !matches!(error.kind(), ErrorKind::Gone | ErrorKind::Server) => {
                Err(error)
            }
            outcome => {
                let message = format!("the job failed: {said}");
                let mut error = Error::new(Operation::Result, ErrorKind::Failed, message)
                    .with_delivery(uso_transport::Delivery::Answered)
                    .with_ticket(&self.ticket);
                match outcome {
                    Ok(output) => error = error.with_raw_body(output.into_raw_body()),
                    Err(cause) => error = error.with_source(cause),
                }
                Err(error)
            }
        }
    }

    /// What became of the job, without waiting for it: its status first, then its output.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotReady`] when the job has not ended, and those of [`Job::wait`].
    pub async fn collect(&self) -> Result<Output> {
        match self.status().await.map(|status| status.state) {
            Ok(State::Completed(completion)) => self.agree(&completion, self.output().await),
            // The result has the last word: also where the status cannot be had.
            _ => self.output().await,
        }
    }

    /// Fetches the output of a job that has ended. It can be fetched again, as long as the service
    /// keeps it: an hour, or six minutes when it is 10 KB or larger, unless the account stores
    /// payloads.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotReady`] when the job has not ended, and those of [`Job::wait`].
    pub async fn output(&self) -> Result<Output> {
        let answer = self.transport.result(&self.ticket).await?;
        Output::read(&self.transport, Some(&self.ticket), &answer)
    }

    /// Asks the service to cancel the job. One that is queued is removed and not billed; one that
    /// runs is told, may complete all the same, and is then billed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] when the service does not know the request (any more).
    pub async fn cancel(&self) -> Result<Cancellation> {
        self.transport.cancel(&self.ticket).await
    }
}

/// The events of a job, as a `Stream`; [`Events::next`] needs no other crate.
#[must_use = "nothing is followed until the events are asked for"]
pub struct Events {
    state: Step,
}

/// Between two events the following is ready; while one is awaited, a future owns it.
enum Step {
    Ready(Box<Following>),
    Busy(Pin<Box<dyn Future<Output = Followed> + Send>>),
    Over,
}

type Followed = (Box<Following>, Option<Result<Event>>);

struct Following {
    watch: Watch,
    ready: VecDeque<Event>,
    last: Option<State>,
}

impl Following {
    async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
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
        let event = match status.state {
            State::Queued { position } => Event::Queued { position },
            State::Completed(completion) => Event::Completed(completion),
            _ => Event::Running,
        };
        // A line that came with the change was written before it, except for the first ones of a
        // run, which belong behind its start.
        match event {
            Event::Running => self.ready.push_front(event),
            _ => self.ready.push_back(event),
        }
    }
}

impl Events {
    /// The next event; `None` after the last one or after an error.
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
                Step::Ready(mut following) => {
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
                            self.state = Step::Ready(following);
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
