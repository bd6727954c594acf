//! A list with one of each fault.

use super::fault::Fault;
use super::odd::{OddListing, OddResult};

/// Statuses that an accepted submit may be answered with, and that refuse nothing.
const ACCEPTED: [u16; 12] = [302, 303, 402, 409, 410, 412, 425, 451, 499, 500, 503, 504];

impl Fault {
    /// Sample of every fault, for test matrices.
    pub fn samples() -> Vec<Self> {
        let single: Result<Vec<Self>, _> = serde_json::from_str(include_str!("samples.json"));
        let mut samples = single.unwrap_or_else(|error| unreachable!("samples.json: {error}"));
        samples.extend(ACCEPTED.map(Self::AcceptThenStatus));
        samples.extend([302, 409, 503].map(Self::AcceptThenStatusWithoutId));
        samples.extend([404, 410, 422, 499, 502, 504].map(Self::GatewayPage));
        samples.extend(OddResult::ALL.map(Self::OddResult));
        samples.extend(OddListing::ALL.map(Self::OddListing));
        samples
    }
}
