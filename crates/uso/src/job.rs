//! A bought job: following, collecting and cancelling it.

mod collector;
mod events;

use std::fmt;
use std::marker::PhantomData;

use uso_transport::{Cancellation, Operation, Result, State, Status, Ticket, Transport};

use self::collector::Collector;
use self::events::Following;
pub use self::events::{Event, Events};
use crate::from_result::FromResult;
use crate::output::Output;
use crate::runtime;

/// A job that was bought. Dropping it detaches from it: the job continues on the service, and its
/// ticket collects it.
pub struct Job<T = Output> {
    collector: Collector,
    output: PhantomData<fn() -> T>,
}

impl<T> Clone for Job<T> {
    fn clone(&self) -> Self {
        Self {
            collector: self.collector.clone(),
            output: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ticket = &self.collector.ticket;
        f.debug_struct("Job")
            .field("request_id", &ticket.request_id())
            .field("seed", &ticket.seed())
            .finish_non_exhaustive()
    }
}

impl<T: FromResult> Job<T> {
    pub(crate) fn new(transport: Transport, ticket: Ticket) -> Self {
        Self {
            collector: Collector { transport, ticket },
            output: PhantomData,
        }
    }

    /// The ticket, which resumes the job in any process: keep it.
    pub fn ticket(&self) -> &Ticket {
        &self.collector.ticket
    }

    /// The request's id on the service.
    pub fn request_id(&self) -> &str {
        self.ticket().request_id()
    }

    /// Detaches from the job, which continues on the service, and returns its ticket.
    pub fn detach(self) -> Ticket {
        self.collector.ticket
    }

    /// Asks the service once for the status of the job.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) when the service does not know the request (any
    /// more).
    pub async fn status(&self) -> Result<Status> {
        runtime::check(Operation::Status)?;
        self.collector.transport.status(self.ticket()).await
    }

    /// The progress of the job, to its end. [`Job::wait_with`] runs the same loop.
    pub fn events(&self) -> Events {
        Events::of(self.collector.clone())
    }

    /// Waits for the job to end and fetches its output.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the job running. Call again, here or in another process with the
    /// ticket; nothing is bought again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) when the endpoint refused the input,
    /// [`ErrorKind::Failed`](crate::ErrorKind::Failed) when the job failed or was cancelled,
    /// [`ErrorKind::Deadline`](crate::ErrorKind::Deadline) when it did not start or finish in time,
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) with the raw body when no picture can
    /// be read from the result. Each carries the ticket.
    pub async fn wait(&self) -> Result<T> {
        Box::pin(self.follow(false, |_| ())).await
    }

    /// As [`Job::wait`], and reports the progress.
    ///
    /// ```no_run
    /// # async fn example(job: uso::Job) -> uso::Result<()> {
    /// let output = job.wait_with(|event| eprintln!("{event:?}")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`Job::wait`].
    ///
    /// # Errors
    ///
    /// As [`Job::wait`].
    pub async fn wait_with(&self, tell: impl FnMut(&Event) + Send) -> Result<T> {
        Box::pin(self.follow(true, tell)).await
    }

    /// Its callers box it: a future of some kilobytes is copied with every future around it.
    async fn follow(&self, with_logs: bool, mut tell: impl FnMut(&Event) + Send) -> Result<T> {
        let mut following = Following::of(self.collector.clone(), with_logs);
        while let Some(event) = following.next().await {
            tell(&event?);
        }
        following.into_output().await
    }

    /// Collects the output of a job without waiting for its end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotReady`](crate::ErrorKind::NotReady) when the job has not ended, and those of
    /// [`Job::wait`].
    pub async fn collect(&self) -> Result<T> {
        match self.status().await.map(|status| status.state) {
            Ok(State::Completed(completion)) => {
                self.collector.agree(&completion, self.output().await)
            }
            // The result decides, also where the status cannot be read.
            _ => self.output().await,
        }
    }

    /// Fetches the output of a job that has ended. It can be fetched again for as long as the
    /// service keeps it: an hour, or six minutes when the result is 10 KB or larger, unless the
    /// account stores payloads.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing: fetching does not use the result up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotReady`](crate::ErrorKind::NotReady) when the job has not ended, and those of
    /// [`Job::wait`].
    pub async fn output(&self) -> Result<T> {
        self.collector.output().await
    }

    /// Asks the service to cancel the job. A queued job is removed and not billed. A running job is
    /// told; it may still complete, and is then billed.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the service may or may not have got the request; asking again is
    /// safe.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) when the service does not know the request (any
    /// more).
    pub async fn cancel(&self) -> Result<Cancellation> {
        runtime::check(Operation::Cancel)?;
        self.collector.transport.cancel(self.ticket()).await
    }
}
