//! A purchase that is about to be made.

use std::future::{Future, IntoFuture};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::sleep;
use uso::{Client, MicroDollars, Request};

use crate::active::Turn;
use crate::difference::difference;
use crate::error::Error;
use crate::money::{Quote, UnitPrice};
use crate::progress::{Listener, Progress};
use crate::purchase::{Cause, LocalId, Purchase};
use crate::row::{Row, Target};
use crate::shared::Shared;
use crate::state::State;
use crate::store::{Claim, Claimed};
use crate::work::Work;

/// Pauses between two looks at a purchase that another caller makes.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// A purchase that is about to be made; awaiting it buys, or waits for the caller who does. See
/// [`Journal::purchase`](crate::Journal::purchase).
#[must_use = "nothing is bought until it is awaited"]
pub struct Buy {
    pub(crate) shared: Shared,
    pub(crate) client: Client,
    pub(crate) key: String,
    pub(crate) request: Request,
    pub(crate) target: Option<Target>,
    pub(crate) cap: Option<MicroDollars>,
    pub(crate) batch: Option<String>,
    pub(crate) batch_cap: Option<MicroDollars>,
    pub(crate) price: Option<UnitPrice>,
    pub(crate) detach: bool,
    pub(crate) listener: Listener,
}

impl std::fmt::Debug for Buy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buy")
            .field("request", &self.request)
            .field("target", &self.target)
            .field("cap", &self.cap)
            .finish_non_exhaustive()
    }
}

impl Buy {
    pub(crate) fn new(shared: Shared, client: Client, key: String, request: Request) -> Self {
        Self {
            shared,
            client,
            key,
            request,
            target: None,
            cap: None,
            batch: None,
            batch_cap: None,
            price: Some(UnitPrice::published()),
            detach: false,
            listener: Listener::none(),
        }
    }

    /// Saves the pictures in this folder, named by the short id. Default: the folder `pictures`
    /// beside the journal.
    pub fn folder(self, folder: impl Into<PathBuf>) -> Self {
        self.target(Target::folder(folder))
    }

    /// Saves the pictures there.
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// Refuses the purchase when its upper bound is above this amount.
    pub fn max_cost(mut self, cap: impl Into<Option<MicroDollars>>) -> Self {
        self.cap = cap.into();
        self
    }

    /// The price of a megapixel, or that none is known, in place of
    /// [`UnitPrice::published`]. A purchase without a known price is refused under every cap.
    pub fn price(mut self, price: impl Into<Option<UnitPrice>>) -> Self {
        self.price = price.into();
        self
    }

    /// Returns once the job is bought, without waiting for its pictures; they are collected by the
    /// next call with the key, or by [`Journal::resume`](crate::Journal::resume).
    pub fn detach(mut self, detach: bool) -> Self {
        self.detach = detach;
        self
    }

    /// Has each step told. Nothing is told of work that another caller does.
    pub fn on_progress(mut self, tell: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.listener = Listener::new(tell);
        self
    }

    async fn make(self) -> Result<Purchase, Error> {
        let realm = self.shared.realm(&self.client).await?;
        let recipe = self.request.recipe().await.map_err(Error::Request)?;
        let estimate = self.request.estimate().await.map_err(Error::Request)?;
        let target = self.target.clone();
        let target = target.unwrap_or_else(|| Target::folder(self.shared.pictures_folder()));
        let claim = Claim {
            realm,
            key: self.key.clone(),
            batch: self.batch.clone(),
            batch_cap: self.batch_cap,
            cap: self.cap,
            endpoint: uso::purchase::EndpointId::uso().to_string(),
            recipe,
            quote: Quote::new(&estimate, self.price),
            target: absolute(target),
            worker: self.shared.worker.id().to_owned(),
        };
        let mut waited: Option<Watched> = None;
        let mut pause = FIRST_PAUSE;
        loop {
            let turn = self.shared.active.enter(realm, &self.key);
            let current = match (&turn, &waited) {
                (Some(_), None) => None,
                _ => self.shared.by_key(realm, &self.key).await?,
            };
            if let (Some(_), Some(watched), Some(row)) = (&turn, &waited, &current)
                && let Some(outcome) = watched.outcome(row)
            {
                return outcome;
            }
            let busy = match turn {
                Some(turn) => match self.shared.store.claim(claim.clone()).await? {
                    Claimed::Mine(row) => return self.work(*row, turn).await,
                    Claimed::Ended(row) => return Ok(row.purchase),
                    Claimed::Conflict(row) => {
                        let purchase = &row.purchase;
                        let difference = difference(purchase.input.as_ref(), claim.recipe.json());
                        return Err(Error::Conflict {
                            id: purchase.id,
                            difference,
                        });
                    }
                    Claimed::Busy(row) if self.shared.release_if_dead(&row).await? => continue,
                    Claimed::Busy(row) => Some(*row),
                },
                None => current,
            };
            if let Some(row) = busy {
                waited = Some(Watched::of(&row));
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    async fn work(self, row: Row, turn: Turn) -> Result<Purchase, Error> {
        let work = Work {
            shared: self.shared,
            client: self.client,
            row,
            request: Some(self.request),
            listener: self.listener,
            detach: self.detach,
            turn,
        };
        work.run().await
    }
}

/// The attempt that another caller was seen to make.
struct Watched {
    id: LocalId,
    attempt: u32,
}

impl Watched {
    fn of(row: &Row) -> Self {
        Self {
            id: row.purchase.id,
            attempt: row.purchase.attempt,
        }
    }

    /// What the other caller's attempt came to, so that everyone who waited for it is told the same;
    /// `None` while it goes on, or when the other caller died.
    fn outcome(&self, row: &Row) -> Option<Result<Purchase, Error>> {
        let purchase = &row.purchase;
        if row.worker.is_some() || (purchase.id, purchase.attempt) != (self.id, self.attempt) {
            return None;
        }
        let reason = purchase.reason.as_ref();
        let cause = reason.map(|reason| reason.cause);
        let message = reason.map_or_else(String::new, |reason| reason.message.clone());
        match (purchase.state, cause) {
            (State::Failed, Some(Cause::NotBought)) => Some(Err(Error::NotBought {
                id: purchase.id,
                message,
                source: None,
            })),
            (State::Submitted, Some(Cause::NotCollected)) => Some(Err(Error::NotCollected {
                purchase: Box::new(purchase.clone()),
                message,
                source: None,
            })),
            (State::Unknown, Some(cause)) if cause != Cause::ProcessEnded => {
                Some(Ok(purchase.clone()))
            }
            _ => None,
        }
    }
}

fn absolute(target: Target) -> Target {
    let whole = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    match target {
        Target::Folder { folder, name } => Target::Folder {
            folder: whole(folder),
            name,
        },
        Target::File { path, replace } => Target::File {
            path: whole(path),
            replace,
        },
    }
}

impl IntoFuture for Buy {
    type Output = Result<Purchase, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.make())
    }
}
