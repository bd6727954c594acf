//! A purchase that is about to be made.

use std::future::{Future, IntoFuture};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::sleep;
use uso::{Client, MicroDollars};

use crate::active::Turn;
use crate::asked::Asked;
use crate::difference::difference;
use crate::error::Error;
use crate::money::UnitPrice;
use crate::progress::{Listener, Progress};
use crate::purchase::{Cause, LocalId, Purchase};
use crate::row::{Row, Step};
use crate::shared::Shared;
use crate::state::State;
use crate::stop::Stop;
use crate::store::{Claim, Claimed, Wish};
use crate::target::Target;
use crate::work::{Until, Work};

/// Pauses between two looks at a purchase that another caller makes.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Claims of one purchase that may be lost, one after the other.
const MOST_LOST: u32 = 8;

/// A purchase that is about to be made; awaiting it buys, or waits for the caller who does. See
/// [`Journal::purchase`](crate::Journal::purchase).
#[must_use = "nothing is bought until it is awaited"]
pub struct Buy {
    pub(crate) shared: Shared,
    pub(crate) client: Client,
    pub(crate) key: String,
    pub(crate) asked: Asked,
    pub(crate) target: Option<Target>,
    pub(crate) cap: Option<MicroDollars>,
    pub(crate) batch: Option<String>,
    pub(crate) batch_cap: Option<MicroDollars>,
    pub(crate) price: Option<UnitPrice>,
    pub(crate) bound: Option<MicroDollars>,
    pub(crate) wish: Wish,
    pub(crate) detach: bool,
    pub(crate) stop: Option<Stop>,
    /// Whether a batch buys it: the next run goes on with what a stop withdraws.
    pub(crate) in_batch: bool,
    /// Whether a notification tells the end of the job.
    pub(crate) by_notification: bool,
    pub(crate) listener: Listener,
}

impl std::fmt::Debug for Buy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buy")
            .field("asked", &self.asked)
            .field("target", &self.target)
            .field("cap", &self.cap)
            .finish_non_exhaustive()
    }
}

impl Buy {
    pub(crate) fn new(shared: Shared, client: Client, key: String, asked: Asked) -> Self {
        let is_request = matches!(asked, Asked::Request(_));
        Self {
            shared,
            client,
            key,
            asked,
            target: None,
            cap: None,
            batch: None,
            batch_cap: None,
            price: is_request.then(UnitPrice::published),
            bound: None,
            wish: Wish::Buy,
            detach: false,
            stop: None,
            in_batch: false,
            by_notification: false,
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

    /// Counts the purchase to a batch, whose purchases may cost so much together.
    pub fn batch(mut self, name: impl Into<String>, cap: impl Into<Option<MicroDollars>>) -> Self {
        self.batch = Some(name.into());
        self.batch_cap = cap.into();
        self
    }

    /// The price of a megapixel, or that none is known, in place of
    /// [`UnitPrice::published`]. A purchase without a known price is refused under every cap.
    ///
    /// For an order: the price of a unit as its endpoint bills it. Default: unknown, and then the
    /// bill is, too.
    pub fn price(mut self, price: impl Into<Option<UnitPrice>>) -> Self {
        self.price = price.into();
        self
    }

    /// The most that an order can cost, which the journal cannot know: the amount that is reserved
    /// for it in every budget. What a request costs at most is computed.
    pub fn costs_at_most(mut self, bound: MicroDollars) -> Self {
        self.bound = Some(bound);
        self
    }

    /// Buys again what failed or was cancelled, if its current attempt is still this one. The new
    /// attempt begins in the transaction that reserves its price: where the budget has no room, the
    /// purchase stays as it is, with its reason and its ticket. A call that is repeated buys nothing
    /// more: a purchase with a later attempt that has ended is returned as it is, also where nothing
    /// was bought by that attempt.
    ///
    /// An unknown purchase is looked up and not bought again; [`Journal::write_off`] comes first.
    ///
    /// [`Journal::write_off`]: crate::Journal::write_off
    pub fn again(mut self, attempt: u32) -> Self {
        self.wish = Wish::Again(attempt);
        self
    }

    /// Buys nothing: a purchase that was bought, or may have been, is looked up and collected, one
    /// that has ended is returned, and [`Error::WouldBuy`] says that there is none. For a caller who
    /// may collect and has no consent to spend. In place of [`Buy::again`], if both are called.
    pub fn only_bought(mut self) -> Self {
        self.wish = Wish::OnlyBought;
        self
    }

    /// Returns once the job is bought, without waiting for its pictures; they are collected by the
    /// next call with the key, or by [`Journal::resume`](crate::Journal::resume).
    pub fn detach(mut self, detach: bool) -> Self {
        self.detach = detach;
        self
    }

    /// Withdraws the purchase when the token is stopped before the submit leaves: the purchase is then
    /// [`State::Cancelled`], [`State::Failed`] if the submit was recorded already, or
    /// [`State::Pending`] if it is offered to every worker, and nothing was bought.
    pub fn stop(mut self, stop: &Stop) -> Self {
        self.stop = Some(stop.clone());
        self
    }

    /// Sets a callback for each step. Work of another caller makes no calls.
    pub fn on_progress(mut self, tell: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.listener = Listener::new(tell);
        self
    }

    /// Begins the purchase and returns as soon as the row is durable, without waiting for the
    /// submit: the work goes on in a task of its own, as long as the runtime lives.
    /// [`Journal::watch`](crate::Journal::watch) follows the row. A purchase that has ended, or on
    /// which another caller works, is returned as it is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the next call with the key goes on with what this one began.
    ///
    /// # Errors
    ///
    /// [`Error::Request`], [`Error::Conflict`], [`Error::Budget`] and [`Error::WouldBuy`]; nothing was
    /// sent then.
    pub async fn begin(self) -> Result<Purchase, Error> {
        let claim = self.claim().await?;
        loop {
            let Some(turn) = self.shared.active.enter(claim.realm, &self.key) else {
                match self.shared.by_key(claim.realm, &self.key).await? {
                    Some(row) => return Ok(row.purchase),
                    // Another task of this process is about to claim the key.
                    None => sleep(FIRST_PAUSE).await,
                }
                continue;
            };
            match self.take(&claim).await? {
                Claimed::Mine(row) => {
                    let purchase = row.purchase.clone();
                    tokio::spawn(async move {
                        let outcome = self.work(&claim, *row, turn).await;
                        match is_lost(&outcome) {
                            true => self.make().await,
                            false => outcome,
                        }
                    });
                    return Ok(purchase);
                }
                Claimed::Ended(row) => return Ok(row.purchase),
                Claimed::Conflict(row) => return Err(conflict(&row, &claim)),
                Claimed::Busy(row) if self.shared.release_if_dead(&row).await? => {}
                Claimed::Busy(row) => return Ok(row.purchase),
            }
        }
    }

    pub(crate) async fn claim(&self) -> Result<Claim, Error> {
        let realm = self.shared.realm(&self.client).await?;
        let recipe = self.asked.recipe().await?;
        let quote = self.asked.quote(self.price, self.bound).await?;
        let target = self.target.clone();
        let target = target.unwrap_or_else(|| Target::folder(self.shared.pictures_folder()));
        Ok(Claim {
            realm,
            key: self.key.clone(),
            batch: self.batch.clone(),
            batch_cap: self.batch_cap,
            cap: self.cap,
            endpoint: self.asked.endpoint().to_string(),
            recipe,
            quote,
            target: target.absolute(),
            wish: self.wish,
        })
    }

    async fn take(&self, claim: &Claim) -> Result<Claimed, Error> {
        let store = &self.shared.store;
        match store.claim(claim.clone()).await {
            Err(Error::Budget(_)) => {
                // A process that has ended may hold what is missing.
                self.shared.release_gone().await?;
                store.claim(claim.clone()).await
            }
            taken => taken,
        }
    }

    async fn make(self) -> Result<Purchase, Error> {
        let claim = self.claim().await?;
        let realm = claim.realm;
        let mut waited: Option<Watched> = None;
        let mut pause = FIRST_PAUSE;
        let mut lost = 0;
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
                Some(turn) => match self.take(&claim).await? {
                    Claimed::Mine(row) => {
                        let outcome = self.work(&claim, *row, turn).await;
                        if !is_lost(&outcome) || lost == MOST_LOST {
                            return outcome;
                        }
                        lost += 1;
                        let row = self.shared.by_key(realm, &self.key).await?;
                        match row.filter(|row| row.worker.is_some()) {
                            Some(row) => Some(row),
                            None => continue,
                        }
                    }
                    Claimed::Ended(row) => return Ok(row.purchase),
                    Claimed::Conflict(row) => return Err(conflict(&row, &claim)),
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

    /// Works on a row that was claimed. An attempt that was proved free and failed for want of an
    /// earlier upload is made again, once.
    async fn work(&self, claim: &Claim, row: Row, turn: Turn) -> Result<Purchase, Error> {
        let worked = self.work_on(row, turn).run().await;
        let failed = match worked.outcome {
            Ok(failed) if worked.again => failed,
            outcome => return outcome,
        };
        let Some(turn) = self.shared.active.enter(claim.realm, &failed.key) else {
            return Ok(failed);
        };
        let attempt = failed.attempt;
        let retry = Step::Retry { attempt };
        self.shared.store.apply(failed.id, None, retry).await?;
        let claim = Claim {
            wish: Wish::Buy,
            ..claim.clone()
        };
        match self.take(&claim).await? {
            Claimed::Mine(row) => self.work_on(*row, turn).run().await.outcome,
            Claimed::Ended(row) | Claimed::Busy(row) | Claimed::Conflict(row) => Ok(row.purchase),
        }
    }

    fn work_on(&self, row: Row, turn: Turn) -> Work {
        let mut work = Work::new(self.shared.clone(), self.client.clone(), row, turn);
        work.asked = Some(self.asked.clone());
        work.stop.clone_from(&self.stop);
        work.in_batch = self.in_batch;
        work.listener = self.listener.clone();
        work.by_notification = self.by_notification;
        work.until = match self.detach {
            true => Until::Bought,
            false => Until::Saved,
        };
        work
    }
}

/// Whether a claim was lost: another worker took the row over, or the server crashed before the claim
/// was on its disk. A row that is sent is on the disk as such before, so that the next claim sees what
/// may have been bought.
fn is_lost(outcome: &Result<Purchase, Error>) -> bool {
    matches!(outcome, Err(Error::NotFound(_) | Error::TakenOver(_)))
}

pub(crate) fn conflict(row: &Row, claim: &Claim) -> Error {
    Error::Conflict {
        id: row.purchase.id,
        difference: difference(row.purchase.input.as_ref(), claim.recipe.json()),
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

impl IntoFuture for Buy {
    type Output = Result<Purchase, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.make())
    }
}
