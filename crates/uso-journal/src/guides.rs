//! Guides: durable buying, batches, and several machines.

#[cfg(doc)]
use crate::{Batch, Error, Journal};

#[doc = include_str!("../docs/durable-buying.md")]
pub mod durable_buying {}

#[doc = include_str!("../docs/batches.md")]
pub mod batches {}

#[doc = include_str!("../docs/fleet.md")]
pub mod fleet {}
