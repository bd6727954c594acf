//! Scenarios: which faults strike which requests, and how often.
//!
//! A scenario is a list of rules. The first rule that names a request's operation and is not used
//! up strikes. Scenarios are built in code, or read from a file in the format of
//! [`Scenario::example`].

pub(crate) mod apply;
mod bodies;
mod fault;
mod file;
mod fits;
mod mangle;
mod odd;
mod operation;
mod samples;
pub(crate) mod streams;
mod variants;

pub use fault::Fault;
pub use file::ScenarioError;
pub use odd::{OddListing, OddResult};
pub use operation::Operation;

use file::Rule;

/// Faults to play, each with its operation and number of times.
///
/// ```
/// use uso_emulator::{Fault, Operation, Scenario};
///
/// let scenario = Scenario::new()
///     .on(Operation::Submit, Fault::AcceptThenDrop)
///     .on(Operation::Status, Fault::Status(503)).times(3)
///     .on(Operation::Stream, Fault::CutStream).after(1).always();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    rules: Vec<Rule>,
}

impl Scenario {
    /// Scenario without a fault.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next request of this kind meets this fault, once unless said otherwise. Faults that do
    /// not fit the operation ([`Fault::fits`]) never strike.
    pub fn on(mut self, operation: Operation, fault: Fault) -> Self {
        self.rules.push(Rule {
            operation,
            fault,
            left: Some(1),
            skip: 0,
        });
        self
    }

    /// The fault that was added last strikes this often.
    pub fn times(mut self, times: u64) -> Self {
        if let Some(rule) = self.rules.last_mut() {
            rule.left = Some(times);
        }
        self
    }

    /// The fault that was added last strikes every time.
    pub fn always(mut self) -> Self {
        if let Some(rule) = self.rules.last_mut() {
            rule.left = None;
        }
        self
    }

    /// The fault that was added last lets this many requests by first.
    pub fn after(mut self, requests: u64) -> Self {
        if let Some(rule) = self.rules.last_mut() {
            rule.skip = requests;
        }
        self
    }

    /// Reads a scenario file: JSON as in [`Scenario::example`]. Lines that begin with `//` are
    /// comments.
    ///
    /// # Errors
    ///
    /// Names the line, the column and the field that is wrong, and what may stand there.
    pub fn from_json(text: &str) -> Result<Self, ScenarioError> {
        let rules = file::read(text)?;
        Ok(Self { rules })
    }

    /// A complete scenario file with comments: the format, and each fault and operation by name.
    pub fn example() -> &'static str {
        include_str!("scenario/example.jsonc")
    }

    /// The fault that meets this request, counted as used.
    pub(crate) fn strike(&mut self, operation: Operation) -> Option<Fault> {
        for rule in &mut self.rules {
            if rule.operation != operation || !rule.fault.fits(operation) || rule.left == Some(0) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.left = rule.left.map(|left| left - 1);
            return Some(rule.fault.clone());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_counted_and_kept_apart() {
        let mut scenario = Scenario::new()
            .on(Operation::Submit, Fault::Drop)
            .on(Operation::Submit, Fault::Locked)
            .times(2)
            .on(Operation::Status, Fault::Hang)
            .after(1)
            .always();
        let mut strike = |operation| scenario.strike(operation).map(|fault| fault.name());
        assert_eq!(strike(Operation::Result), None);
        assert_eq!(strike(Operation::Submit), Some("drop"));
        assert_eq!(strike(Operation::Submit), Some("locked"));
        assert_eq!(strike(Operation::Submit), Some("locked"));
        assert_eq!(strike(Operation::Submit), None);
        assert_eq!(strike(Operation::Status), None);
        assert_eq!(strike(Operation::Status), Some("hang"));
        assert_eq!(strike(Operation::Status), Some("hang"));
    }
}
