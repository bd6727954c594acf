//! Records of a proxy's purchases in the journal: they survive a restart, and several proxies share
//! them.

use serde_json::Value;
use tokio::time::timeout;
use uso::Client;
use uso_journal::{Error, Journal, Relay, RelayEnd, RelayLimits, RelayRefusal};
use uso_proxy::{
    Caller, Guard, NOT_REPEATED_FOR, NotBegun, Purchase, PurchaseLimits, Recording, Records,
    RecordsError,
};
use uso_transport::{Operation, Ticket, Verdict};

use super::lines::{Lines, WITHIN, not_sent, text};
use crate::printer::Printer;

/// Records in the journal, which are also lines on stdout. Clones share everything.
#[derive(Clone)]
pub(super) struct JournalRecords {
    journal: Journal,
    client: Client,
    printer: Printer,
    lines: Lines,
}

impl JournalRecords {
    /// Records whose lines and warnings go to the printer.
    pub(super) fn new(journal: Journal, client: Client, printer: Printer) -> Self {
        Self {
            journal,
            client,
            printer,
            lines: Lines::new(printer),
        }
    }

    /// Warns of the purchases that may have been made and cannot be collected.
    pub(super) async fn warn_of_unknown(&self) {
        for purchase in self.unknown().await.unwrap_or_default() {
            let line = text(&purchase);
            self.printer
                .warn(&format!("the outcome is unknown: {line}"));
        }
    }

    async fn begin_in_journal(
        &self,
        purchase: &Purchase,
        limits: &PurchaseLimits,
    ) -> Result<Option<Guard>, NotBegun> {
        let digest = purchase.digest.iter().map(|byte| format!("{byte:02x}"));
        let relay = Relay {
            id: purchase.id.clone(),
            owner: purchase.caller.as_str().to_owned(),
            digest: digest.collect(),
            endpoint: purchase.endpoint.app().to_owned(),
            is_kept: is_kept(purchase),
            bound: purchase.reserved,
            record: record(purchase),
        };
        let limits = RelayLimits {
            per_day: limits.spending_per_day,
            kept: limits.requests_kept,
            kept_each: limits.requests_kept_each,
        };
        let begun = self.journal.begin_relay(&self.client, relay, limits).await;
        let begun = begun.map_err(|error| NotBegun::Unavailable(unavailable(error)))?;
        begun.map_err(|refusal| match refusal {
            RelayRefusal::Repeated {
                request_id,
                is_under_way,
                wait,
            } => NotBegun::Repeated {
                request_id,
                is_under_way,
                wait,
            },
            RelayRefusal::Spent(wait) => NotBegun::Spent(wait),
            RelayRefusal::TooDear => NotBegun::TooDear,
            RelayRefusal::OwnerIsFull => NotBegun::CallerIsFull,
            RelayRefusal::Full => NotBegun::Full,
            RelayRefusal::Budget(stop) => {
                let caller = &purchase.caller;
                let warning = format!("nothing is bought for {caller}: {stop}");
                self.printer.warn(&warning);
                NotBegun::Budget
            }
            _ => NotBegun::Full,
        })
    }

    async fn end_in_journal(
        &self,
        purchase: &Purchase,
        limits: &PurchaseLimits,
    ) -> Result<(), RecordsError> {
        let request_id = purchase.request_id.as_deref();
        let job = request_id
            .filter(|_| is_kept(purchase))
            .and_then(|id| self.client.job_by_id(id).ok());
        let end = RelayEnd {
            id: purchase.id.clone(),
            record: record(purchase),
            is_bought: match purchase.outcome {
                Some(Verdict::Bought) => Some(true),
                Some(Verdict::NotBought) => Some(false),
                _ => None,
            },
            ticket: job.map(|job| job.ticket().clone()),
            not_repeated_for: NOT_REPEATED_FOR,
            kept_for: limits.requests_kept_for,
        };
        let ended = self.journal.end_relay(&self.client, end).await;
        ended.map_err(unavailable)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err asks for"
)]
fn unavailable(error: Error) -> RecordsError {
    RecordsError(crate::root_cause::message_of(&error))
}

fn is_kept(purchase: &Purchase) -> bool {
    purchase.operation == Operation::Submit
}

fn record(purchase: &Purchase) -> Value {
    serde_json::to_value(purchase).unwrap_or_default()
}

impl Records for JournalRecords {
    fn begin<'a>(
        &'a self,
        purchase: &'a Purchase,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<Option<Guard>, NotBegun>> {
        Box::pin(async move {
            let refused = |error: &RecordsError| {
                self.printer.warn(&format!("nothing is bought: {error}"));
            };
            let begun = self.begin_in_journal(purchase, limits).await;
            if let Err(NotBegun::Unavailable(error)) = &begun {
                refused(error);
            }
            let guard = begun?;
            if let Err(error) = self.lines.line(purchase).await {
                refused(&error);
                // Where this fails, the purchase counts as unknown, and nothing was sent.
                let _ = self.end_in_journal(&not_sent(purchase), limits).await;
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
            let mut ending = std::pin::pin!(self.end_in_journal(purchase, limits));
            let recorded = match timeout(WITHIN, &mut ending).await {
                Ok(recorded) => recorded,
                Err(_) => {
                    let slow = RecordsError("the journal does not respond".to_owned());
                    self.lines.tell(purchase, &Err(slow)).await;
                    ending.await
                }
            };
            self.lines.tell(purchase, &recorded).await;
            recorded
        })
    }

    fn received<'a>(&'a self, purchase: &'a Purchase) -> Recording<'a, ()> {
        Box::pin(async move {
            // Where this fails, an equal purchase waits for two minutes.
            let _ = self
                .journal
                .relay_received(&self.client, &purchase.id)
                .await;
        })
    }

    fn owns<'a>(
        &'a self,
        caller: &'a Caller,
        ticket: &'a Ticket,
    ) -> Recording<'a, Result<bool, RecordsError>> {
        Box::pin(async move {
            let (app, id) = (ticket.endpoint().app(), ticket.request_id());
            let owner = self.journal.relay_owner(&self.client, app, id).await;
            let owner = owner.map_err(unavailable)?;
            Ok(owner.as_deref() == Some(caller.as_str()))
        })
    }

    fn adopt<'a>(
        &'a self,
        caller: &'a Caller,
        ticket: &'a Ticket,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<(), RecordsError>> {
        Box::pin(async move {
            let request = (ticket.endpoint().app(), ticket.request_id());
            let kept_for = limits.requests_kept_for;
            let adopted =
                self.journal
                    .adopt_relay(&self.client, caller.as_str(), request, kept_for);
            adopted.await.map_err(unavailable)
        })
    }

    fn unknown(&self) -> Recording<'_, Result<Vec<Purchase>, RecordsError>> {
        Box::pin(async move {
            let records = self.journal.unknown_relays(&self.client).await;
            let records = records.map_err(unavailable)?.into_iter();
            Ok(records
                .filter_map(|record| serde_json::from_value(record).ok())
                .collect())
        })
    }
}
