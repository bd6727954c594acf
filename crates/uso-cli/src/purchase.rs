//! A purchase of one command: recorded before it is sent, and never cut off by a signal.

use std::time::Duration;

use serde_json::json;
use uso::purchase::Order;
use uso::status::Cancellation;
use uso::{Client, ErrorKind, Job};

use crate::cancellation::{describe, is_final};
use crate::failure::Failure;
use crate::printer::Printer;
use crate::progress::Progress;
use crate::records::{Entry, forget, is_over};
use crate::recovery;
use crate::signals::{Signal, Signals};

/// How long a second Ctrl-C cancels, after the first has detached.
const SECOND_THOUGHTS: Duration = Duration::from_secs(2);

/// A purchase on its way, with its record where it has one.
pub(crate) struct Purchase<'a> {
    /// None for the emulator in this process, which ends with it.
    pub(crate) entry: Option<Entry>,
    pub(crate) signals: &'a mut Signals,
    pub(crate) printer: &'a Printer,
}

impl Purchase<'_> {
    /// Sends the order. The second of the pair is the signal of a person who wants to leave.
    pub(crate) async fn place(
        &mut self,
        client: &Client,
        order: &Order,
        progress: &Progress<'_>,
    ) -> Result<(Job, Option<Signal>), Failure> {
        let placing = placed(client, order, progress);
        let mut placing = std::pin::pin!(placing);
        let mut leaving = None;
        let placed = loop {
            tokio::select! {
                placed = &mut placing => break placed,
                signal = self.signals.next() => {
                    progress.end();
                    if self.entry.is_none() {
                        return Err(Failure::interrupted(
                            signal,
                            "interrupted; nothing was bought: the service was emulated",
                        ));
                    }
                    if leaving.is_some() {
                        return Err(Failure::unknown(
                            "left while the purchase was on its way; it may have been accepted and billed",
                        )
                        .with_hint("it is recorded: look for it with uso resume before running the command again")
                        .ended_by(signal));
                    }
                    leaving = Some(signal);
                    self.printer.warn(
                        "the purchase is on its way: waiting for its id; press Ctrl-C again to leave at once",
                    );
                }
            }
        };
        match placed {
            Ok(job) => {
                if let Some(entry) = &mut self.entry
                    && let Err(error) = entry.bought(job.ticket())
                {
                    self.printer.warn(&format!(
                        "bought as {}, which could not be recorded: {error}",
                        job.ticket().request_id()
                    ));
                }
                Ok((job, leaving))
            }
            Err(failure) => {
                if failure.error().is_some_and(is_over) {
                    self.finish();
                }
                Err(match leaving {
                    Some(signal) => failure.ended_by(signal),
                    None => failure,
                })
            }
        }
    }

    /// Forgets the purchase: there is nothing left to collect.
    pub(crate) fn finish(&mut self) {
        if let Some(entry) = self.entry.take() {
            entry.record.target.give_back();
            forget(entry, self.printer);
        }
    }

    /// The first Ctrl-C detaches, a second one soon after cancels, a third leaves at once; the
    /// process ends by the signal in each case.
    pub(crate) async fn detach_or_cancel(mut self, job: &Job, signal: Signal) -> Failure {
        let id = job.ticket().request_id();
        let printer = self.printer;
        if self.entry.is_none() {
            return emulated(signal);
        }
        printer.say("press Ctrl-C again now to cancel the job");
        let second = tokio::time::timeout(SECOND_THOUGHTS, self.signals.next()).await;
        if second.is_err() {
            return detached(job, signal, "detached: the job goes on");
        }
        let cancellation = tokio::select! {
            cancellation = job.cancel() => cancellation,
            signal = self.signals.next() => {
                return detached(job, signal, "left before the cancellation was answered; the job may go on");
            }
        };
        let cancellation = match cancellation {
            Ok(cancellation) => cancellation,
            Err(error) => return Failure::from(error).ended_by(signal),
        };
        let (word, text) = describe(cancellation);
        if is_final(cancellation) {
            self.finish();
        }
        let failure = Failure::interrupted(signal, text)
            .with_partial(json!({ "request_id": id, "cancellation": word }));
        match cancellation {
            Cancellation::Removed => failure,
            _ => failure.with_hint(format!("if it completes, collect it with: uso result {id}")),
        }
    }

    /// Leaves a job that has ended, with its record.
    pub(crate) fn leave(self, job: &Job, signal: Signal) -> Failure {
        match self.entry {
            None => emulated(signal),
            Some(_) => detached(job, signal, "interrupted: the job has ended"),
        }
    }
}

/// The job of an order, also when the response to its submit was lost.
async fn placed(client: &Client, order: &Order, progress: &Progress<'_>) -> Result<Job, Failure> {
    let error = match client.place(order).await {
        Ok(job) => return Ok(job),
        Err(error) => error,
    };
    let (ErrorKind::OutcomeUnknown, Some(intent)) = (error.kind(), error.intent()) else {
        return Err(error.into());
    };
    match recovery::look_for(client, intent, progress).await {
        Ok(job) => Ok(job),
        Err(why) => {
            let message = error.to_string();
            Err(Failure::from(error).saying(format!("{message}; {why}")))
        }
    }
}

fn emulated(signal: Signal) -> Failure {
    Failure::interrupted(
        signal,
        "interrupted; the emulated job ended with its emulator",
    )
}

fn detached(job: &Job, signal: Signal, message: &str) -> Failure {
    let id = job.ticket().request_id();
    Failure::interrupted(signal, message)
        .with_hint(format!(
            "collect it with: uso result --wait {id}, or everything with uso resume"
        ))
        .with_partial(json!({ "request_id": id, "detached": true, "ticket": job.ticket() }))
}
