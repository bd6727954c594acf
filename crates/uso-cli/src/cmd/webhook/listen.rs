//! `uso webhook listen`: receives notifications until Ctrl-C.

use std::process::ExitCode;

use serde_json::json;
use uso::Config;
use uso::webhook::Notification;
use uso_journal::Notified;

use super::describe::{describe, to_json};
use crate::args::{Global, ListenArgs};
use crate::connection::base_urls;
use crate::document::merged;
use crate::failure::Failure;
use crate::journal;
use crate::notifications::{Audience, Notifications, contradiction};
use crate::printer::Printer;
use crate::signals::Signals;

pub(super) async fn run(
    global: &Global,
    args: &ListenArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let config = Config::keyless(base_urls(global)?);
    let journal = journal::connect(global).await?;
    let mut signals = Signals::listen().map_err(Failure::no_signals)?;
    let notifications = Notifications::listen(&config, args.listen)?;
    let address = notifications.address().unwrap_or(args.listen);
    printer.say(&format!(
        "listening on http://{address}/ for notifications to --webhook, at any path; Ctrl-C stops it"
    ));
    let stop = async {
        signals.next().await;
    };
    notifications.receive(journal, Told(*printer), stop).await;
    Ok(ExitCode::SUCCESS)
}

/// Prints what becomes of notifications.
struct Told(Printer);

impl Audience for Told {
    fn warn(&self, message: &str) {
        self.0.warn(message);
    }

    fn repeated(&self, request_id: &str) {
        let line = format!("{request_id}: a repeated notification, handled already");
        self.0.say(&line);
    }

    fn recorded(&self, notification: &Notification, notified: &Notified) -> Result<(), Failure> {
        let id = notification.request_id();
        let mut line = describe(notification);
        let word = match notified {
            Notified::Known(_) => Some("recorded"),
            Notified::Adopted(_) => {
                line.push_str("; adopted, since the response to its submit was lost");
                Some("adopted")
            }
            Notified::Contradicts(_) => Some("contradicted"),
            _ => None,
        };
        let job = notified.purchase().map(|purchase| purchase.id);
        let recorded = json!({ "purchase": word, "job": job });
        let document = merged(to_json(notification), recorded);
        self.0.data(&document, &[line])?;
        match notified {
            Notified::Adopted(_) => {
                self.0
                    .say(&format!("{id}: collect it with: uso resume {id}"));
            }
            Notified::Contradicts(purchase) => self
                .0
                .warn(&format!("{id}: {}", contradiction(purchase, id))),
            _ => {}
        }
        Ok(())
    }
}
