//! Hand-written support of the generated types: the bounds check, the decoding of unions and the
//! lossy decoding of results.
//!
//! The support names no endpoint, so a file generated for another endpoint carries a copy.

pub mod check;
pub mod decode;
pub mod lossy;

pub use check::{UnknownValue, Violation, Violations};
pub use lossy::{Unreadable, from_value_lossy};
