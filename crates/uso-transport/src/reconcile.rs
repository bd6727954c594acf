//! Reconcile: finds a purchase whose response was lost in the account's listing of requests.
//!
//! The Platform API lists recent requests with their inputs. A purchase is the one with exactly its
//! input, which the pinned seed makes unlike any other. Two kinds of request are missing from the
//! listing: those whose payloads are not stored, and, as far as is known, those that are still
//! queued. So "not found" means "not yet" until the start deadline has passed, and a row that
//! cannot be compared is not a different row.

mod listing;

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing::debug;

use self::listing::{Found, Listing, Page, Window};
use crate::error::{Error, Result};
use crate::exchange::{Exchange, from_now};
use crate::intent::Intent;
use crate::kind::{ErrorKind, Operation};
use crate::recovery::Recovery;
use crate::sanitize::json_problem;
use crate::status::Status;
use crate::ticket::Ticket;

/// Requests of the listing that are read.
const REQUESTS: u16 = 4000;

/// Requests on a page: each comes with its whole input, pictures included. A page that is longer
/// than a response may be is asked for again in smaller pieces.
const PAGE_LENGTHS: [u16; 3] = [20, 5, 1];

/// Clocks that differ by less than this show the same time.
const SAME_TIME: Duration = Duration::from_secs(10);

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What one look at the listing found.
struct Look {
    recovery: Recovery,
    /// A later look will not say anything else.
    is_last: bool,
}

impl Look {
    fn undecidable(why: &str) -> Self {
        Self::last(Recovery::Undecidable {
            candidates: Vec::new(),
            why: why.to_owned(),
        })
    }

    fn last(recovery: Recovery) -> Self {
        Self {
            recovery,
            is_last: true,
        }
    }
}

/// The search for a purchase.
pub(crate) struct Reconcile<'a>(pub(crate) &'a Exchange);

impl Reconcile<'_> {
    /// Looks once for the purchase.
    pub(crate) async fn recover(&self, intent: &Intent) -> Result<Recovery> {
        Ok(self.look(intent).await?.recovery)
    }

    async fn look(&self, intent: &Intent) -> Result<Look> {
        if let Some(ticket) = self.candidate(intent).await {
            return Ok(Look::last(Recovery::Found(ticket.looked_up())));
        }
        let (found, now, is_by_service) = self.read_listing(intent).await?;
        if let Some(recovery) = found.decided(intent) {
            let is_last = found.has_same();
            return Ok(Look { recovery, is_last });
        }
        // The listing shows nothing of it. The service's clock may have been read before a pause of
        // this machine that neither of its clocks counted, so both have to agree.
        let here = SystemTime::now();
        let left = |until: SystemTime, now| until.duration_since(now).unwrap_or_default();
        let left = left(intent.listed_by(), now).max(left(intent.not_listed_before(), here));
        if !left.is_zero() {
            let until = here.checked_add(left).unwrap_or(intent.listed_by());
            let recovery = Recovery::NotYet { until };
            return Ok(Look {
                recovery,
                is_last: false,
            });
        }
        Ok(match found.undecided() {
            Some(recovery) => Look {
                recovery,
                is_last: false,
            },
            None if intent.is_unlisted() => Look::undecidable(
                "the purchase was kept out of the account's history, so that the listing of requests may lack it",
            ),
            None if !intent.is_dated() => Look::undecidable(
                "the listing of requests does not show it, but the time of the purchase is known by this machine's clock alone; if that clock was right, nothing was bought",
            ),
            None if !is_by_service => Look {
                is_last: false,
                ..Look::undecidable(
                    "the listing of requests does not show it, and its response did not tell the service's time",
                )
            },
            None => Look::last(Recovery::NotBought),
        })
    }

    /// The ticket of the id that the response to the submit named, if the service knows the id.
    async fn candidate(&self, intent: &Intent) -> Option<Ticket> {
        let candidate = intent.candidate().filter(|id| intent.may_be(id))?;
        let ticket = intent.ticket(candidate).ok()?;
        let request = || self.0.requests().status(&ticket, false);
        let response = self.0.send(Operation::Find, request).await.ok()?;
        let is_known =
            response.is_success() && Status::read(&response.body, ticket.request_id()).is_ok();
        is_known.then_some(ticket)
    }

    /// The listing, the time now, and whether this and the date of the purchase are the service's.
    ///
    /// The clock of this machine may be wrong now, or may have been at the purchase. Where the
    /// purchase is dated by that clock, the earlier of the two clocks counts, and the window is as
    /// much larger as they differ.
    async fn read_listing(&self, intent: &Intent) -> Result<(Found, SystemTime, bool)> {
        let window = Window::of(intent, Duration::ZERO);
        let (found, service) = self.read_window(intent, window).await?;
        if let Some(now) = service.filter(|_| intent.is_dated()) {
            return Ok((found, now, true));
        }
        let now = SystemTime::now();
        let service = service.unwrap_or(now).min(now);
        let ahead = now.duration_since(service).unwrap_or_default();
        if ahead < SAME_TIME {
            return Ok((found, service, false));
        }
        let (found, _) = self.read_window(intent, Window::of(intent, ahead)).await?;
        Ok((found, service, false))
    }

    async fn read_window(
        &self,
        intent: &Intent,
        window: Window,
    ) -> Result<(Found, Option<SystemTime>)> {
        let mut listing = Listing::new(intent, window);
        let mut cursor: Option<String> = None;
        let mut date = None;
        let [mut length, shorter @ ..] = PAGE_LENGTHS;
        let mut shorter = shorter.into_iter();
        let mut left = REQUESTS;
        while left > 0 {
            let request = || {
                let requests = self.0.requests();
                let since = window.since();
                requests.listing(intent.endpoint(), since, length, cursor.as_deref())
            };
            let response = match self.0.send(Operation::Find, request).await {
                Ok(response) if response.is_success() => response,
                Ok(response) => return Err(self.0.refused(response)),
                // The page is longer than a response may be.
                Err(error) if error.kind() == ErrorKind::Malformed => {
                    length = shorter.next().ok_or(error)?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            left = left.saturating_sub(length);
            date = response.date();
            let page = Page::read(&response.body).map_err(|error| {
                let why = json_problem(&error);
                let message = format!("the listing of requests could not be understood: {why}");
                Error::new(Operation::Find, ErrorKind::Malformed, message)
            })?;
            match listing.take(page) {
                Some(next) if Some(&next) != cursor.as_ref() => cursor = Some(next),
                Some(_) => return Ok((listing.cut_short("it repeats the same page"), date)),
                None => return Ok((listing.end(), date)),
            }
        }
        let why = format!("it has more than {REQUESTS} requests");
        Ok((listing.cut_short(&why), date))
    }

    /// Looks for the purchase until it is found or `within` has passed, or until looking on is of
    /// no use. `Err` says why there is no ticket.
    pub(crate) async fn within(&self, intent: &Intent, within: Duration) -> Result<Ticket, String> {
        let deadline = from_now(within);
        let mut pause = FIRST_PAUSE;
        let mut undecided = None;
        loop {
            match tokio::time::timeout_at(deadline, self.look(intent)).await {
                Ok(Ok(Look { recovery, is_last })) => match recovery {
                    Recovery::Found(ticket) => {
                        debug!(request_id = ticket.request_id(), "adopted");
                        return Ok(ticket);
                    }
                    Recovery::NotBought => {
                        return Err("its start deadline has passed and the account's listing does not show it, so it was most likely never accepted".to_owned());
                    }
                    Recovery::Undecidable { candidates, why } => {
                        let why = match candidates.is_empty() {
                            true => why,
                            false => format!("{why}; it may be one of: {}", candidates.join(", ")),
                        };
                        if is_last {
                            return Err(why);
                        }
                        undecided = Some(why);
                    }
                    Recovery::NotYet { .. } => {}
                },
                Ok(Err(error)) if error.kind() == ErrorKind::Auth => {
                    return Err(
                        "the key may not read the listing of requests, where it could be looked up"
                            .to_owned(),
                    );
                }
                // The next look may be answered.
                Ok(Err(_)) | Err(_) => {}
            }
            if Instant::now() + pause >= deadline {
                if let Some(why) = undecided {
                    return Err(why);
                }
                let left = intent.listed_by().duration_since(SystemTime::now());
                let left = left.unwrap_or_default().as_secs();
                return Err(format!(
                    "it was not found among the account's requests within {} s; it may still turn up for {left} s",
                    within.as_secs_f64()
                ));
            }
            self.0
                .pause(pause.mul_f64(0.75 + 0.5 * fastrand::f64()))
                .await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
