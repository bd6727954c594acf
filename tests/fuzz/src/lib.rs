//! The properties of the integration tests, without the crates that only those tests need.

pub use tests::properties;

/// The library of the integration tests.
#[path = "../../src"]
mod tests {
    pub mod properties;
}
