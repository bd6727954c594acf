//! The records of purchases, on stdout.
//!
//! A terminal that was halted with Ctrl-S takes nothing for as long as it likes, and a full disk
//! never. So they are written by a thread of their own, and when one cannot be written, nothing more
//! is bought.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::sync::oneshot;
use uso_proxy::{Proxy, Purchase};

use crate::output::Printer;

/// How long the last records may take at the end.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// A record, or the end.
type Entry = Option<Purchase>;

/// Records that wait to be written.
pub(super) struct Records {
    sender: Sender<Entry>,
    receiver: Receiver<Entry>,
}

/// The thread that writes them.
pub(super) struct Written {
    sender: Sender<Entry>,
    ended: oneshot::Receiver<()>,
}

impl Records {
    pub(super) fn new() -> Self {
        let (sender, receiver) = channel();
        Self { sender, receiver }
    }

    /// What takes a record; it never waits.
    pub(super) fn sender(&self) -> impl Fn(&Purchase) + Send + Sync + 'static {
        let sender = self.sender.clone();
        move |purchase| {
            // The thread is there until it is told to end.
            let _ = sender.send(Some(purchase.clone()));
        }
    }

    /// Writes them from now on.
    pub(super) fn write(self, printer: Printer, proxy: Proxy) -> Written {
        let Self { sender, receiver } = self;
        let (end, ended) = oneshot::channel();
        std::thread::spawn(move || {
            let mut fails = false;
            for purchase in receiver.iter().map_while(|entry| entry) {
                let value = serde_json::to_value(&purchase).unwrap_or_default();
                let line = line(&purchase, &value);
                if !fails && let Err(error) = printer.try_data(&value, std::slice::from_ref(&line))
                {
                    fails = true;
                    proxy.stop_buying();
                    printer.warn(&format!(
                        "a purchase could not be recorded on stdout: {error}"
                    ));
                    printer.warn("nothing more is bought, and its records come here: start the proxy again with a stdout that takes them");
                }
                if fails {
                    printer.warn(&line);
                }
            }
            let _ = end.send(());
        });
        Written { sender, ended }
    }
}

impl Written {
    /// Waits until all are written.
    pub(super) async fn end(self, printer: Printer) {
        let _ = self.sender.send(None);
        let written = tokio::time::timeout(WRITTEN_WITHIN, self.ended).await;
        if written.is_err() {
            printer.warn("stdout takes nothing, so some purchases are not recorded");
        }
    }
}

fn line(purchase: &Purchase, value: &serde_json::Value) -> String {
    let field = |name: &str| value.get(name).and_then(|field| field.as_str());
    let status = purchase.status.map_or_else(
        || field("delivery").unwrap_or_default().to_owned(),
        |status| status.to_string(),
    );
    format!(
        "{} {} {} {} {} {} {status}",
        field("at").unwrap_or_default(),
        purchase.caller,
        purchase.operation,
        purchase.endpoint,
        field("request_id").unwrap_or("-"),
        purchase.estimate,
    )
}
