//! Report of the changes of a newer schema, and whether they break callers.
//!
//! The report compares the API: types, fields, values, bounds and defaults of the generated crate.
//! Any other change of the schema is documentation.

mod change;
mod compare;

pub use change::{Change, Severity};

use std::fmt;

use serde_json::{Value, json};

use crate::codegen::{Document, Fault};

/// All changes from one document to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The changes, breaking changes first.
    pub changes: Vec<Change>,
}

/// Compares two documents of one endpoint.
pub fn drift(old: &Document, new: &Document) -> Result<Drift, (String, Fault)> {
    let mut changes = compare::compare(old, new)?;
    changes.sort_by_key(|change| std::cmp::Reverse(change.severity));
    Ok(Drift { changes })
}

impl Drift {
    /// The highest severity.
    pub fn severity(&self) -> Option<Severity> {
        self.changes.iter().map(|change| change.severity).max()
    }

    /// The step of the version: `major`, `minor`, `patch` or `none`.
    pub fn step(&self) -> &'static str {
        self.severity().map_or("none", Severity::step)
    }

    /// The report for programs.
    pub fn to_json(&self) -> Value {
        let group = |severity: Severity| -> Vec<Value> {
            let changes = self
                .changes
                .iter()
                .filter(|change| change.severity == severity);
            changes
                .map(|change| json!({ "place": change.place, "change": change.words }))
                .collect()
        };
        let mut report = json!({ "step": self.step() });
        for severity in [Severity::Breaks, Severity::Adds, Severity::Documentation] {
            if let Some(report) = report.as_object_mut() {
                report.insert(severity.key().to_owned(), group(severity).into());
            }
        }
        report
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(gravest) = self.severity() else {
            return writeln!(formatter, "Nothing changes.");
        };
        for severity in [Severity::Breaks, Severity::Adds, Severity::Documentation] {
            let mut changes = self
                .changes
                .iter()
                .filter(|change| change.severity == severity)
                .peekable();
            if changes.peek().is_none() {
                continue;
            }
            writeln!(formatter, "{}:", severity.heading())?;
            for change in changes {
                writeln!(formatter, "- {} {}", change.place, change.words)?;
            }
            writeln!(formatter)?;
        }
        writeln!(
            formatter,
            "Step of the version: {}{}.",
            gravest.step(),
            match gravest {
                Severity::Breaks => " (before 1.0: minor)",
                Severity::Adds => " (before 1.0: patch)",
                Severity::Documentation => "",
            }
        )
    }
}
