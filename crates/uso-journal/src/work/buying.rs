//! Buying: the submit of a purchase, once, and what its outcome is.

use std::sync::Arc;

use tracing::debug;
use uso::error::Verdict;
use uso::purchase::Order;
use uso::{Error as ClientError, Request, Ticket};

use super::{RECORD_BOUGHT_AGAIN, Work, repeated};
use crate::asked::Asked;
use crate::error::Error;
use crate::progress::Progress;
use crate::purchase::{Cause, LocalId, Reason};
use crate::row::{Row, Step};
use crate::state::State;
use crate::stop::Stop;

impl Work {
    /// Sends the submit, once.
    pub(super) async fn buy(&mut self) -> Result<(), Error> {
        let mut order = match self.asked.take() {
            Some(Asked::Order(order)) => match order.again() {
                Ok(order) => order,
                Err(error) => return self.not_bought(error).await,
            },
            Some(Asked::Request(request)) => match self.prepare(*request).await? {
                Some(order) => order,
                None if self.row.purchase.state == State::Submitted => return Ok(()),
                None => return self.withdraw().await,
            },
            None => return Err(Error::Interrupted(self.row.purchase.id)),
        };
        if self.is_stopped() {
            return self.withdraw().await;
        }
        let send = Step::Send(self.client.intent(&order));
        if !self.record_unless_bought(send).await? {
            return Ok(());
        }
        // Told before the last look at the stop: a caller who stops the purchase and was not told of
        // the submit by then knows that nothing was sent.
        self.listener.tell(&Progress::Sending);
        if self.is_stopped() && !self.is_of_several() {
            let message = "stopped before anything was sent";
            let reason = Reason::new(Cause::NotBought, message);
            return self.record(Step::Refuse(reason)).await;
        }
        if let Some(guard) = self.shared.store.guard(&self.row) {
            order = order.only_while(guard);
        }
        let error = match self.client.place(&order).await {
            Ok(job) => match self.bought(job.ticket().clone()).await {
                Err(Error::OtherPurchase(id)) => {
                    let message = format!("the account's listing shows {id}, another purchase");
                    let reason = Reason::new(Cause::ResponseLost, message);
                    let intent = None;
                    let lost = self.record_unless_bought(Step::Lose { reason, intent });
                    return lost.await.map(drop);
                }
                recorded => return recorded,
            },
            Err(error) => error,
        };
        if let Some(ticket) = error.ticket() {
            return self.bought(ticket.clone()).await;
        }
        if error.verdict() == Verdict::NotBought {
            return self.not_bought(error).await;
        }
        let lost = Step::Lose {
            reason: Reason::of(Cause::ResponseLost, &error),
            intent: error.intent().cloned().map(Box::new),
        };
        self.listener.tell(&Progress::Failed(Arc::new(error)));
        self.record_unless_bought(lost).await.map(drop)
    }

    /// Records a step; `false` when a notification told meanwhile that the row is bought, which
    /// stands.
    pub(super) async fn record_unless_bought(&mut self, step: Step) -> Result<bool, Error> {
        match self.record(step).await {
            Err(Error::NotAllowed { id, source }) => {
                let row = self.shared.store.row(id).await?;
                let bought = row.filter(|row| row.purchase.state == State::Submitted);
                self.row = bought.ok_or(Error::NotAllowed { id, source })?;
                Ok(false)
            }
            recorded => recorded.map(|()| true),
        }
    }

    /// The order of a request, whose pictures are made fit and uploaded; `None` when the work was
    /// stopped before, or the row is bought.
    async fn prepare(&mut self, request: Request) -> Result<Option<Order>, Error> {
        self.shared
            .share_uploads(&self.client, self.row.realm)
            .await?;
        let stop = self.stop.clone();
        let stopped = async {
            match &stop {
                Some(stop) => stop.stopped().await,
                None => std::future::pending().await,
            }
        };
        let prepared = tokio::select! {
            biased;
            () = stopped => return Ok(None),
            prepared = self.client.prepare(request) => prepared,
        };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                self.not_bought(error).await?;
                return Ok(None);
            }
        };
        let pictures = prepared.pictures();
        self.shared
            .record_uploads(&self.client, self.row.realm, pictures)
            .await?;
        self.listener.tell(&Progress::Prepared(pictures.to_vec()));
        let order = prepared.order().clone();
        self.prepared = Some(prepared);
        Ok(Some(order))
    }

    /// Ends the work on a row that was not sent. Any worker can take an offered row up again, and the
    /// next run of a batch a row of the batch.
    async fn withdraw(&mut self) -> Result<(), Error> {
        if !self.is_of_several() {
            return self.record_unless_bought(Step::Withdraw).await.map(drop);
        }
        self.pause(None).await?;
        // A notification may have told meanwhile that it is bought.
        self.row = self.take_back(self.row.clone()).await?;
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(Stop::is_stopped)
    }

    /// Whether a worker or a later run goes on with the row.
    fn is_of_several(&self) -> bool {
        self.in_batch || self.row.sendable.is_some()
    }

    pub(super) async fn bought(&mut self, ticket: Ticket) -> Result<(), Error> {
        debug!(id = %self.row.purchase.id, request_id = ticket.request_id(), "bought");
        let accept = Step::Accept {
            attempt: self.row.purchase.attempt,
            ticket: Box::new(ticket.clone()),
        };
        let row = match self.apply(accept).await {
            Err(Error::TakenOver(id)) => self.bought_earlier(id, &ticket).await,
            applied => applied,
        };
        let row = match row {
            Ok(row) => row,
            Err(source @ (Error::OtherPurchase(_) | Error::BoughtEarlier { .. })) => {
                return Err(source);
            }
            Err(source) => {
                return Err(Error::NotRecorded {
                    ticket: Box::new(ticket),
                    source: Box::new(source),
                });
            }
        };
        self.listener.tell(&Progress::Submitted(Box::new(ticket)));
        self.row.purchase.ticket.clone_from(&row.purchase.ticket);
        self.row = match row.worker.is_some() && row.fence == self.row.fence {
            true => row,
            false => self.take_back(row).await?,
        };
        Ok(())
    }

    /// Records the job of an attempt that a later one took the place of: it is what the purchase bought
    /// if nothing of the later one was sent. Otherwise the past attempt has the job, so that no other
    /// purchase takes it for its own.
    async fn bought_earlier(&self, id: LocalId, ticket: &Ticket) -> Result<Row, Error> {
        let Some(intent) = self.row.purchase.intent.clone() else {
            return Err(Error::TakenOver(id));
        };
        let accept = Step::AcceptEarlier {
            intent: Box::new(intent),
            ticket: Box::new(ticket.clone()),
        };
        match self.apply(accept).await {
            Err(Error::NotAllowed { .. }) => {
                let number = self.row.purchase.attempt;
                let record = || self.shared.record_earlier(id, number, ticket);
                match repeated(RECORD_BOUGHT_AGAIN, record).await? {
                    true => Err(Error::BoughtEarlier {
                        id,
                        ticket: Box::new(ticket.clone()),
                    }),
                    false => Err(Error::TakenOver(id)),
                }
            }
            applied => applied,
        }
    }

    /// The row of a job that was recorded after another worker had taken this claim over, to go on
    /// with unless that worker has it still.
    async fn take_back(&self, row: Row) -> Result<Row, Error> {
        let id = row.purchase.id;
        match row.purchase.state {
            State::Submitted => {
                let taken = self.shared.store.take(id).await?;
                taken.ok_or(Error::TakenOver(id))
            }
            _ => Ok(row),
        }
    }

    /// Records that nothing was bought, and says so; `Ok` where a notification told otherwise meanwhile.
    async fn not_bought(&mut self, error: ClientError) -> Result<(), Error> {
        let message = error.to_string();
        let reason = Reason::of(Cause::NotBought, &error);
        match self.record_unless_bought(Step::Refuse(reason)).await? {
            true => Err(Error::NotBought {
                id: self.row.purchase.id,
                message,
                source: Some(Box::new(error)),
            }),
            false => Ok(()),
        }
    }
}
