//! Lines of purchases on stdout: one before each purchase and one after it.
//!
//! A terminal that was halted with Ctrl-S takes no line for as long as it likes, and a full disk never
//! does. So a thread of its own writes the lines, a purchase waits for its first line, and without
//! that line it is not sent.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use uso_proxy::{Purchase, RecordsError};
use uso_transport::{Delivery, Verdict};

use crate::printer::Printer;

/// The longest wait for a line. A reader that keeps up takes a line in less than a millisecond.
pub(super) const WITHIN: Duration = Duration::from_secs(2);

/// Lines that wait to be written.
const QUEUE: usize = 256;

/// The lines, and the thread that writes them. Clones share everything.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
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
    /// Lines that go to the printer.
    pub(super) fn new(printer: Printer) -> Self {
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
            queue,
            printer,
            unrecorded: Mutex::default(),
        }))
    }

    /// Whether the outcome has no line yet; a failed record is repeated, and the line is not.
    fn is_first(&self, purchase: &Purchase, recorded: &Result<(), RecordsError>) -> bool {
        let unrecorded = self.0.unrecorded.lock();
        let mut unrecorded = unrecorded.unwrap_or_else(PoisonError::into_inner);
        match recorded {
            Ok(()) => !unrecorded.remove(&purchase.id),
            Err(_) => unrecorded.insert(purchase.id.clone()),
        }
    }

    /// Tells the outcome, unless it was told before.
    pub(super) async fn tell(&self, purchase: &Purchase, recorded: &Result<(), RecordsError>) {
        if !self.is_first(purchase, recorded) {
            return;
        }
        if let Err(error) = recorded {
            let line = text(purchase);
            let warning = format!("not recorded in the journal yet: {line}: {error}");
            self.0.printer.warn(&warning);
        }
        if self.line(purchase).await.is_err() {
            let warning = format!("not recorded on stdout: {}", text(purchase));
            self.0.printer.warn(&warning);
        }
    }

    /// Returns when the line is written.
    pub(super) async fn line(&self, purchase: &Purchase) -> Result<(), RecordsError> {
        let (written, wait) = oneshot::channel();
        let purchase = purchase.clone();
        let writing = async {
            let line = Line { purchase, written };
            self.0.queue.send(line).await.ok()?;
            wait.await.ok()
        };
        match timeout(WITHIN, writing).await {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(RecordsError("stdout cannot be written".to_owned())),
            Err(_) => Err(RecordsError("stdout takes no line".to_owned())),
        }
    }
}

/// The purchase as one that was recorded and not sent.
pub(super) fn not_sent(purchase: &Purchase) -> Purchase {
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
pub(super) fn text(purchase: &Purchase) -> String {
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
