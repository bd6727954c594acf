//! What the generated types stand on: an untyped JSON value, the bounds check and the decoding of
//! alternatives.
//!
//! It is written by hand, knows no endpoint and needs serde alone, so a file generated for another
//! endpoint can carry a copy of it.

#[allow(dead_code, reason = "few schemas have every kind of bound")]
pub(crate) mod check;
#[allow(dead_code, reason = "few schemas have alternatives")]
pub(crate) mod decode;
pub(crate) mod json;

pub use check::{UnknownValue, Violation, Violations};
pub use json::Json;
