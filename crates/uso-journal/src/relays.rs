//! Records of a proxy's purchases: begun, ended, and looked up by their owners.

use std::time::Duration;

use serde_json::Value;
use uso::Client;

use crate::error::Error;
use crate::journal::Journal;
use crate::purchase::{Cause, Reason};
use crate::relay::{RecordedEnd, Relay, RelayEnd, RelayGuard, RelayLimits, RelayRefusal};
use crate::row::Step;

impl Journal {
    /// Records a purchase that a proxy is about to send for a caller, and reserves its money, in one
    /// transaction: of several equal purchases at the same time, also through several proxies, one
    /// begins. A purchase that begins may have a guard, which decides whether it may still be sent.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used; then nothing may be sent.
    pub async fn begin_relay(
        &self,
        client: &Client,
        relay: Relay,
        limits: RelayLimits,
    ) -> Result<Result<Option<RelayGuard>, RelayRefusal>, Error> {
        let realm = self.shared.realm(client).await?;
        self.shared.release_gone().await?;
        let store = &self.shared.store;
        let begun = store.begin_relay(realm, relay, limits).await?;
        Ok(begun.map(|row| store.guard(&row)))
    }

    /// Records the outcome of a purchase: one that was not bought frees its money and its place, one
    /// whose outcome is not known stays reserved and is `unknown`, and any other is `handed_over`. The
    /// same end may be recorded again. A row that has ended meanwhile in another way keeps its state.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used; then nothing is recorded.
    pub async fn end_relay(&self, client: &Client, end: RelayEnd) -> Result<(), Error> {
        let realm = self.shared.realm(client).await?;
        let milliseconds = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4);
        let is_free = end.is_bought == Some(false);
        let ticket = end.ticket;
        let request_id = ticket.as_ref().map(|ticket| ticket.request_id().to_owned());
        let time = |time: Duration, counts: bool| if counts { milliseconds(time) } else { 0 };
        let recorded = RecordedEnd {
            id: end.id,
            record: end.record.to_string(),
            repeat_ms: time(end.not_repeated_for, !is_free),
            kept_ms: time(end.kept_for, !is_free && request_id.is_some()),
            request_id,
            step: match end.is_bought {
                Some(true) => Step::HandOver(ticket.map(Box::new)),
                Some(false) => Step::Refuse(Reason::new(
                    Cause::NotBought,
                    "nothing was bought: the submit was refused, or not sent",
                )),
                None => Step::Lose {
                    reason: Reason::new(Cause::ResponseLost, "the response was lost"),
                    intent: None,
                },
            },
        };
        self.shared.store.end_relay(realm, recorded).await
    }

    /// Lets an equal purchase begin: the caller has the whole response to this one.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn relay_received(&self, client: &Client, id: &str) -> Result<(), Error> {
        let realm = self.shared.realm(client).await?;
        self.shared.store.relay_received(realm, id.to_owned()).await
    }

    /// The owner of a request, if a proxy of this journal has one.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn relay_owner(
        &self,
        client: &Client,
        app: &str,
        request_id: &str,
    ) -> Result<Option<String>, Error> {
        let realm = self.shared.realm(client).await?;
        let (app, request_id) = (app.to_owned(), request_id.to_owned());
        self.shared.store.relay_owner(realm, app, request_id).await
    }

    /// Makes a caller the owner of a request that has none.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn adopt_relay(
        &self,
        client: &Client,
        owner: &str,
        (app, request_id): (&str, &str),
        kept_for: Duration,
    ) -> Result<(), Error> {
        let realm = self.shared.realm(client).await?;
        let kept = i64::try_from(kept_for.as_millis()).unwrap_or(i64::MAX / 4);
        let names = [owner, app, request_id].map(str::to_owned);
        self.shared.store.adopt_relay(realm, names, kept).await
    }

    /// The records of purchases that may have been bought and cannot be collected.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn unknown_relays(&self, client: &Client) -> Result<Vec<Value>, Error> {
        let realm = self.shared.realm(client).await?;
        self.shared.release_gone().await?;
        let records = self.shared.store.unknown_relays(realm).await?;
        let records = records.iter();
        Ok(records
            .filter_map(|record| serde_json::from_str(record).ok())
            .collect())
    }
}
