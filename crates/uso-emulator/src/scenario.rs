//! Faults: what goes wrong, where and how often.
//!
//! A scenario is a list of rules; the first that is for a request's operation and not used up
//! strikes. It is built in code or read from a JSON file:
//!
//! ```json
//! {
//!   "rules": [
//!     { "on": "submit", "fault": "accept-then-drop" },
//!     { "on": "status", "fault": { "status": 503 }, "times": 3 },
//!     { "on": "result", "fault": { "body": "{\"images\":[],\"prompt\":\"\"}" }, "times": "always" },
//!     { "on": "stream", "fault": "cut-mid-event", "after": 1 }
//!   ]
//! }
//! ```

pub(crate) mod apply;
mod bodies;
mod fault;
mod fits;
mod mangle;
mod odd;
mod operation;
mod samples;
pub(crate) mod streams;

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

pub use fault::Fault;
pub use odd::{OddListing, OddResult};
pub use operation::Operation;

/// What goes wrong, where and how often.
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

#[derive(Clone, Debug)]
struct Rule {
    operation: Operation,
    fault: Fault,
    /// How often it still strikes; without a number, always.
    left: Option<u64>,
    /// How many requests it lets by first.
    skip: u64,
}

impl Scenario {
    /// Nothing goes wrong.
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

    /// Reads a scenario file.
    ///
    /// # Errors
    ///
    /// When the text is not a scenario, or a fault does not fit the operation it is set on.
    pub fn from_json(text: &str) -> Result<Self, ScenarioError> {
        let file: File =
            serde_json::from_str(text).map_err(|error| ScenarioError(error.to_string()))?;
        let mut scenario = Self::new();
        for line in file.rules {
            if !line.fault.fits(line.on) {
                return Err(ScenarioError(format!(
                    "the fault {} does not fit the operation {}",
                    line.fault, line.on
                )));
            }
            let left = match line.times {
                None => Some(1),
                Some(Value::String(word)) if word == "always" => None,
                Some(Value::Number(number)) if number.is_u64() => number.as_u64(),
                Some(other) => {
                    return Err(ScenarioError(format!(
                        "times must be a whole number or \"always\", not {other}"
                    )));
                }
            };
            let Line {
                on: operation,
                fault,
                after: skip,
                ..
            } = line;
            scenario.rules.push(Rule {
                operation,
                fault,
                left,
                skip,
            });
        }
        Ok(scenario)
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

/// Why a text is not a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError(String);

impl fmt::Display for ScenarioError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "invalid scenario: {}", self.0)
    }
}

impl std::error::Error for ScenarioError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rules: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    on: Operation,
    fault: Fault,
    times: Option<Value>,
    #[serde(default)]
    after: u64,
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

    #[test]
    fn a_file_says_the_same() {
        let text = r#"{ "rules": [
            { "on": "submit", "fault": "accept-then-drop" },
            { "on": "status", "fault": { "status": 503 }, "times": 3, "after": 2 },
            { "on": "run", "fault": { "throttled": { "retry_after": 2 } }, "times": "always" },
            { "on": "result", "fault": { "delay": 1.5 } }
        ] }"#;
        let scenario = Scenario::from_json(text).unwrap();
        assert_eq!(scenario.rules.len(), 4);
        assert_eq!(
            (scenario.rules[1].left, scenario.rules[1].skip),
            (Some(3), 2)
        );
        assert_eq!(scenario.rules[2].left, None);
        assert_eq!(
            scenario.rules[3].fault,
            Fault::Delay(std::time::Duration::from_millis(1500))
        );
    }

    #[test]
    fn a_wrong_file_is_told_why() {
        for (text, why) in [
            ("{", "EOF"),
            (
                r#"{ "rules": [{ "on": "submit", "fault": "explode" }] }"#,
                "explode",
            ),
            (
                r#"{ "rules": [{ "on": "lunch", "fault": "drop" }] }"#,
                "lunch",
            ),
            (
                r#"{ "rules": [{ "on": "status", "fault": "cut-stream" }] }"#,
                "does not fit",
            ),
            (
                r#"{ "rules": [{ "on": "status", "fault": "drop", "times": -1 }] }"#,
                "times",
            ),
            (
                r#"{ "rules": [{ "on": "status", "fault": "drop", "time": 1 }] }"#,
                "time",
            ),
        ] {
            let error = Scenario::from_json(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
