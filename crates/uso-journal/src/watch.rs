//! Watching a purchase that another caller may work on.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::time::sleep;
use uso::{Client, Event};

use crate::error::Error;
use crate::journal::Journal;
use crate::purchase::{LocalId, Purchase};
use crate::state::State;

/// Pause between two looks at the row.
const GLANCE: Duration = Duration::from_millis(100);

/// Events that wait for a slow reader.
const EVENTS: usize = 64;

/// A change of a purchase.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// The row as it is now: the first event, and one more for each change of its state.
    Row(Box<Purchase>),
    /// The service told of the job: its place in the queue, a line of its log, its end.
    Job(Event),
}

/// The events of one purchase, as a `Stream`. Dropping it stops the watching and nothing else.
#[derive(Debug)]
pub struct Watch(mpsc::Receiver<Result<WatchEvent, Error>>);

impl Watch {
    /// The next event; `None` once the purchase is closed, or no caller works on it and its job has
    /// ended or is not known.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Result<WatchEvent, Error>> {
        self.0.recv().await
    }
}

impl Stream for Watch {
    type Item = Result<WatchEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

impl Journal {
    /// Follows a purchase without working on it: nothing is bought, saved or recorded, and any
    /// number of callers may watch. While the job runs, the service is asked for its progress.
    ///
    /// An error of the service is the last event; the purchase is not affected.
    pub fn watch(&self, client: &Client, id: LocalId) -> Watch {
        let (tell, events) = mpsc::channel(EVENTS);
        let watching = Watching {
            journal: self.clone(),
            client: client.clone(),
            id,
            tell,
        };
        tokio::spawn(async move {
            let gone = watching.tell.clone();
            let ended = tokio::select! {
                ended = watching.run() => ended,
                () = gone.closed() => Ok(()),
            };
            if let Err(error) = ended {
                let _ = gone.send(Err(error)).await;
            }
        });
        Watch(events)
    }
}

struct Watching {
    journal: Journal,
    client: Client,
    id: LocalId,
    tell: mpsc::Sender<Result<WatchEvent, Error>>,
}

impl Watching {
    async fn run(&self) -> Result<(), Error> {
        let mut seen = None;
        let mut followed: Option<String> = None;
        loop {
            let purchase = self.look().await?;
            let now = (purchase.state, purchase.attempt);
            let ticket = purchase.ticket.clone();
            let ends = purchase.state.is_closed() || !purchase.in_work;
            if seen != Some(now) {
                seen = Some(now);
                self.send(WatchEvent::Row(Box::new(purchase))).await;
            }
            let ticket = ticket.filter(|_| now.0 == State::Submitted);
            match ticket.filter(|ticket| followed.as_deref() != Some(ticket.request_id())) {
                Some(ticket) => {
                    followed = Some(ticket.request_id().to_owned());
                    let mut events = self.client.job(ticket).events();
                    while let Some(event) = events.next().await {
                        let event = event.map_err(|error| Error::Lookup {
                            id: self.id,
                            source: Box::new(error),
                        })?;
                        self.send(WatchEvent::Job(event)).await;
                    }
                }
                None if ends => return Ok(()),
                None => sleep(GLANCE).await,
            }
        }
    }

    /// The row, released when its worker is gone.
    async fn look(&self) -> Result<Purchase, Error> {
        let shared = &self.journal.shared;
        let realm = shared.realm(&self.client).await?;
        let row = self.journal.own(realm, self.id).await?;
        match &row.worker {
            Some(worker) if shared.store.release(worker.clone()).await? => {
                Ok(self.journal.own(realm, self.id).await?.purchase)
            }
            _ => Ok(row.purchase),
        }
    }

    async fn send(&self, event: WatchEvent) {
        // A reader that has gone ends the whole task.
        let _ = self.tell.send(Ok(event)).await;
    }
}
