//! Looking for a purchase whose response was lost, and saying so while it lasts.

use std::time::Duration;

use tokio::time::Instant;
use uso::purchase::Recovery;
use uso::{Client, ErrorKind, Intent, Job};

use crate::progress::Progress;

/// How long a purchase is looked for before the command ends with exit code 6.
pub(crate) const WITHIN: Duration = Duration::from_secs(120);

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The job, if it is found among the account's requests in time. Otherwise the reason.
pub(crate) async fn look_for(
    client: &Client,
    intent: &Intent,
    progress: &Progress<'_>,
) -> Result<Job, String> {
    let started = Instant::now();
    let told = |seconds: u64| {
        format!(
            "the response was lost; looking whether the purchase was accepted ({seconds} of {} s)",
            WITHIN.as_secs()
        )
    };
    progress.state(&told(0));
    let searching = search(client, intent);
    let mut searching = std::pin::pin!(searching);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            found = &mut searching => return found,
            _ = second.tick() => {
                let waited = started.elapsed();
                if waited >= WITHIN {
                    return Err(format!(
                        "it was not found among the account's requests within {} s; it may still appear there",
                        WITHIN.as_secs()
                    ));
                }
                progress.update(&told(waited.as_secs()));
            }
        }
    }
}

async fn search(client: &Client, intent: &Intent) -> Result<Job, String> {
    let mut pause = FIRST_PAUSE;
    loop {
        match client.recover(intent).await {
            Ok(Recovery::Found(job)) => return Ok(job),
            Err(error) if error.kind() == ErrorKind::Auth => {
                return Err(
                    "the key may not read the list of requests, where the purchase could be found"
                        .to_owned(),
                );
            }
            Ok(Recovery::Undecidable { candidates, why }) if candidates.is_empty() => {
                return Err(why);
            }
            Ok(Recovery::Undecidable { candidates, why }) => {
                return Err(format!(
                    "{why}; it may be one of: {}",
                    candidates.join(", ")
                ));
            }
            Ok(_) | Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
