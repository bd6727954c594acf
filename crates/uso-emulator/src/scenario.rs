//! Faults: what goes wrong, where and how often.

mod operation;

pub use operation::Operation;

/// What goes wrong, where and how often.
#[derive(Clone, Debug, Default)]
pub struct Scenario {}

impl Scenario {
    /// Nothing goes wrong.
    pub fn new() -> Self {
        Self::default()
    }
}
