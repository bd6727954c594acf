//! Records of purchases as lines on stdout: one before each purchase and one after it.
//!
//! A terminal that was halted with Ctrl-S takes no line for as long as it likes, and a full disk never
//! does. So a thread of its own writes the lines, a purchase waits for its first line, and without
//! that line it is not sent.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use uso_proxy::{
    Caller, Guard, NotBegun, Purchase, PurchaseLimits, Recording, Records, RecordsError,
};
use uso_transport::{Delivery, Ticket, Verdict};

use super::journal_records::JournalRecords;
use crate::printer::Printer;

/// The longest wait for a line. A reader that keeps up takes a line in less than a millisecond.
const WITHIN: Duration = Duration::from_secs(2);

/// Lines that wait to be written.
const QUEUE: usize = 256;

/// Records in the journal that are also lines on stdout. Clones share everything.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    inner: JournalRecords,
    queue: mpsc::Sender<Line>,
    printer: Printer,
    /// Ids of the purchases that have their line, and whose outcome is not in the journal yet.
    unrecorded: Mutex<HashSet<String>>,
}

struct Line {
    purchase: Purchase,
    /// Told when the line is written; dropped when it could not be.
    written: oneshot::Sender<()>,
}

impl Lines {
    /// Records whose lines go to the printer.
    pub(super) fn new(printer: Printer, inner: JournalRecords) -> Self {
        let (queue, mut lines) = mpsc::channel::<Line>(QUEUE);
        std::thread::spawn(move || {
            while let Some(line) = lines.blocking_recv() {
                // Its purchase does not wait any more: it was not sent, or stderr has its outcome.
                if line.written.is_closed() {
                    continue;
                }
                if let Err(error) = write(printer, &line.purchase) {
                    printer.warn(&format!("stdout cannot be written: {error}"));
                } else if line.written.send(()).is_err() && line.purchase.outcome.is_none() {
                    // It gave up while the line was being written, and was not sent.
                    let _ = write(printer, &not_sent(&line.purchase));
                }
            }
        });
        Self(Arc::new(Shared {
            inner,
            queue,
            printer,
            unrecorded: Mutex::default(),
        }))
    }

    /// Warns of the purchases that may have been made and cannot be collected.
    pub(super) async fn warn_of_unknown(&self) {
        for purchase in self.0.inner.unknown().await.unwrap_or_default() {
            let line = text(&purchase);
            self.0
                .printer
                .warn(&format!("the outcome is unknown: {line}"));
        }
    }
}

impl Shared {
    /// Whether the outcome has no line yet; a failed record is repeated, and the line is not.
    fn is_first(&self, purchase: &Purchase, recorded: &Result<(), RecordsError>) -> bool {
        let unrecorded = self.unrecorded.lock();
        let mut unrecorded = unrecorded.unwrap_or_else(PoisonError::into_inner);
        match recorded {
            Ok(()) => !unrecorded.remove(&purchase.id),
            Err(_) => unrecorded.insert(purchase.id.clone()),
        }
    }

    /// Tells the outcome, unless it was told before.
    async fn tell(&self, purchase: &Purchase, recorded: &Result<(), RecordsError>) {
        if !self.is_first(purchase, recorded) {
            return;
        }
        if let Err(error) = recorded {
            let line = text(purchase);
            let warning = format!("not recorded in the journal yet: {line}: {error}");
            self.printer.warn(&warning);
        }
        if self.line(purchase).await.is_err() {
            let warning = format!("not recorded on stdout: {}", text(purchase));
            self.printer.warn(&warning);
        }
    }

    async fn line(&self, purchase: &Purchase) -> Result<(), RecordsError> {
        let (written, wait) = oneshot::channel();
        let purchase = purchase.clone();
        let writing = async {
            let line = Line { purchase, written };
            self.queue.send(line).await.ok()?;
            wait.await.ok()
        };
        match timeout(WITHIN, writing).await {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(RecordsError("stdout cannot be written".to_owned())),
            Err(_) => Err(RecordsError("stdout takes no line".to_owned())),
        }
    }
}

impl Records for Lines {
    fn begin<'a>(
        &'a self,
        purchase: &'a Purchase,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<Option<Guard>, NotBegun>> {
        Box::pin(async move {
            let refused = |error: &RecordsError| {
                self.0.printer.warn(&format!("nothing is bought: {error}"));
            };
            let begun = self.0.inner.begin(purchase, limits).await;
            if let Err(NotBegun::Unavailable(error)) = &begun {
                refused(error);
            }
            let guard = begun?;
            if let Err(error) = self.0.line(purchase).await {
                refused(&error);
                // Where this fails, the purchase counts as unknown, and nothing was sent.
                let _ = self.0.inner.end(&not_sent(purchase), limits).await;
                return Err(NotBegun::Unavailable(error));
            }
            Ok(guard)
        })
    }

    fn end<'a>(
        &'a self,
        purchase: &'a Purchase,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<(), RecordsError>> {
        Box::pin(async move {
            let mut ending = self.0.inner.end(purchase, limits);
            let recorded = match timeout(WITHIN, &mut ending).await {
                Ok(recorded) => recorded,
                Err(_) => {
                    let slow = RecordsError("the journal does not respond".to_owned());
                    self.0.tell(purchase, &Err(slow)).await;
                    ending.await
                }
            };
            self.0.tell(purchase, &recorded).await;
            recorded
        })
    }

    fn received<'a>(&'a self, purchase: &'a Purchase) -> Recording<'a, ()> {
        self.0.inner.received(purchase)
    }

    fn owns<'a>(
        &'a self,
        caller: &'a Caller,
        ticket: &'a Ticket,
    ) -> Recording<'a, Result<bool, RecordsError>> {
        self.0.inner.owns(caller, ticket)
    }

    fn adopt<'a>(
        &'a self,
        caller: &'a Caller,
        ticket: &'a Ticket,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<(), RecordsError>> {
        self.0.inner.adopt(caller, ticket, limits)
    }

    fn unknown(&self) -> Recording<'_, Result<Vec<Purchase>, RecordsError>> {
        self.0.inner.unknown()
    }
}

fn not_sent(purchase: &Purchase) -> Purchase {
    let mut purchase = purchase.clone();
    purchase.delivery = Delivery::NotSent;
    purchase.outcome = Some(Verdict::NotBought);
    purchase
}

fn write(printer: Printer, purchase: &Purchase) -> std::io::Result<()> {
    let value = serde_json::to_value(purchase).unwrap_or_default();
    printer.try_data(&value, &[text(purchase)])
}

/// A purchase as a line: time, id, caller, operation, endpoint, request id, price and outcome.
fn text(purchase: &Purchase) -> String {
    let outcome = match purchase.outcome {
        None => "sending",
        Some(Verdict::Bought) => "bought",
        Some(Verdict::NotBought) => "not bought",
        Some(Verdict::Unknown) => "unknown",
    };
    let status = purchase.status.map(|status| format!(" ({status})"));
    let line = format!(
        "{} {} {} {} {} {} {} {outcome}{}",
        humantime::format_rfc3339_millis(purchase.at),
        purchase.id,
        purchase.caller,
        purchase.operation,
        purchase.endpoint,
        purchase.request_id.as_deref().unwrap_or("-"),
        purchase.estimate,
        status.unwrap_or_default(),
    );
    // A record is one line, whatever a check calls its callers.
    line.chars().filter(|letter| !letter.is_control()).collect()
}
