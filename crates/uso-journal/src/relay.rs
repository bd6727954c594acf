//! Purchases of a proxy: sent by the proxy, recorded here, and handed over to its callers.
//!
//! A row of such a purchase is `sending` from its first record on, so that a proxy that dies leaves
//! it `unknown`; once the caller has the request id, the row is `handed_over`. Its money counts
//! against the caps of the account, and beside them against the limit of its caller.

use std::time::Duration;

use serde_json::Value;
use uso::MicroDollars;

use crate::error::BudgetStop;
use crate::row::Step;

const DAY: i64 = 24 * 3600 * 1000;

/// Wait that is advised while an equal purchase is being sent: a submit takes a second or two.
const UNDER_WAY_FOR: Duration = Duration::from_secs(5);

/// Whether a purchase that has begun may be sent, to be asked right before it is: `false` from when
/// another process may have taken it for one of a process that is gone.
pub type RelayGuard = Box<dyn Fn() -> bool + Send + Sync>;

/// A purchase that a proxy is about to send for a caller.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Id of the purchase, chosen by the proxy.
    pub id: String,
    /// The caller.
    pub owner: String,
    /// Purchases with the same digest are the same.
    pub digest: String,
    /// The endpoint.
    pub endpoint: String,
    /// Whether the request is kept with its owner, who collects it later.
    pub is_kept: bool,
    /// Upper bound of its price.
    pub bound: MicroDollars,
    /// The proxy's record of the purchase.
    pub record: Value,
}

/// Limits of a proxy's purchases.
#[derive(Clone, Copy, Debug)]
pub struct RelayLimits {
    /// Money that each caller may spend in any 24 hours.
    pub per_day: MicroDollars,
    /// Requests that are kept with their owners.
    pub kept: usize,
    /// Requests that are kept of each caller.
    pub kept_each: usize,
}

/// Why a purchase must not be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum RelayRefusal {
    /// An equal purchase is being sent, or its response was lost a moment ago.
    Repeated {
        /// Its request id, if known.
        request_id: Option<String>,
        /// Whether its outcome is still open.
        is_under_way: bool,
        /// Time until an equal purchase may begin.
        wait: Duration,
    },
    /// The caller's money is spent, and there is enough again after this time.
    Spent(Duration),
    /// The purchase alone costs more than the limit.
    TooDear,
    /// The caller has no place for another request.
    OwnerIsFull,
    /// There is no place for another request.
    Full,
    /// A cap of the account leaves no room.
    Budget(BudgetStop),
}

/// Outcome of a purchase.
#[derive(Clone, Debug)]
pub struct RelayEnd {
    /// Id of the purchase.
    pub id: String,
    /// The proxy's record of the purchase.
    pub record: Value,
    /// Whether it was bought; `None` where that is not known.
    pub is_bought: Option<bool>,
    /// Ticket of the job, where the request id is known.
    pub ticket: Option<uso::Ticket>,
    /// Time during which no equal purchase may begin.
    pub not_repeated_for: Duration,
    /// Time for which the request is kept with its owner.
    pub kept_for: Duration,
}

/// End of a purchase as a store records it: beside the row, and as a step of the row.
#[derive(Clone, Debug)]
pub(crate) struct RecordedEnd {
    pub(crate) id: String,
    pub(crate) step: Step,
    pub(crate) request_id: Option<String>,
    pub(crate) record: String,
    /// For how many milliseconds from now on.
    pub(crate) repeat_ms: i64,
    pub(crate) kept_ms: i64,
}

/// Earlier purchases that decide whether a purchase may begin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Request id, end of the time without repeats, and whether a worker has it.
    pub(crate) equal: Option<(Option<String>, i64, bool)>,
    pub(crate) kept: i64,
    pub(crate) kept_each: i64,
    /// Micro-dollars of the owner by minute, of the last 24 hours, oldest first.
    pub(crate) spent: Vec<(i64, i64)>,
}

impl Standing {
    /// Whether a purchase may begin now.
    pub(crate) fn admit(
        &self,
        relay: &Relay,
        limits: &RelayLimits,
        now: i64,
    ) -> Result<(), RelayRefusal> {
        if let Some((request_id, until, is_under_way)) = &self.equal {
            let left = u64::try_from(until.saturating_sub(now)).unwrap_or_default();
            return Err(RelayRefusal::Repeated {
                request_id: request_id.clone(),
                is_under_way: *is_under_way,
                wait: match is_under_way {
                    true => UNDER_WAY_FOR,
                    false => Duration::from_millis(left),
                },
            });
        }
        let is_full = |count: i64, most: usize| usize::try_from(count).is_ok_and(|n| n >= most);
        if relay.is_kept && is_full(self.kept_each, limits.kept_each) {
            return Err(RelayRefusal::OwnerIsFull);
        }
        if relay.is_kept && is_full(self.kept, limits.kept) {
            return Err(RelayRefusal::Full);
        }
        let amount = |micro: u64| i64::try_from(micro).unwrap_or(i64::MAX);
        let (bound, limit) = (amount(relay.bound.get()), amount(limits.per_day.get()));
        if bound > limit {
            return Err(RelayRefusal::TooDear);
        }
        let mut total: i64 = self.spent.iter().map(|(_, sum)| sum).sum();
        if total.saturating_add(bound) <= limit {
            return Ok(());
        }
        // The oldest minutes leave first; as many must leave as make room.
        let mut free_at = now;
        for (minute, sum) in &self.spent {
            free_at = (minute + 1) * 60_000 + DAY;
            total -= sum;
            if total.saturating_add(bound) <= limit {
                break;
            }
        }
        let wait = u64::try_from(free_at - now).unwrap_or_default();
        Err(RelayRefusal::Spent(Duration::from_millis(wait)))
    }
}

/// Key of the row of a purchase.
pub(crate) fn key(id: &str) -> String {
    format!("proxy:{id}")
}
