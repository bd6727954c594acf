//! Notifications as proofs of purchases.

use uso::webhook::Notification;

use crate::error::Error;
use crate::journal::Journal;
use crate::purchase::Purchase;
use crate::row::Step;

/// Result of a notification: the purchase that the journal knows by it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notified {
    /// No purchase of this journal is meant.
    Foreign,
    /// The purchase is recorded with this request id already.
    Known(Box<Purchase>),
    /// The response to the submit was lost; the request id is recorded now.
    Adopted(Box<Purchase>),
    /// The notification proves another request than the one that stands for this purchase: two
    /// submits of one attempt were accepted, or an earlier attempt was bought besides a later one.
    Contradicts(Box<Purchase>),
}

impl Notified {
    /// The purchase that is meant.
    pub fn purchase(&self) -> Option<&Purchase> {
        match self {
            Self::Foreign => None,
            Self::Known(purchase) | Self::Adopted(purchase) | Self::Contradicts(purchase) => {
                Some(purchase)
            }
        }
    }
}

impl Journal {
    /// Takes a verified notification of the service: records the request id of a purchase whose
    /// response was lost. The purchase is found by the attempt id in the path of the notification,
    /// which only this purchase knows, so that no key and no client is needed. Nothing is sent. A
    /// batch of this journal that [awaits notifications](crate::Batch::await_notifications) collects
    /// the job.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used: answer the notification with an error, so that it comes
    /// again.
    pub async fn deliver(&self, notification: &Notification) -> Result<Notified, Error> {
        let notified = self.record(notification).await?;
        if let Notified::Known(_) | Notified::Adopted(_) = &notified {
            self.shared.awaited.tell(notification.request_id());
        }
        Ok(notified)
    }

    async fn record(&self, notification: &Notification) -> Result<Notified, Error> {
        let id = notification.request_id();
        let digest = notification.attempt_digest();
        let found = self.shared.store.notified(id.to_owned(), digest.clone());
        let found = found.await?;
        let is_proved = |purchase: &Purchase| {
            let own = purchase
                .intent
                .as_ref()
                .and_then(uso::Intent::attempt_digest);
            digest.is_some() && own == digest.as_deref()
        };
        let mut known = None;
        for row in found {
            let purchase = row.purchase;
            match (purchase.request_id(), &purchase.intent) {
                (Some(own), _) if own == id => known = Some(Notified::Known(Box::new(purchase))),
                (Some(_), _) if is_proved(&purchase) => {
                    return Ok(Notified::Contradicts(Box::new(purchase)));
                }
                (None, Some(intent)) if is_proved(&purchase) => {
                    let Ok(ticket) = intent.ticket(id) else {
                        continue;
                    };
                    let accept = Step::Accept {
                        attempt: purchase.attempt,
                        ticket: Box::new(ticket),
                    };
                    let row = self.shared.store.apply(purchase.id, None, accept).await?;
                    return Ok(Notified::Adopted(Box::new(row.purchase)));
                }
                _ => {}
            }
        }
        if let Some(known) = known {
            return Ok(known);
        }
        self.record_earlier(notification).await
    }

    /// Takes a notification of an earlier attempt at a purchase: its purchase stands for the purchase
    /// if nothing of the current attempt was sent.
    async fn record_earlier(&self, notification: &Notification) -> Result<Notified, Error> {
        let id = notification.request_id();
        let (store, digest) = (&self.shared.store, notification.attempt_digest());
        let found = store.notified_earlier(id.to_owned(), digest).await?;
        let Some(earlier) = found.into_iter().next() else {
            return Ok(Notified::Foreign);
        };
        let ticket = earlier.intent.as_ref().map(|intent| intent.ticket(id));
        let proof = earlier.intent.zip(ticket.and_then(Result::ok));
        let notified = match (earlier.request_id, proof) {
            (Some(known), _) if known == id => Notified::Known,
            (None, Some((intent, ticket))) => {
                let accept = Step::AcceptEarlier {
                    intent: Box::new(intent),
                    ticket: Box::new(ticket.clone()),
                };
                match store.apply(earlier.job, None, accept).await {
                    Ok(_) => Notified::Adopted,
                    // The current attempt was sent, and a search for it is not to find this job.
                    Err(Error::NotAllowed { .. }) => {
                        let (job, number) = (earlier.job, earlier.number);
                        self.shared.record_earlier(job, number, &ticket).await?;
                        Notified::Contradicts
                    }
                    Err(error) => return Err(error),
                }
            }
            _ => Notified::Contradicts,
        };
        let row = self.shared.row(earlier.job).await?;
        Ok(notified(Box::new(row.purchase)))
    }
}
