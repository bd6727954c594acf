//! Batches: many purchases, some at a time, with one budget.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uso::{Client, ErrorKind, MicroDollars, Request};

use crate::buy::Buy;
use crate::error::{BudgetStop, Error};
use crate::money::UnitPrice;
use crate::pace::Pace;
use crate::progress::Progress;
use crate::purchase::Purchase;
use crate::shared::Shared;
use crate::state::State;
use crate::target::Target;

/// Events that wait for a slow reader; the work waits with them.
const EVENTS: usize = 1024;

/// Pauses while the account is locked or the service takes nothing.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Many purchases that are about to be made. See [`Journal::run`](crate::Journal::run).
#[must_use = "nothing is bought until it is started"]
pub struct Batch {
    shared: Shared,
    client: Client,
    rows: Box<dyn Iterator<Item = (String, Request)> + Send>,
    name: Option<String>,
    cap: Option<MicroDollars>,
    price: Option<UnitPrice>,
    target: Option<Target>,
    concurrency: Option<usize>,
    stop: Stop,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("name", &self.name)
            .field("cap", &self.cap)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

/// Stops a batch: no further purchase begins, and those in flight go on to their end.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// A token that is not pulled yet. Clones are the same token.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Stops every batch that has this token.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    async fn stopped(&self) {
        // The sender is this token itself, so that the channel is open.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }
}

/// What happens in a batch.
#[derive(Debug)]
#[non_exhaustive]
pub enum BatchEvent {
    /// A purchase begins, or is gone on with.
    Started {
        /// Its key.
        key: String,
    },
    /// A step of a purchase.
    Progress {
        /// Its key.
        key: String,
        /// The step.
        progress: Progress,
    },
    /// A purchase has an outcome.
    Ended {
        /// Its key.
        key: String,
        /// The outcome; [`Error::NotBought`] and [`Error::NotCollected`] are left for the next run.
        outcome: Box<Result<Purchase, Error>>,
    },
    /// No purchase begins for now: the account is locked, or the service takes no requests.
    Paused {
        /// The kind of error that the service answered with.
        kind: ErrorKind,
        /// Why, without a full stop.
        message: String,
        /// When it is tried again.
        again_in: Duration,
    },
    /// Purchases begin again.
    Continued,
    /// No further purchase begins.
    Stopped(Stopped),
}

/// Why a batch stops before its last row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopped {
    /// Its [`Stop`] was pulled.
    Asked,
    /// A cap leaves no room. This is no failure.
    Budget(BudgetStop),
    /// The key is not accepted.
    Key(String),
}

/// Counts of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Purchases whose pictures are on disk, also those of earlier runs.
    pub done: u64,
    /// Purchases that failed or were cancelled.
    pub failed: u64,
    /// Purchases that may have been bought.
    pub unknown: u64,
    /// Purchases that were bought and not collected, or not bought: the next run goes on with them.
    pub unfinished: u64,
    /// Rows that the service or the journal refused: wrong requests, keys of other requests.
    pub refused: u64,
    /// Why it stopped before its last row.
    pub stopped: Option<Stopped>,
}

impl Batch {
    pub(crate) fn new(
        shared: Shared,
        client: Client,
        rows: Box<dyn Iterator<Item = (String, Request)> + Send>,
    ) -> Self {
        Self {
            shared,
            client,
            rows,
            name: None,
            cap: None,
            price: Some(UnitPrice::published()),
            target: None,
            concurrency: None,
            stop: Stop::new(),
        }
    }

    /// Names the batch, so that its purchases can be listed and its budget holds over all its runs.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Caps what the batch may spend, over all runs of its name. Without a name, over this run.
    pub fn budget(mut self, cap: impl Into<Option<MicroDollars>>) -> Self {
        self.cap = cap.into();
        self
    }

    /// The price of a megapixel, as for [`Buy::price`].
    pub fn price(mut self, price: impl Into<Option<UnitPrice>>) -> Self {
        self.price = price.into();
        self
    }

    /// Saves the pictures in this folder, named by the short id.
    pub fn folder(self, folder: impl Into<std::path::PathBuf>) -> Self {
        self.target(Target::folder(folder))
    }

    /// Saves the pictures there; a template can name the row by `{key}`.
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// How many purchases are in flight at a time. Without it, the number begins at two, grows
    /// while jobs start at once, and shrinks while they wait in the service's queue.
    pub fn concurrency(mut self, purchases: impl Into<Option<usize>>) -> Self {
        self.concurrency = purchases.into();
        self
    }

    /// Stops with this token.
    pub fn stop(mut self, stop: &Stop) -> Self {
        self.stop = stop.clone();
        self
    }

    /// Begins, in a task of its own.
    pub fn start(mut self) -> Run {
        if self.cap.is_some() && self.name.is_none() {
            self.name = Some(format!("run-{:016x}", fastrand::u64(..)));
        }
        let (tell, events) = mpsc::channel(EVENTS);
        tokio::spawn(self.drive(tell));
        Run {
            events,
            summary: Summary::default(),
        }
    }

    async fn drive(mut self, tell: mpsc::Sender<BatchEvent>) {
        let start_within = self.client.config().start_limit();
        let pace = Pace::new(self.concurrency, start_within);
        let mut flying: JoinSet<(String, Request, Result<Purchase, Error>)> = JoinSet::new();
        let mut again: VecDeque<(String, Request)> = VecDeque::new();
        let mut stopped: Option<Stopped> = None;
        let mut paused: Option<(Instant, Duration)> = None;
        loop {
            // A reader that has gone wants no more; what flies goes on in tasks of its own.
            if tell.is_closed() {
                return;
            }
            if stopped.is_none() && self.stop.is_stopped() {
                stopped = Some(Stopped::Asked);
            }
            let is_paused = paused.is_some_and(|(until, _)| Instant::now() < until);
            // After a pause, one purchase tries whether the service takes any.
            let most = if paused.is_some() { 1 } else { pace.limit() };
            if stopped.is_none() && !is_paused && flying.len() < most {
                let next = again.pop_front().or_else(|| self.rows.next());
                if let Some((key, request)) = next {
                    let started = BatchEvent::Started { key: key.clone() };
                    let _ = tell.send(started).await;
                    let buy = self.buy(&key, &request, &tell, &pace);
                    flying.spawn(async move { (key, request, buy.await) });
                    continue;
                }
                if flying.is_empty() {
                    break;
                }
            }
            if stopped.is_some() && flying.is_empty() {
                break;
            }
            let wake = async {
                match paused {
                    Some((until, _)) if is_paused => tokio::time::sleep_until(until).await,
                    _ => pace.changed().await,
                }
            };
            let ended = tokio::select! {
                ended = flying.join_next(), if !flying.is_empty() => ended,
                () = wake => continue,
                () = self.stop.stopped(), if stopped.is_none() => continue,
            };
            let Some(Ok((key, request, outcome))) = ended else {
                continue;
            };
            match &outcome {
                Err(Error::NotBought {
                    source: Some(error),
                    ..
                }) if matches!(error.kind(), ErrorKind::Locked | ErrorKind::Throttled) => {
                    let longer = paused.map_or(FIRST_PAUSE, |(_, last)| last * 2);
                    let again_in = longer.min(LONGEST_PAUSE);
                    let is_first = paused.is_none();
                    paused = Some((Instant::now() + again_in, again_in));
                    again.push_back((key, request));
                    if is_first {
                        let pause = BatchEvent::Paused {
                            kind: error.kind(),
                            message: error.to_string(),
                            again_in,
                        };
                        let _ = tell.send(pause).await;
                    }
                    continue;
                }
                Err(Error::Budget(stop)) => {
                    stopped.get_or_insert(Stopped::Budget(stop.clone()));
                    continue;
                }
                Err(Error::NotBought {
                    source: Some(error),
                    ..
                }) if error.kind() == ErrorKind::Auth => {
                    stopped.get_or_insert(Stopped::Key(error.to_string()));
                }
                Ok(_) if paused.take().is_some() => {
                    let _ = tell.send(BatchEvent::Continued).await;
                }
                _ => {}
            }
            let outcome = Box::new(outcome);
            let _ = tell.send(BatchEvent::Ended { key, outcome }).await;
        }
        if let Some(stopped) = stopped {
            let _ = tell.send(BatchEvent::Stopped(stopped)).await;
        }
    }

    fn buy(
        &self,
        key: &str,
        request: &Request,
        tell: &mpsc::Sender<BatchEvent>,
        pace: &Pace,
    ) -> impl Future<Output = Result<Purchase, Error>> + Send + 'static {
        let mut buy = Buy::new(
            self.shared.clone(),
            self.client.clone(),
            key.to_owned(),
            request.clone(),
        );
        buy.batch.clone_from(&self.name);
        buy.batch_cap = self.cap;
        buy.price = self.price;
        buy.target.clone_from(&self.target);
        let (tell, key) = (tell.clone(), key.to_owned());
        let watched = pace.watch();
        let buy = buy.on_progress(move |progress| {
            watched.tell(progress);
            // A reader that is slow misses steps of the way, and never an outcome.
            let _ = tell.try_send(BatchEvent::Progress {
                key: key.clone(),
                progress: progress.clone(),
            });
        });
        async move { buy.await }
    }
}

/// A batch that runs: a stream of its events. Dropping it stops it as [`Stop`] does: what is in
/// flight goes on to its end, and the next run finds it.
#[derive(Debug)]
pub struct Run {
    events: mpsc::Receiver<BatchEvent>,
    summary: Summary,
}

impl Run {
    /// The next event; `None` once every purchase has an outcome or the batch was stopped.
    pub async fn next(&mut self) -> Option<BatchEvent> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Runs to the end.
    pub async fn finish(mut self) -> Summary {
        while self.next().await.is_some() {}
        self.summary
    }

    /// Counts so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    fn count(&mut self, event: &BatchEvent) {
        let summary = &mut self.summary;
        match event {
            BatchEvent::Ended { outcome, .. } => {
                let place = match outcome.as_ref() {
                    Ok(purchase) => match purchase.state {
                        State::Done => &mut summary.done,
                        State::Failed | State::Cancelled => &mut summary.failed,
                        State::Unknown => &mut summary.unknown,
                        _ => &mut summary.unfinished,
                    },
                    Err(Error::Request(_) | Error::Conflict { .. }) => &mut summary.refused,
                    Err(Error::NotBought {
                        source: Some(error),
                        ..
                    }) if error.kind() == ErrorKind::Input => &mut summary.refused,
                    Err(_) => &mut summary.unfinished,
                };
                *place += 1;
            }
            BatchEvent::Stopped(why) => summary.stopped = Some(why.clone()),
            _ => {}
        }
    }
}

impl Stream for Run {
    type Item = BatchEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = self.events.poll_recv(context);
        if let Poll::Ready(Some(event)) = &event {
            self.count(event);
        }
        event
    }
}
