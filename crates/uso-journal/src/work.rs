//! The work on one purchase: buying it, looking it up, collecting it.
//!
//! It runs in a task of its own, so that a caller who no longer waits loses nothing. Each step is
//! recorded before the next one begins.

mod ending;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, warn};
use uso::error::Verdict;
use uso::purchase::{Order, Prepared, Recovery};
use uso::status::Cancellation;
use uso::{Client, Error as ClientError, ErrorKind, MicroDollars, Output, Request, Ticket};

use crate::active::Turn;
use crate::asked::Asked;
use crate::error::Error;
use crate::money::bill;
use crate::progress::{Listener, Progress};
use crate::purchase::{Cause, Purchase, Reason};
use crate::row::{Row, Step};
use crate::save::{Unsaved, save};
use crate::shared::Shared;
use crate::state::State;
use crate::stop::Stop;
use crate::target::Target;

use self::ending::{Ending, billed, ending, may_have_ended};

/// Pause before the service is asked a second time whether a job really failed.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// How often a step is recorded again when the database refuses it, and how long apart. What was
/// bought has to be recorded.
const RECORD_AGAIN: u32 = 5;
const RECORD_PAUSE: Duration = Duration::from_millis(500);

/// An error of the journal itself, with the purchase that is bought and could not be recorded further.
fn named(error: Error, purchase: Purchase) -> Error {
    let is_journals = matches!(error, Error::Database { .. } | Error::Io { .. });
    match is_journals && purchase.ticket.is_some() {
        true => Error::NotCollected {
            purchase: Box::new(purchase),
            message: error.to_string(),
            source: None,
        },
        false => error,
    }
}

/// What the work on one purchase needs.
pub(crate) struct Work {
    pub(crate) shared: Shared,
    pub(crate) client: Client,
    pub(crate) row: Row,
    /// What to buy, where this caller has it.
    pub(crate) asked: Option<Asked>,
    pub(crate) stop: Option<Stop>,
    pub(crate) listener: Listener,
    pub(crate) until: Until,
    /// Whether a notification tells the end of the job.
    pub(crate) by_notification: bool,
    pub(crate) turn: Turn,
    /// What was sent by this work.
    prepared: Option<Prepared>,
    /// Whether the attempt was proved free and failed for want of an upload that is forgotten now.
    lost_upload: bool,
}

/// How far the work goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Until {
    /// Until the pictures are on disk.
    #[default]
    Saved,
    /// Until the job is bought.
    Bought,
    /// Until the pictures of a job that has ended are on disk; a job that goes on is left alone.
    SavedIfEnded,
}

/// The outcome of the work.
pub(crate) struct Worked {
    pub(crate) outcome: Result<Purchase, Error>,
    /// Whether a second attempt is due: the first one was proved free, and the service had lost a
    /// picture that was uploaded earlier.
    pub(crate) again: bool,
}

impl Work {
    pub(crate) fn new(shared: Shared, client: Client, row: Row, turn: Turn) -> Self {
        Self {
            shared,
            client,
            row,
            asked: None,
            stop: None,
            listener: Listener::none(),
            until: Until::Saved,
            by_notification: false,
            turn,
            prepared: None,
            lost_upload: false,
        }
    }

    /// Does the work to its end in a task of its own.
    pub(crate) async fn run(self) -> Worked {
        let id = self.row.purchase.id;
        let task = tokio::spawn(async move {
            let mut work = self;
            let ended = work.steps().await;
            if let Err(error) = &ended {
                work.let_go(error).await;
            }
            drop(work.turn);
            Worked {
                again: work.lost_upload,
                outcome: match ended {
                    Ok(()) => Ok(work.row.purchase),
                    Err(error) => Err(named(error, work.row.purchase)),
                },
            }
        });
        task.await.unwrap_or(Worked {
            outcome: Err(Error::Interrupted(id)),
            again: false,
        })
    }

    async fn steps(&mut self) -> Result<(), Error> {
        match self.row.purchase.state {
            State::Reserved => self.buy().await?,
            State::Unknown => self.look().await?,
            _ => {}
        }
        match self.row.purchase.state {
            State::Submitted if self.until == Until::Bought => self.pause(None).await,
            State::Submitted => self.collect().await,
            _ => Ok(()),
        }
    }

    /// Leaves the row to the next caller.
    async fn let_go(&mut self, error: &Error) {
        if matches!(error, Error::TakenOver(_)) || self.row.worker.is_none() {
            return;
        }
        let reason = match error {
            Error::NotCollected {
                source: Some(error),
                ..
            } => match error.kind() {
                ErrorKind::NotReady => None,
                _ => Some(Reason::of(Cause::NotCollected, error)),
            },
            Error::NotCollected { message, .. } => {
                Some(Reason::new(Cause::NotCollected, message.clone()))
            }
            _ => None,
        };
        let pictures = self.row.purchase.pictures.clone();
        if let Err(error) = self.record(Step::Pause { reason, pictures }).await {
            warn!(id = %self.row.purchase.id, %error, "the row could not be released");
        }
    }

    /// Records a step of this claim.
    async fn record(&mut self, step: Step) -> Result<(), Error> {
        self.row = self.apply(step).await?;
        Ok(())
    }

    async fn apply(&self, step: Step) -> Result<Row, Error> {
        let (id, fence) = (self.row.purchase.id, self.row.fence);
        let mut again = RECORD_AGAIN;
        loop {
            let outcome = self.shared.store.apply(id, Some(fence), step.clone()).await;
            match outcome {
                Err(Error::Database { .. }) if again > 0 => {
                    again -= 1;
                    sleep(RECORD_PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Sends the submit, once.
    async fn buy(&mut self) -> Result<(), Error> {
        let mut order = match self.asked.take() {
            Some(Asked::Order(order)) => match order.again() {
                Ok(order) => order,
                Err(error) => return Err(self.not_bought(error).await?),
            },
            Some(Asked::Request(request)) => match self.prepare(*request).await? {
                Some(order) => order,
                None => return self.withdraw().await,
            },
            None => return Err(Error::Interrupted(self.row.purchase.id)),
        };
        if self.stop.as_ref().is_some_and(Stop::is_stopped) {
            return self.withdraw().await;
        }
        self.record(Step::Send(order.intent().clone())).await?;
        self.listener.tell(&Progress::Sending);
        if let Some(guard) = self.shared.store.guard(&self.row) {
            order = order.only_while(guard);
        }
        let error = match self.client.place(&order).await {
            Ok(job) => match self.bought(job.ticket().clone()).await {
                Err(Error::OtherPurchase(id)) => {
                    let message = format!("the account's listing shows {id}, another purchase");
                    let reason = Reason::new(Cause::ResponseLost, message);
                    return self
                        .record(Step::Lose {
                            reason,
                            intent: None,
                        })
                        .await;
                }
                recorded => return recorded,
            },
            Err(error) => error,
        };
        if let Some(ticket) = error.ticket() {
            return self.bought(ticket.clone()).await;
        }
        if error.verdict() == Verdict::NotBought {
            return Err(self.not_bought(error).await?);
        }
        let lost = Step::Lose {
            reason: Reason::of(Cause::ResponseLost, &error),
            intent: error.intent().cloned().map(Box::new),
        };
        self.listener.tell(&Progress::Failed(Arc::new(error)));
        match self.record(lost).await {
            // A notification told meanwhile that it was bought.
            Err(Error::NotAllowed { id, source }) => {
                let row = self.shared.store.row(id).await?;
                match row.filter(|row| row.purchase.state == State::Submitted) {
                    Some(row) => self.row = row,
                    None => return Err(Error::NotAllowed { id, source }),
                }
                Ok(())
            }
            recorded => recorded,
        }
    }

    /// The order of a request, whose pictures are made fit and uploaded; `None` when the work was
    /// stopped before.
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
            Err(error) => return Err(self.not_bought(error).await?),
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

    /// Ends the work on a row that was not sent. Any worker can take an offered row up again.
    async fn withdraw(&mut self) -> Result<(), Error> {
        match self.row.sendable {
            Some(_) => self.pause(None).await,
            None => self.record(Step::Withdraw).await,
        }
    }

    async fn bought(&mut self, ticket: Ticket) -> Result<(), Error> {
        debug!(id = %self.row.purchase.id, request_id = ticket.request_id(), "bought");
        let accept = Step::Accept {
            attempt: self.row.purchase.attempt,
            ticket: Box::new(ticket.clone()),
        };
        let row = match self.apply(accept).await {
            Ok(row) => row,
            Err(source @ Error::OtherPurchase(_)) => return Err(source),
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

    async fn not_bought(&mut self, error: ClientError) -> Result<Error, Error> {
        let message = error.to_string();
        let reason = Reason::of(Cause::NotBought, &error);
        self.record(Step::Refuse(reason)).await?;
        Ok(Error::NotBought {
            id: self.row.purchase.id,
            message,
            source: Some(Box::new(error)),
        })
    }

    /// Looks an unknown purchase up. Requests that other purchases have, or earlier attempts at this
    /// one, are none of it, however much their inputs are alike.
    async fn look(&mut self) -> Result<(), Error> {
        let Some(mut intent) = self.row.purchase.intent.clone() else {
            return self.pause(None).await;
        };
        loop {
            let recovery = self.client.recover(&intent).await;
            let candidates = match &recovery {
                Ok(Recovery::Found(job)) => vec![job.request_id().to_owned()],
                Ok(Recovery::Undecidable { candidates, .. }) => candidates.clone(),
                _ => Vec::new(),
            };
            if candidates.is_empty() {
                return self.looked(recovery).await;
            }
            let (realm, id) = (self.row.realm, self.row.purchase.id);
            let store = &self.shared.store;
            let others = store.known_requests(realm, id, candidates).await?;
            if others.is_empty() {
                match self.looked(recovery).await {
                    // Another purchase was faster.
                    Err(Error::OtherPurchase(other)) => intent = intent.except([other]),
                    recorded => return recorded,
                }
            } else {
                intent = intent.except(others);
            }
        }
    }

    /// Records what a look into the account's listing says.
    async fn looked(&mut self, recovery: uso::Result<Recovery>) -> Result<(), Error> {
        match recovery {
            Ok(Recovery::Found(job)) => self.bought(job.ticket().clone()).await,
            Ok(Recovery::NotYet { .. }) => {
                let message = "the account's listing does not show it yet";
                self.pause(Some(Reason::new(Cause::NotYetListed, message)))
                    .await
            }
            // The owner decides whether to risk paying again.
            Ok(Recovery::NotBought) => {
                let message = "the account's listing was read to its end and does not show it; \
                               write it off and retry it to buy again";
                self.pause(Some(Reason::new(Cause::NotListed, message)))
                    .await
            }
            Ok(Recovery::Undecidable { candidates, why }) => {
                let message = match candidates.is_empty() {
                    true => why,
                    false => format!("{why}; it may be {}", candidates.join(", ")),
                };
                self.pause(Some(Reason::new(Cause::Undecidable, message)))
                    .await
            }
            Ok(_) => self.pause(None).await,
            Err(error) => Err(Error::Lookup {
                id: self.row.purchase.id,
                source: Box::new(error),
            }),
        }
    }

    async fn pause(&mut self, reason: Option<Reason>) -> Result<(), Error> {
        let pictures = Vec::new();
        self.record(Step::Pause { reason, pictures }).await
    }

    /// Waits for the job and saves its pictures.
    async fn collect(&mut self) -> Result<(), Error> {
        let Some(ticket) = self.row.purchase.ticket.clone() else {
            return self.pause(None).await;
        };
        let job = self.client.job(ticket);
        if self.row.purchase.cancel_asked {
            // Where it fails, the job goes on, and is watched.
            if let Ok(Cancellation::AlreadyCompleted) = job.cancel().await {
                debug!(id = %self.row.purchase.id, "it had ended before it was cancelled");
            }
        }
        let listener = self.listener.clone();
        let tell = move |event: &uso::Event| listener.tell(&Progress::Job(event.clone()));
        let intent = self.row.purchase.intent.as_ref();
        let is_notified = self.by_notification && intent.is_some_and(uso::Intent::has_webhook);
        let longest = self.client.config().finish_limit();
        let waited = match self.until {
            Until::SavedIfEnded => job.collect().await,
            _ if is_notified && !self.shared.awaited.end_of(&job, longest).await => {
                job.collect().await
            }
            _ => job.wait_with(tell).await,
        };
        let first = match waited {
            Ok(output) => return self.save(&output).await,
            Err(error) => error,
        };
        if !may_have_ended(&first) {
            return Err(self.not_collected(first));
        }
        sleep(SECOND_LOOK).await;
        let second = match job.collect().await {
            Ok(output) => return self.save(&output).await,
            Err(error) => error,
        };
        // A cancel may have been asked for while the job was watched.
        if let Some(row) = self.shared.store.row(self.row.purchase.id).await? {
            self.row.purchase.cancel_asked = row.purchase.cancel_asked;
        }
        match ending(&first, &second, self.row.purchase.cancel_asked) {
            Some(Ending::Cancelled) => {
                let reason =
                    Reason::new(Cause::Cancelled, "the service says that it was cancelled");
                let billed = billed(&first, &second);
                self.record(Step::Cancel { reason, billed }).await
            }
            Some(Ending::Failed(cause)) => {
                let reason = Reason::of(cause, &second);
                let billed = billed(&first, &second);
                self.lost_upload = self.has_lost_upload(billed, [&first, &second]).await;
                self.listener.tell(&match self.lost_upload {
                    true => Progress::UploadLost,
                    false => Progress::Failed(Arc::new(second)),
                });
                self.record(Step::Fail { reason, billed }).await
            }
            None => Err(self.not_collected(second)),
        }
    }

    /// Whether the job failed for want of a picture that was uploaded earlier, and cost nothing. The
    /// upload is then forgotten.
    async fn has_lost_upload(
        &self,
        billed: Option<MicroDollars>,
        errors: [&ClientError; 2],
    ) -> bool {
        let Some(prepared) = &self.prepared else {
            return false;
        };
        if billed != Some(MicroDollars::new(0)) {
            return false;
        }
        for error in errors {
            if self.client.forget_gone(prepared, error).await {
                let forgotten = self.shared.forget_uploads(&self.client, self.row.realm);
                if let Err(error) = forgotten.await {
                    warn!(%error, "a lost upload could not be forgotten");
                }
                return true;
            }
        }
        false
    }

    fn not_collected(&self, error: ClientError) -> Error {
        Error::NotCollected {
            purchase: Box::new(self.row.purchase.clone()),
            message: error.to_string(),
            source: Some(Box::new(error)),
        }
    }

    async fn save(&mut self, output: &Output) -> Result<(), Error> {
        let target = match &self.row.purchase.target {
            Some(target) => target.clone(),
            None => Target::folder(self.shared.pictures_folder()),
        };
        let mut pictures = std::mem::take(&mut self.row.purchase.pictures);
        let saving = save(
            self.shared.store.as_ref(),
            &self.row,
            &target,
            output,
            &mut pictures,
            &self.listener,
        );
        let outcome = saving.await;
        self.row.purchase.pictures.clone_from(&pictures);
        match outcome {
            Ok(()) => {
                let unit = self.row.purchase.cost.unit_price;
                let units = output.billable_units();
                let billed = units.zip(unit).and_then(|(units, unit)| bill(units, unit));
                let seed = output.seed();
                let finish = Step::Finish {
                    pictures,
                    seed,
                    billed,
                };
                self.record(finish).await
            }
            Err(Unsaved::Service(error)) => Err(self.not_collected(error)),
            Err(Unsaved::Journal(error)) => Err(Error::NotCollected {
                purchase: Box::new(self.row.purchase.clone()),
                message: error.to_string(),
                source: None,
            }),
        }
    }
}
