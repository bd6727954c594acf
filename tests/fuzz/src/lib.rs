//! The properties of the integration tests, without the crates that only those tests need.

#[path = "../../src/properties.rs"]
pub mod properties;
