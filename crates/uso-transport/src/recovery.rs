//! Recovery: what became of a purchase whose response was lost.

use std::time::SystemTime;

use crate::ticket::Ticket;

/// Fate of a purchase whose response was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// The purchase was accepted: the ticket collects the job.
    Found(Ticket),
    /// The account's listing does not show the purchase yet, which it may until this time.
    NotYet {
        /// When the listing would show it, by this machine's clock.
        until: SystemTime,
    },
    /// The start deadline has passed by the service's clock, the listing was read to its end, and each
    /// of its requests is another one.
    NotBought,
    /// The listing cannot tell. Whether to buy again is the user's decision.
    Undecidable {
        /// Request ids that may be this purchase.
        candidates: Vec<String>,
        /// Why the listing cannot tell, for people.
        why: String,
    },
}
