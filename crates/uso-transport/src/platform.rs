//! Finding a purchase whose answer was lost, in the account's listing of requests.
//!
//! The Platform API lists recent requests with their inputs. Ours is the one with exactly our
//! input, which the pinned seed makes unlike any other. Two things the listing cannot show:
//! requests whose payloads are not stored, and, as far as is known, those that are still queued.
//! So "not found" means "not yet" until the start deadline has passed.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::error::{Delivery, Error, ErrorKind, Operation, Result};
use crate::fingerprint::Inspected;
use crate::order::Intent;
use crate::text::json_problem;
use crate::ticket::Ticket;
use crate::transport::{Transport, from_now};

/// Pages of the listing that are read.
const PAGES: usize = 20;

/// How far before our own clock's time the listing is read.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(120);

/// After the start deadline, how long a request may take to appear in the listing.
const INDEX_DELAY: Duration = Duration::from_secs(60);

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Page {
    items: Vec<Row>,
    #[serde(default)]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Row {
    request_id: String,
    #[serde(default)]
    json_input: Option<Inspected>,
}

impl Transport {
    /// Looks once for the purchase of this intent among the account's requests.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Auth`] when the key may not read the listing, [`ErrorKind::OutcomeUnknown`]
    /// when more than one request has exactly this input (two matches are not a match), or when the
    /// listing is too long to be read to its end.
    pub async fn find(&self, intent: &Intent) -> Result<Option<Ticket>> {
        // A note from a damaged disk may name any time; only a past one can be written in a URL.
        let made_at = intent.made_at().min(SystemTime::now());
        let since = made_at.checked_sub(CLOCK_DIFFERENCE).unwrap_or(made_at);
        let since = since.max(SystemTime::UNIX_EPOCH);
        let mut found: Vec<String> = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES {
            let request = || {
                self.wire()
                    .listing(intent.endpoint(), since, cursor.as_deref())
            };
            let reply = self.exchange(Operation::Find, request).await?;
            if !reply.is_success() {
                return Err(self.refused(reply));
            }
            let page: Page = serde_json::from_slice(&reply.body).map_err(|error| {
                let message = format!(
                    "the listing of requests could not be understood: {}",
                    json_problem(&error)
                );
                Error::new(Operation::Find, ErrorKind::Malformed, message)
            })?;
            for row in page.items {
                let same = row
                    .json_input
                    .is_some_and(|input| input.fingerprint == *intent.fingerprint());
                if same && !found.contains(&row.request_id) {
                    found.push(row.request_id);
                }
            }
            cursor = page
                .next_cursor
                .filter(|next| Some(next) != cursor.as_ref());
            if cursor.is_none() {
                break;
            }
        }
        if found.is_empty() && cursor.is_some() {
            let message = format!(
                "the account has had more than {PAGES} pages of requests since, and none of those has this input"
            );
            return Err(
                Error::new(Operation::Find, ErrorKind::OutcomeUnknown, message)
                    .with_delivery(Delivery::Answered),
            );
        }
        if found.len() > 1 {
            let message = format!(
                "{} requests have exactly this input, so none of them can be taken for this one",
                found.len()
            );
            return Err(Error::new(
                Operation::Find,
                ErrorKind::OutcomeUnknown,
                message,
            ));
        }
        let Some(id) = found.pop() else {
            return Ok(None);
        };
        let ticket = Ticket::for_request(intent.endpoint().clone(), id).map_err(|error| {
            Error::new(Operation::Find, ErrorKind::Malformed, error.to_string())
        })?;
        Ok(Some(ticket.of_intent(intent)))
    }

    /// Looks for the purchase until it is found or `within` has passed, or until its start
    /// deadline is so long gone that looking on is of no use. `Err` says why there is none.
    pub(crate) async fn reconcile(
        &self,
        intent: &Intent,
        within: Duration,
    ) -> Result<Ticket, String> {
        let until = from_now(within);
        let latest = intent.start_within().saturating_add(INDEX_DELAY);
        let hopeless = intent
            .made_at()
            .checked_add(latest)
            .unwrap_or(SystemTime::UNIX_EPOCH);
        let mut pause = FIRST_PAUSE;
        loop {
            let looked = tokio::time::timeout_at(until, self.find(intent)).await;
            match looked {
                Ok(Ok(Some(ticket))) => {
                    debug!(request_id = ticket.request_id(), "adopted");
                    return Ok(ticket);
                }
                Ok(Err(error)) if error.kind() == ErrorKind::Auth => {
                    return Err(
                        "the key may not read the listing of requests, where it could be looked up"
                            .to_owned(),
                    );
                }
                Ok(Err(error)) if error.kind() == ErrorKind::OutcomeUnknown => {
                    return Err(error.to_string());
                }
                Ok(Ok(None) | Err(_)) | Err(_) => {}
            }
            if SystemTime::now() >= hopeless {
                return Err("its start deadline has passed and it is not among the account's requests, so it was most likely never accepted".to_owned());
            }
            if Instant::now() + pause >= until {
                let left = hopeless
                    .duration_since(SystemTime::now())
                    .unwrap_or_default()
                    .as_secs();
                return Err(format!(
                    "it was not found among the account's requests within {} s; it may still turn up for {left} s",
                    within.as_secs_f64()
                ));
            }
            sleep(pause.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
