//! Whether a purchase was bought, as far as the journal knows.

use schemars::JsonSchema;
use serde::Serialize;
use uso::MicroDollars;
use uso_journal::{Cause, Purchase, State};

/// Whether a purchase was bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bought {
    Yes,
    No,
    Unknown,
}

impl Bought {
    pub(crate) fn of(purchase: &Purchase) -> Self {
        let cause = purchase.reason.as_ref().map(|reason| reason.cause);
        // A purchase that is written off has no bill here, and may have one at the service.
        let is_free =
            purchase.cost.billed == Some(MicroDollars::new(0)) && cause != Some(Cause::WrittenOff);
        match purchase.state {
            State::Pending | State::Reserved => Self::No,
            State::Submitted | State::Done => Self::Yes,
            State::Failed | State::Cancelled if is_free => Self::No,
            State::Failed | State::Cancelled if purchase.ticket.is_some() => Self::Yes,
            // A state that this program does not know may have been bought.
            _ => Self::Unknown,
        }
    }
}
