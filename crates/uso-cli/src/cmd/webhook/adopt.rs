//! Finding the noted purchase that a notification is about.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uso::Client;
use uso::webhook::Notification;

use crate::printer::Printer;
use crate::records::{Record, State, Taken};

/// How long a record that another process holds is waited for. fal waits 15 s for the answer.
const PATIENCE: Duration = Duration::from_secs(5);
const GLANCE: Duration = Duration::from_millis(50);

/// What the notes say of a notification.
pub(super) enum Purchase {
    /// No unfinished purchase is announced at this address.
    Unknown,
    /// It is noted with this very request id.
    Noted,
    /// Its answer was lost; its ticket is noted now.
    Adopted,
    /// It is noted as another request: two requests were accepted for one purchase.
    Contradicted { noted_as: String },
}

/// Why the notes could not be asked.
pub(super) struct NotNow(pub(super) String);

/// Where the unfinished purchases of one service are noted.
pub(super) struct Notes {
    pub(super) client: Client,
    pub(super) origin: String,
    pub(super) state: State,
    pub(super) printer: Printer,
}

impl Notes {
    /// Notes the ticket of the purchase that this notification proves, where that is missing.
    pub(super) async fn adopt(&self, notification: &Notification) -> Result<Purchase, NotNow> {
        let until = Instant::now() + PATIENCE;
        let mut waits = false;
        while let Some(path) = self.find(notification)? {
            if let Some(purchase) = self.take(path, notification)? {
                return Ok(purchase);
            }
            if Instant::now() >= until {
                return Err(NotNow(
                    "another process works on its purchase and has not noted its id yet".to_owned(),
                ));
            }
            if !waits {
                waits = true;
                self.printer.say(&format!(
                    "{}: another process works on its purchase; waiting for it",
                    notification.request_id()
                ));
            }
            sleep(GLANCE).await;
        }
        Ok(Purchase::Unknown)
    }

    /// The record whose address was called. One of another service is not this notification's to prove.
    fn find(&self, notification: &Notification) -> Result<Option<PathBuf>, NotNow> {
        let Some(attempt_id) = notification.attempt_id() else {
            return Ok(None);
        };
        let records = self.state.records();
        let mut unreadable = None;
        for path in records.map_err(|failure| NotNow(failure.chain()))? {
            match Record::read(&path) {
                Ok(Some(record))
                    if record.origin == self.origin && record.intent.recognises(attempt_id) =>
                {
                    return Ok(Some(path));
                }
                Ok(_) => {}
                Err(error) => unreadable = Some((path, error)),
            }
        }
        match unreadable {
            None => Ok(None),
            // It may be the one: the notification is its proof, and must not be used up.
            Some((path, error)) => Err(NotNow(format!(
                "the record {} cannot be read: {error}",
                path.display()
            ))),
        }
    }

    /// Nothing when another process holds the record and has not noted a ticket.
    fn take(&self, path: PathBuf, notification: &Notification) -> Result<Option<Purchase>, NotNow> {
        let failed = |path: &Path, error: &dyn std::fmt::Display| {
            NotNow(format!(
                "the record {} cannot be used: {error}",
                path.display()
            ))
        };
        if let Some(purchase) = Record::peek(&path).and_then(|record| noted(&record, notification))
        {
            return Ok(Some(purchase));
        }
        let taken = State::take(path.clone()).map_err(|error| failed(&path, &error))?;
        let mut entry = match taken {
            Taken::Entry(entry) => entry,
            Taken::Busy => return Ok(None),
            Taken::Finished => return Ok(Some(Purchase::Noted)),
            Taken::Unreadable(why) => return Err(failed(&path, &why)),
        };
        if let Some(purchase) = noted(&entry.record, notification) {
            return Ok(Some(purchase));
        }
        let job = self.client.adopt(&entry.record.intent, notification);
        let job = job.map_err(|error| failed(&path, &error))?;
        let bought = entry.bought(job.ticket());
        bought.map_err(|error| failed(&path, &error))?;
        Ok(Some(Purchase::Adopted))
    }
}

/// What a record says that has its ticket already.
fn noted(record: &Record, notification: &Notification) -> Option<Purchase> {
    let id = record.request_id()?;
    Some(if id == notification.request_id() {
        Purchase::Noted
    } else {
        let noted_as = id.to_owned();
        Purchase::Contradicted { noted_as }
    })
}
