//! What a newer schema changes, in words, and whether that breaks callers.
//!
//! It compares what callers see: types, fields, values, bounds and defaults of the generated
//! crate. A change of the schema that leaves these alone is documentation.

mod compare;

use std::fmt;

use serde_json::{Value, json};

use crate::codegen::{Document, Fault};

/// How much a change asks of callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing changes but what is said.
    Documentation,
    /// There is more than before.
    Adds,
    /// Code that compiled or requests that passed may do so no longer.
    Breaks,
}

impl Severity {
    /// The exit code of the command: 0 to 2 have the usual meanings.
    pub fn exit_code(severity: Option<Self>) -> u8 {
        match severity {
            None => 0,
            Some(Self::Documentation) => 3,
            Some(Self::Adds) => 4,
            Some(Self::Breaks) => 5,
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::Breaks => "Breaks callers",
            Self::Adds => "Adds",
            Self::Documentation => "Documentation only",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Breaks => "breaks",
            Self::Adds => "adds",
            Self::Documentation => "documentation",
        }
    }

    /// The step of the version that it asks for.
    fn step(self) -> &'static str {
        match self {
            Self::Breaks => "major",
            Self::Adds => "minor",
            Self::Documentation => "patch",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// How much it asks of callers.
    pub severity: Severity,
    /// What changes, like `UsoInput.num_images`.
    pub place: String,
    /// How it changes.
    pub words: String,
}

/// All changes from one document to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The changes, the gravest first.
    pub changes: Vec<Change>,
}

/// Compares two documents of one endpoint.
pub fn drift(old: &Document, new: &Document) -> Result<Drift, (String, Fault)> {
    let mut changes = compare::compare(old, new)?;
    changes.sort_by_key(|change| std::cmp::Reverse(change.severity));
    Ok(Drift { changes })
}

impl Drift {
    /// The gravest change.
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
