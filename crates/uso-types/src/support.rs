//! Hand-written support of the generated types: the bounds check, the decoding of unions and the
//! lossy decoding of results.
//!
//! The support names no endpoint, so a file generated for another endpoint carries a copy.

#[allow(dead_code, reason = "few schemas have every kind of bound")]
pub(crate) mod check;
#[allow(dead_code, reason = "few schemas have unions")]
pub(crate) mod decode;
pub(crate) mod lossy;

pub use check::{UnknownValue, Violation, Violations};
pub use lossy::{Unreadable, from_value_lossy};
