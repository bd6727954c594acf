//! A purchase by hand: noted before it is sent, and never killed in the middle of a word.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use uso::purchase::Order;
use uso::status::Cancellation;
use uso::{Client, Job};

use crate::cmd::cancel::{is_final, told};
use crate::exit::{Failure, OTHER};
use crate::output::Printer;
use crate::signals::Signals;
use crate::state::{Entry, is_over};

/// How long a second Ctrl-C cancels, after the first has detached.
const SECOND_THOUGHTS: Duration = Duration::from_secs(2);

/// A purchase on its way, with its record where it has one.
pub(crate) struct Purchase<'a> {
    /// None for the emulator in this process, which dies with it.
    pub(crate) entry: Option<Entry>,
    pub(crate) signals: &'a mut Signals,
    pub(crate) printer: &'a Printer,
}

impl Purchase<'_> {
    /// Sends the order. The second of the pair says whether the person wants to leave.
    pub(crate) async fn place(
        &mut self,
        client: &Client,
        order: &Order,
    ) -> Result<(Job, bool), Failure> {
        let mut placing = std::pin::pin!(client.place(order));
        let mut leaving = false;
        let placed = loop {
            tokio::select! {
                placed = &mut placing => break placed,
                () = self.signals.next() => {
                    if self.entry.is_none() {
                        return Err(Failure::other("interrupted; nothing was bought, it was emulated"));
                    }
                    if leaving {
                        return Err(Failure::unknown(
                            "left while the purchase was on its way; it may have been accepted and billed",
                        )
                        .with_hint("it is noted: look for it with uso resume, and do not run the command again before"));
                    }
                    leaving = true;
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
                        "bought as {}, which could not be noted: {error}",
                        job.ticket().request_id()
                    ));
                }
                Ok((job, leaving))
            }
            Err(error) => {
                if is_over(&error) {
                    self.finish();
                }
                Err(error.into())
            }
        }
    }

    /// Forgets the purchase: there is nothing left to collect.
    pub(crate) fn finish(&mut self) {
        if let Some(entry) = self.entry.take() {
            forget(entry, self.printer);
        }
    }

    /// The first Ctrl-C detaches, a second one soon after cancels, a third leaves at once.
    pub(crate) async fn detach_or_cancel(mut self, job: &Job) -> Result<ExitCode, Failure> {
        let id = job.ticket().request_id();
        let printer = self.printer;
        if self.entry.is_none() {
            return Err(Failure::other(
                "interrupted; the emulated job is gone with its emulator",
            ));
        }
        printer.warn(&detached(id));
        printer.warn("press Ctrl-C again now to cancel it");
        let second = tokio::time::timeout(SECOND_THOUGHTS, self.signals.next()).await;
        if second.is_err() {
            return Ok(self.detached(job));
        }
        let cancellation = tokio::select! {
            cancellation = job.cancel() => cancellation?,
            () = self.signals.next() => {
                printer.warn("left before the cancellation was answered; the job may go on");
                return Ok(self.detached(job));
            }
        };
        let (word, text) = told(cancellation);
        printer.warn(text);
        if is_final(cancellation) {
            self.finish();
        }
        if cancellation == Cancellation::AlreadyCompleted {
            printer.warn(&format!("collect it with: uso result {id}"));
        }
        printer.data(&json!({ "request_id": id, "cancellation": word }), &[]);
        Ok(ExitCode::from(OTHER))
    }

    /// Leaves the job, which has ended, with its record.
    pub(crate) fn leave(self, job: &Job) -> Result<ExitCode, Failure> {
        if self.entry.is_none() {
            return Err(Failure::other(
                "interrupted; the emulated job is gone with its emulator",
            ));
        }
        let id = job.ticket().request_id();
        self.printer.warn(&format!(
            "interrupted: the job has ended; collect it with uso result {id}, or with uso resume"
        ));
        Ok(self.detached(job))
    }

    fn detached(&self, job: &Job) -> ExitCode {
        let id = job.ticket().request_id();
        self.printer.data(
            &json!({ "request_id": id, "detached": true, "ticket": job.ticket() }),
            &[],
        );
        ExitCode::from(OTHER)
    }
}

fn detached(id: &str) -> String {
    format!(
        "detached: the job goes on; collect it with uso result {id}, or everything with uso resume"
    )
}

/// Removes a record that has served its purpose.
pub(crate) fn forget(entry: Entry, printer: &Printer) {
    let path = entry.path().to_owned();
    if let Err(error) = entry.finish() {
        printer.warn(&format!(
            "the record {} is of no more use and could not be removed: {error}",
            path.display()
        ));
    }
}
