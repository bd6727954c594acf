//! Looking a purchase up whose response was lost.

use std::time::SystemTime;

use uso::purchase::Recovery;

use super::Work;
use crate::error::Error;
use crate::purchase::{Cause, Reason};
use crate::row::Step;

impl Work {
    /// Looks an unknown purchase up. Requests that other purchases have, or earlier attempts at this
    /// one, are none of it, however much their inputs are alike.
    pub(super) async fn look(&mut self) -> Result<(), Error> {
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
            Ok(Recovery::NotYet { until }) => {
                let left = until.duration_since(SystemTime::now()).unwrap_or_default();
                let message = format!(
                    "the account's listing does not show it yet, which can take up to {} s more",
                    left.as_secs() + 1
                );
                self.not_shown(Reason::new(Cause::NotYetListed, message))
                    .await
            }
            // The owner decides whether to risk paying again.
            Ok(Recovery::NotBought) => {
                let message = "the account's listing was read to its end and does not show it; \
                               write it off and retry it to buy again";
                self.not_shown(Reason::new(Cause::NotListed, message)).await
            }
            Ok(Recovery::Undecidable { candidates, why }) => {
                let message = match candidates.is_empty() {
                    true => why,
                    false => format!("{why}; it may be {}", candidates.join(", ")),
                };
                self.not_shown(Reason::new(Cause::Undecidable, message))
                    .await
            }
            Ok(_) => self.pause(None).await,
            Err(error) => Err(Error::Lookup {
                id: self.row.purchase.id,
                source: Box::new(error),
            }),
        }
    }

    /// A notification may have told meanwhile that it is bought, which stands.
    async fn not_shown(&mut self, reason: Reason) -> Result<(), Error> {
        let not_shown = Step::NotShown(reason);
        self.record_unless_bought(not_shown).await.map(drop)
    }
}
