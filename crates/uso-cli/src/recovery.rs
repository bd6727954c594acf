//! Looking for a purchase whose response was lost, and saying so while it lasts.

use std::time::Duration;

use tokio::time::Instant;
use uso::{Client, ErrorKind};
use uso_journal::{Cause, Error, Journal, Purchase, State};

/// How long a purchase is looked for before the command ends with exit code 6.
pub(crate) const WITHIN: Duration = Duration::from_secs(120);

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Looks for an unknown purchase among the account's requests until it is found, cannot be found, or
/// the time is over. The second of the pair says why it is still unknown.
pub(crate) async fn look_for(
    journal: &Journal,
    client: &Client,
    unknown: Purchase,
    tell: impl Fn(String),
) -> (Purchase, Option<String>) {
    let started = Instant::now();
    let searching = search(journal, client, unknown.clone());
    let mut searching = std::pin::pin!(searching);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            found = &mut searching => return found,
            _ = second.tick() => {
                let waited = started.elapsed();
                if waited >= WITHIN {
                    let why = format!(
                        "it was not found among the account's requests within {} s; it may still appear there",
                        WITHIN.as_secs()
                    );
                    return (unknown, Some(why));
                }
                tell(format!(
                    "the response was lost; looking whether the purchase was accepted ({} of {} s)",
                    waited.as_secs(),
                    WITHIN.as_secs()
                ));
            }
        }
    }
}

async fn search(
    journal: &Journal,
    client: &Client,
    mut purchase: Purchase,
) -> (Purchase, Option<String>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match journal.reconcile(client, purchase.id).await {
            Ok(found) if found.state != State::Unknown => return (found, None),
            Ok(unknown) => {
                let reason = unknown.reason.clone();
                purchase = unknown;
                if let Some(reason) = reason.filter(|reason| reason.cause == Cause::Undecidable) {
                    return (purchase, Some(reason.message));
                }
            }
            Err(Error::Lookup { source, .. }) if source.kind() == ErrorKind::Auth => {
                let why =
                    "the key may not read the list of requests, where the purchase could be found";
                return (purchase, Some(why.to_owned()));
            }
            Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
