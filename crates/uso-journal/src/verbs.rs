//! Actions on a purchase beside buying: collecting, looking up, closing and reopening.

use std::path::PathBuf;

use uso::Client;

use crate::active::Turn;
use crate::error::Error;
use crate::import;
use crate::journal::Journal;
use crate::progress::{Listener, Progress};
use crate::purchase::{LocalId, Purchase};
use crate::row::{Row, Step};
use crate::save::{Unsaved, copy};
use crate::state::State;
use crate::target::Target;
use crate::work::{Until, Work};

impl Journal {
    /// Continues a purchase to its end: looks an unknown one up, waits for a bought one and saves
    /// its pictures. A closed one is returned as it is; reopen it to collect it again.
    ///
    /// # Errors
    ///
    /// As [`Journal::purchase`], and [`Error::Busy`] while another process works on it.
    pub async fn resume(
        &self,
        client: &Client,
        id: LocalId,
        tell: impl Fn(&Progress) + Send + Sync + 'static,
    ) -> Result<Purchase, Error> {
        self.work_on(client, id, Listener::new(tell), Until::Saved)
            .await
    }

    /// As [`Journal::resume`], and leaves a job that has not ended alone: [`Error::NotCollected`]
    /// with an error of the kind [`uso::ErrorKind::NotReady`].
    ///
    /// # Errors
    ///
    /// As [`Journal::resume`].
    pub async fn collect(
        &self,
        client: &Client,
        id: LocalId,
        tell: impl Fn(&Progress) + Send + Sync + 'static,
    ) -> Result<Purchase, Error> {
        self.work_on(client, id, Listener::new(tell), Until::SavedIfEnded)
            .await
    }

    /// Looks an unknown purchase up in the account's listing, without waiting for a job that is
    /// found: the purchase is then [`State::Submitted`]. Other purchases are returned as they are.
    ///
    /// # Errors
    ///
    /// [`Error::Lookup`] when the listing cannot be read, and [`Error::Busy`].
    pub async fn reconcile(&self, client: &Client, id: LocalId) -> Result<Purchase, Error> {
        let purchase = self.get(client, id).await?;
        match purchase.state {
            State::Unknown | State::Sending => {
                self.work_on(client, id, Listener::none(), Until::Bought)
                    .await
            }
            _ => Ok(purchase),
        }
    }

    /// The purchase with this short id, of this client's service and account.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub async fn get(&self, client: &Client, id: LocalId) -> Result<Purchase, Error> {
        let realm = self.shared.realm(client).await?;
        Ok(self.own(realm, id).await?.purchase)
    }

    async fn work_on(
        &self,
        client: &Client,
        id: LocalId,
        listener: Listener,
        until: Until,
    ) -> Result<Purchase, Error> {
        let turn = self.turn(client, id).await?;
        let Some(row) = self.shared.store.take(id).await? else {
            return Ok(self.shared.row(id).await?.purchase);
        };
        let mut work = Work::new(self.shared.clone(), client.clone(), row, turn);
        work.listener = listener;
        work.until = until;
        work.run().await.outcome
    }

    /// Asks for a new attempt at a purchase that failed or was cancelled: the next call of
    /// [`Journal::purchase`] with its key buys again.
    ///
    /// `attempt` is the number of the attempt that the caller saw: of two callers at once, one asks
    /// for the next attempt.
    ///
    /// # Errors
    ///
    /// [`Error::NotAllowed`] when its state or its attempt is another. An unknown purchase is written
    /// off first.
    pub async fn retry(
        &self,
        client: &Client,
        id: LocalId,
        attempt: u32,
    ) -> Result<Purchase, Error> {
        self.step(client, id, Step::Retry { attempt }).await
    }

    /// Gives up a purchase whose outcome is unknown, or that cannot be collected. What is reserved
    /// for it is free again.
    ///
    /// `seen` is the state in which the caller saw it: an unknown purchase that was found meanwhile
    /// is not given up.
    ///
    /// # Errors
    ///
    /// [`Error::NotAllowed`] when its state is another.
    pub async fn write_off(
        &self,
        client: &Client,
        id: LocalId,
        seen: State,
    ) -> Result<Purchase, Error> {
        self.step(client, id, Step::WriteOff { seen }).await
    }

    /// Reopens a closed purchase, so that [`Journal::resume`] collects it again or looks it up again.
    ///
    /// # Errors
    ///
    /// [`Error::NotAllowed`] when nothing was ever sent, or the purchase was pruned.
    pub async fn reopen(&self, client: &Client, id: LocalId) -> Result<Purchase, Error> {
        self.step(client, id, Step::Reopen).await
    }

    /// Directs the pictures of a purchase to another place. Pictures that were saved already stay
    /// where they are, and are saved again at the new place.
    ///
    /// # Errors
    ///
    /// [`Error::NotAllowed`] when the purchase is closed; reopen it first. [`Error::Busy`] while
    /// another process works on it.
    pub async fn set_target(
        &self,
        client: &Client,
        id: LocalId,
        target: Target,
    ) -> Result<Purchase, Error> {
        let step = Step::Retarget(target.absolute());
        self.step(client, id, step).await
    }

    /// Fetches the pictures of a purchase that is done once more, to another place, and proves that
    /// they are the ones that were saved first. The purchase stays as it is. This needs no file of
    /// the machine that saved them, and works for as long as the service keeps the pictures: how long
    /// that is is not certain.
    ///
    /// # Errors
    ///
    /// [`Error::NotCollected`] when a picture cannot be fetched any more, or is another one.
    pub async fn copy(
        &self,
        client: &Client,
        id: LocalId,
        target: Target,
    ) -> Result<Vec<PathBuf>, Error> {
        let realm = self.shared.realm(client).await?;
        let row = self.own(realm, id).await?;
        let target = target.absolute();
        let copied = copy(self.shared.store.as_ref(), &row, client, &target).await;
        copied.map_err(|unsaved| match unsaved {
            Unsaved::Journal(error) => error,
            Unsaved::Service(error) => Error::NotCollected {
                purchase: Box::new(row.purchase.clone()),
                message: error.to_string(),
                source: Some(Box::new(error)),
            },
        })
    }

    /// Records a job of this account that was bought elsewhere, so that its pictures can be
    /// collected. A job that is recorded already is returned as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] when the request id is none.
    pub async fn adopt(
        &self,
        client: &Client,
        request_id: &str,
        target: Target,
    ) -> Result<Purchase, Error> {
        let realm = self.shared.realm(client).await?;
        let job = client.job_by_id(request_id).map_err(Error::Request)?;
        let known = self
            .shared
            .store
            .named(realm, request_id.to_owned())
            .await?;
        let is_its = |row: &&Row| row.purchase.request_id() == Some(request_id);
        if let Some(row) = known.iter().find(is_its) {
            return Ok(row.purchase.clone());
        }
        let row = import::bought_elsewhere(client, job.ticket(), target.absolute());
        self.shared.store.import(vec![row]).await?;
        self.find(client, request_id).await
    }

    pub(crate) async fn step(
        &self,
        client: &Client,
        id: LocalId,
        step: Step,
    ) -> Result<Purchase, Error> {
        let _turn = self.turn(client, id).await?;
        Ok(self.shared.store.apply(id, None, step).await?.purchase)
    }

    /// The turn to work on a purchase, which no live worker holds.
    async fn turn(&self, client: &Client, id: LocalId) -> Result<Turn, Error> {
        let realm = self.shared.realm(client).await?;
        let row = self.own(realm, id).await?;
        let turn = self.shared.active.enter(realm, &row.purchase.key);
        let turn = turn.ok_or(Error::Busy(id))?;
        match self.shared.release_if_dead(&row).await? {
            true => Ok(turn),
            false => Err(Error::Busy(id)),
        }
    }

    /// The row, if it is one of this realm.
    pub(crate) async fn own(&self, realm: i64, id: LocalId) -> Result<Row, Error> {
        let row = self.shared.row(id).await?;
        match row.realm == realm {
            true => Ok(row),
            false => Err(Error::NotFound(id.to_string())),
        }
    }
}
