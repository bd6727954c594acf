//! The fate of a purchase whose response was lost.

use std::time::SystemTime;

use uso_transport::Ticket;

use crate::job::Job;
use crate::output::Output;

/// The fate of a purchase whose response was lost; [`Client::recover`](crate::Client::recover)
/// finds it out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Recovery<T = Output> {
    /// The purchase was accepted, as this job.
    Found(Job<T>),
    /// The purchase is not in the account's list of requests, and may still appear there.
    NotYet {
        /// When the list would have it, by this machine's clock.
        until: SystemTime,
    },
    /// The start deadline has passed, and the account's list of requests, read to its end, does not
    /// have the purchase. [`guides::unknowns`](crate::guides::unknowns) names what this rests on.
    NotBought,
    /// The account's list of requests cannot tell. Whether to buy again is the user's decision.
    Undecidable {
        /// Ids of requests that may be the purchase.
        candidates: Vec<String>,
        /// Why the list cannot tell, for people.
        why: String,
    },
}

impl<T> Recovery<T> {
    pub(crate) fn of(
        recovered: uso_transport::Recovery,
        job: impl FnOnce(Ticket) -> Job<T>,
    ) -> Self {
        use uso_transport::Recovery as Recovered;
        match recovered {
            Recovered::Found(ticket) => Self::Found(job(ticket)),
            Recovered::NotYet { until } => Self::NotYet { until },
            Recovered::NotBought => Self::NotBought,
            Recovered::Undecidable { candidates, why } => Self::Undecidable { candidates, why },
            other => Self::Undecidable {
                candidates: Vec::new(),
                why: format!("the outcome is not known to this version: {other:?}"),
            },
        }
    }
}
