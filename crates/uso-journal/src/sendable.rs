//! Request that any worker can buy: its pictures are at the service, and its price is known.

use serde::{Deserialize, Serialize};
use uso::MicroDollars;
use uso::purchase::Portable;

use crate::money::{Quote, UnitPrice};

/// A request that any worker can buy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sendable {
    pub(crate) request: Portable,
    unit_price: Option<UnitPrice>,
    /// Micro-dollars.
    estimate: Option<u64>,
    bound: Option<u64>,
}

impl Sendable {
    pub(crate) fn new(request: Portable, quote: Quote) -> Self {
        Self {
            request,
            unit_price: quote.unit,
            estimate: quote.estimate.map(MicroDollars::get),
            bound: quote.bound.map(MicroDollars::get),
        }
    }

    pub(crate) fn quote(&self) -> Quote {
        Quote {
            unit: self.unit_price,
            estimate: self.estimate.map(MicroDollars::new),
            bound: self.bound.map(MicroDollars::new),
        }
    }
}
