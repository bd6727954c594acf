//! Request that any worker can buy: its pictures are at the service, and its price is known.

use serde::{Deserialize, Serialize};
use uso::purchase::Portable;

use crate::money::Quote;

/// A request that any worker can buy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sendable {
    pub(crate) request: Portable,
    #[serde(flatten)]
    pub(crate) quote: Quote,
}
