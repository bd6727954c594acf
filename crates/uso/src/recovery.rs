//! The fate of a purchase whose response was lost.

use std::time::SystemTime;

use crate::job::Job;

/// The fate of a purchase whose response was lost; [`Client::recover`](crate::Client::recover)
/// finds it out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Recovery {
    /// The purchase was accepted, as this job.
    Found(Job),
    /// The purchase is not in the account's list of requests, and may still appear there.
    NotYet {
        /// When the answer becomes certain, by this machine's clock.
        until: SystemTime,
    },
    /// The purchase was not accepted: buying again is safe.
    NotBought,
    /// The account's list of requests cannot tell. Whether to buy again is the user's decision.
    Undecidable {
        /// Ids of requests that may be the purchase.
        candidates: Vec<String>,
        /// Why the list cannot tell, for people.
        why: String,
    },
}
