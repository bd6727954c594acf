//! A purchase of one command: made through the journal, followed to its end, and never cut off by a
//! signal while it is not known whether something was bought.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uso::pictures::{PreparedPicture, Sending};
use uso::{Client, Event, Ticket};
use uso_journal::{
    Buy, CancelOutcome, Cancelled, Error, Journal, Progress as Step, Purchase, State, Stop,
};

use crate::cancellation::describe;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::progress::Progress;
use crate::recovery;
use crate::signals::{Signal, Signals};

/// How long a second Ctrl-C cancels, after the first has detached.
const SECOND_THOUGHTS: Duration = Duration::from_secs(2);

/// How long the purchase may take to be closed after it was stopped or cancelled.
const CLOSING: Duration = Duration::from_secs(5);

/// What a purchase of one command needs.
pub(crate) struct Buyer<'a> {
    pub(crate) journal: &'a Journal,
    pub(crate) client: &'a Client,
    /// Whether the service is an emulator in this process, which ends with it.
    pub(crate) is_emulated: bool,
    pub(crate) detach: bool,
    pub(crate) printer: &'a Printer,
}

/// A purchase that has an outcome.
pub(crate) struct Bought {
    pub(crate) purchase: Purchase,
    /// The pictures that went in.
    pub(crate) pictures: Vec<PreparedPicture>,
    /// The failure that it ended with.
    pub(crate) failure: Option<Failure>,
}

/// How far the purchase is, which decides what a signal does.
enum Phase {
    /// Nothing was sent.
    Preparing,
    /// It is not known whether something is bought.
    Sending,
    /// The job is bought and goes on without this process.
    Bought(Ticket),
    /// The job has ended.
    Ended(Ticket),
}

/// What the work tells.
enum Told {
    Step(Step),
    Looking(String),
}

/// What is known of a purchase while it is made.
struct Known {
    phase: Phase,
    pictures: Vec<PreparedPicture>,
    error: Option<Arc<uso::Error>>,
    /// Whether it was told that the response was lost.
    is_looked_for: bool,
    /// The signal of a person who wants to leave.
    leaving: Option<Signal>,
    /// When a purchase that was stopped before it was sent is left as it is.
    left_at: Option<Instant>,
}

/// The purchase, and why it is still unknown where it is.
type Outcome = Result<(Purchase, Option<String>), Error>;
type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl Buyer<'_> {
    /// Buys, follows the job and saves its pictures. `Err` where the command is left by a signal.
    pub(crate) async fn buy(
        &self,
        buy: Buy,
        signals: &mut Signals,
        progress: &Progress,
    ) -> Result<Bought, Failure> {
        let stop = Stop::new();
        let (tell, mut told) = mpsc::unbounded_channel();
        let mut work = self.work(buy.stop(&stop), tell);
        let mut known = Known {
            phase: Phase::Preparing,
            pictures: Vec::new(),
            error: None,
            is_looked_for: false,
            leaving: None,
            left_at: None,
        };
        let outcome = loop {
            tokio::select! {
                biased;
                Some(told) = told.recv() => {
                    self.take(told, &mut known, progress);
                    if let (Phase::Bought(ticket), Some(signal)) = (&known.phase, known.leaving) {
                        let ticket = ticket.clone();
                        progress.end();
                        return Err(self.detach_or_cancel(&ticket, signal, signals, work).await);
                    }
                }
                outcome = &mut work => break outcome,
                signal = signals.next() => {
                    progress.end();
                    match &known.phase {
                        Phase::Preparing if known.leaving.is_some() => return Err(not_bought(signal)),
                        Phase::Preparing => {
                            stop.stop();
                            known.leaving = Some(signal);
                            // It is withdrawn at once, unless a picture is still being read.
                            known.left_at = Some(Instant::now() + CLOSING);
                        }
                        Phase::Sending => self.wait_for_id(&mut known, signal)?,
                        Phase::Bought(ticket) => {
                            let ticket = ticket.clone();
                            return Err(self.detach_or_cancel(&ticket, signal, signals, work).await);
                        }
                        Phase::Ended(_) if self.is_emulated => return Err(emulated(signal)),
                        Phase::Ended(ticket) => {
                            return Err(detached(ticket, signal, "interrupted: the job has ended"));
                        }
                    }
                }
                signal = known.left() => return Err(not_bought(signal)),
            }
        };
        while let Ok(told) = told.try_recv() {
            self.take(told, &mut known, progress);
        }
        let bought = ended(outcome, &mut known);
        match (known.leaving, bought) {
            (None, bought) => bought,
            (Some(signal), Ok(bought)) if !was_sent(&bought.purchase) => Err(not_bought(signal)),
            (Some(signal), Ok(bought)) => Err(bought
                .failure
                .unwrap_or_else(|| Failure::interrupted(signal, "interrupted"))
                .ended_by(signal)),
            (Some(signal), Err(failure)) => Err(failure.ended_by(signal)),
        }
    }

    /// The purchase to its end; an unknown one is looked for.
    fn work(&self, buy: Buy, tell: mpsc::UnboundedSender<Told>) -> Work {
        let (journal, client) = (self.journal.clone(), self.client.clone());
        let detach = self.detach;
        Box::pin(async move {
            let steps = tell.clone();
            let buy = buy.detach(detach).on_progress(move |step| {
                let _ = steps.send(Told::Step(step.clone()));
            });
            let purchase = buy.await?;
            if purchase.state != State::Unknown {
                return Ok((purchase, None));
            }
            let looking = |line| {
                let _ = tell.send(Told::Looking(line));
            };
            let (found, why) = recovery::look_for(&journal, &client, purchase, looking).await;
            if let Some(ticket) = &found.ticket {
                let ticket = Box::new(ticket.clone());
                let _ = tell.send(Told::Step(Step::Submitted(ticket)));
            }
            if found.state != State::Submitted || detach {
                return Ok((found, why));
            }
            let resumed = journal.resume(&client, found.id, move |step| {
                let _ = tell.send(Told::Step(step.clone()));
            });
            Ok((resumed.await?, None))
        })
    }

    fn take(&self, told: Told, known: &mut Known, progress: &Progress) {
        let step = match told {
            Told::Looking(line) if std::mem::replace(&mut known.is_looked_for, true) => {
                return progress.update(&line);
            }
            Told::Looking(line) => return progress.state(&line),
            Told::Step(step) => step,
        };
        match step {
            Step::Prepared(pictures) => {
                for picture in &pictures {
                    if !picture.changes.is_empty() || picture.sending == Sending::Upload {
                        progress.line(&picture.to_string());
                    }
                }
                known.pictures = pictures;
            }
            Step::Sending => {
                known.phase = Phase::Sending;
                progress.state("submitting");
            }
            Step::Submitted(ticket) => {
                if !self.detach {
                    progress.line(&format!("submitted as {}", ticket.request_id()));
                }
                known.error = None;
                known.phase = Phase::Bought(*ticket);
            }
            Step::Job(event) => {
                progress.event(&event);
                if let (Event::Completed(_), Phase::Bought(ticket)) = (&event, &known.phase) {
                    known.phase = Phase::Ended(ticket.clone());
                    progress.state("downloading");
                }
            }
            Step::UploadLost => {
                progress.line("an uploaded picture is gone at the service; uploading it again");
                known.phase = Phase::Preparing;
            }
            Step::Warning(warning) => progress.warn(&warning),
            Step::Failed(error) => known.error = Some(error),
            _ => {}
        }
    }

    /// The first signal waits for the outcome of the submit, a second one leaves at once.
    fn wait_for_id(&self, known: &mut Known, signal: Signal) -> Result<(), Failure> {
        if self.is_emulated {
            return Err(Failure::interrupted(
                signal,
                "interrupted; nothing was bought: the service was emulated",
            ));
        }
        if known.leaving.is_some() {
            return Err(Failure::unknown(
                "left while the purchase was on its way; it may have been accepted and billed",
            )
            .with_hint(
                "it is recorded: look for it with uso resume before running the command again",
            )
            .ended_by(signal));
        }
        known.leaving = Some(signal);
        self.printer.warn(
            "the purchase is on its way: waiting for its id; press Ctrl-C again to leave at once",
        );
        Ok(())
    }

    /// The first Ctrl-C detaches, a second one soon after cancels, a third leaves at once; the
    /// process ends by the signal in each case.
    async fn detach_or_cancel(
        &self,
        ticket: &Ticket,
        signal: Signal,
        signals: &mut Signals,
        mut work: Work,
    ) -> Failure {
        if self.is_emulated {
            return emulated(signal);
        }
        let id = ticket.request_id();
        self.printer.say("press Ctrl-C again now to cancel the job");
        let second = tokio::time::timeout(SECOND_THOUGHTS, signals.next()).await;
        if second.is_err() {
            return detached(ticket, signal, "detached: the job goes on");
        }
        let cancelling = async {
            let purchase = self.journal.find(self.client, id).await?;
            self.journal.cancel(self.client, purchase.id).await
        };
        let cancelled = tokio::select! {
            cancelled = cancelling => cancelled,
            signal = signals.next() => {
                return detached(ticket, signal, "left before the cancellation was answered; the job may go on");
            }
        };
        let outcome = match cancelled {
            Ok(Cancelled { outcome, .. }) => outcome,
            Err(error) => return Failure::from(error).ended_by(signal),
        };
        let (word, text) = describe(outcome);
        let failure = Failure::interrupted(signal, text)
            .with_partial(json!({ "request_id": id, "cancellation": word }));
        if outcome == CancelOutcome::Removed {
            // The work sees the end of the job, and closes the purchase.
            tokio::select! {
                _ = tokio::time::timeout(CLOSING, &mut work) => {}
                _ = signals.next() => {}
            }
            return failure;
        }
        failure.with_hint(format!("if it completes, collect it with: uso result {id}"))
    }
}

impl Known {
    /// Returns when a stopped purchase is left as it is: nothing of it was sent, since the stop is
    /// looked at after the submit is told.
    async fn left(&self) -> Signal {
        match (&self.phase, self.leaving, self.left_at) {
            (Phase::Preparing, Some(signal), Some(at)) => {
                tokio::time::sleep_until(at).await;
                signal
            }
            _ => std::future::pending().await,
        }
    }
}

/// Whether a purchase that was stopped had been sent.
fn was_sent(purchase: &Purchase) -> bool {
    let is_withdrawn = purchase.state == State::Cancelled && purchase.intent.is_none();
    !is_withdrawn && !purchase.is_not_bought()
}

/// The outcome of the work, with what was known of the purchase.
fn ended(outcome: Outcome, known: &mut Known) -> Result<Bought, Failure> {
    let pictures = std::mem::take(&mut known.pictures);
    let error = known.error.take();
    let (purchase, failure) = match outcome {
        Ok((purchase, why)) => {
            let failure = Failure::of_purchase(&purchase, error);
            (purchase, failure.map(|failure| failure.because(why)))
        }
        Err(failed) if matches!(known.phase, Phase::Sending) && is_of_journal(&failed) => {
            return Err(Failure::unrecorded(&failed, error));
        }
        Err(failed) if matches!(known.phase, Phase::Preparing) && is_of_journal(&failed) => {
            return Err(Failure::from(failed).because(Some("nothing was sent".to_owned())));
        }
        Err(error) => {
            let (purchase, failure) = Failure::uncollected(error)?;
            (purchase, Some(failure))
        }
    };
    Ok(Bought {
        purchase,
        pictures,
        failure,
    })
}

/// Whether the journal failed, and not the purchase.
fn is_of_journal(error: &Error) -> bool {
    matches!(
        error,
        Error::Database { .. } | Error::Io { .. } | Error::TakenOver(_) | Error::Interrupted(_)
    )
}

fn not_bought(signal: Signal) -> Failure {
    Failure::interrupted(signal, "interrupted; nothing was bought")
}

fn emulated(signal: Signal) -> Failure {
    Failure::interrupted(
        signal,
        "interrupted; the emulated job ended with its emulator",
    )
}

fn detached(ticket: &Ticket, signal: Signal, message: &str) -> Failure {
    let id = ticket.request_id();
    Failure::interrupted(signal, message)
        .with_hint(format!(
            "collect it with: uso result --wait {id}, or everything with uso resume"
        ))
        .with_partial(json!({ "request_id": id, "detached": true, "ticket": ticket }))
}
