//! Batches: many purchases, some at a time, with one budget.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::mpsc;
use uso::{Client, MicroDollars};

use crate::batch_event::{BatchEvent, Summary};
use crate::driver::{Driver, Terms};
use crate::money::UnitPrice;
use crate::pace::Pace;
use crate::shared::Shared;
use crate::source::Source;
use crate::stop::Stop;
use crate::submits::Submits;
use crate::target::Target;

/// Events that wait for a slow reader; the work waits with them.
const EVENTS: usize = 1024;

/// Many purchases that are about to be made. See [`Journal::run`](crate::Journal::run).
#[must_use = "nothing is bought until it is started"]
pub struct Batch {
    terms: Terms,
    source: Source,
    concurrency: Option<usize>,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("name", &self.terms.name)
            .field("cap", &self.terms.cap)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

impl Batch {
    pub(crate) fn new(shared: Shared, client: Client, source: Source) -> Self {
        Self {
            terms: Terms {
                shared,
                client,
                name: None,
                cap: None,
                price: Some(UnitPrice::published()),
                target: None,
                stop: Stop::new(),
                longest_lock: None,
                by_notification: false,
            },
            source,
            concurrency: None,
        }
    }

    /// Names the batch, so that its purchases can be listed and its budget holds over all its runs.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.terms.name = Some(name.into());
        self
    }

    /// Caps what the batch may spend, over all runs of its name. Without a name, over this run.
    pub fn budget(mut self, cap: impl Into<Option<MicroDollars>>) -> Self {
        self.terms.cap = cap.into();
        self
    }

    /// The price of a megapixel, as for [`Buy::price`](crate::Buy::price).
    pub fn price(mut self, price: impl Into<Option<UnitPrice>>) -> Self {
        self.terms.price = price.into();
        self
    }

    /// Saves the pictures in this folder, named by the short id.
    pub fn folder(self, folder: impl Into<std::path::PathBuf>) -> Self {
        self.target(Target::folder(folder))
    }

    /// Saves the pictures of rows without a target of their own there; a template can name the row
    /// by `{key}`.
    pub fn target(mut self, target: Target) -> Self {
        self.terms.target = Some(target);
        self
    }

    /// Sets the number of purchases in flight at a time. By default it begins at two, grows while
    /// jobs start at once, and shrinks while they wait in the service's queue.
    pub fn concurrency(mut self, purchases: impl Into<Option<usize>>) -> Self {
        self.concurrency = purchases.into();
        self
    }

    /// Learns the ends of jobs from notifications, and not from a connection for each job: the
    /// receiver of the notifications gives them to [`Journal::deliver`](crate::Journal::deliver) of
    /// the same open journal. Jobs whose request has no webhook are watched. A notification may be
    /// lost, so that the service is still asked for the status of a job once a minute. Events of a
    /// job tell its end alone.
    pub fn await_notifications(mut self) -> Self {
        self.terms.by_notification = true;
        self
    }

    /// Stops the batch when the account stays locked for this long. Without it, the batch waits for
    /// the top-up as long as it takes.
    pub fn wait_while_locked(mut self, longest: impl Into<Option<Duration>>) -> Self {
        self.terms.longest_lock = longest.into();
        self
    }

    /// Stops with this token.
    pub fn stop(mut self, stop: &Stop) -> Self {
        self.terms.stop = stop.clone();
        self
    }

    /// Begins, in a task of its own.
    pub fn start(mut self) -> Run {
        if self.terms.cap.is_some() && self.terms.name.is_none() {
            self.terms.name = Some(format!("run-{:016x}", fastrand::u64(..)));
        }
        let (tell, events) = mpsc::channel(EVENTS);
        let start_within = self.terms.client.config().start_limit();
        let pace = Pace::new(self.concurrency, start_within);
        let submits = Submits::default();
        let driver = Driver::new(self.terms, self.source, pace, submits.clone(), tell);
        tokio::spawn(driver.drive());
        Run {
            events,
            summary: Summary::default(),
            submits,
        }
    }
}

/// A batch that runs: a stream of its events. Dropping it stops it as [`Stop`] does: what is in
/// flight goes on to its end, and the next run finds it.
#[derive(Debug)]
pub struct Run {
    events: mpsc::Receiver<BatchEvent>,
    summary: Summary,
    submits: Submits,
}

impl Run {
    /// The next event; `None` once every purchase has an outcome or the batch was stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<BatchEvent> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Runs to the end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the batch, as dropping the [`Run`] does.
    pub async fn finish(mut self) -> Summary {
        while self.next().await.is_some() {}
        self.summary
    }

    /// Counts so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Submits that are about to leave or have left, without a recorded outcome. A process that ends
    /// while there are none leaves no purchase [`State::Unknown`](crate::State::Unknown).
    pub fn sending(&self) -> usize {
        self.submits.sending()
    }
}

impl Stream for Run {
    type Item = BatchEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = self.events.poll_recv(context);
        if let Poll::Ready(Some(event)) = &event {
            self.summary.count(event);
        }
        event
    }
}
