//! A change between two schemas, and its weight for callers.

/// The weight of a change for callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Only descriptions change.
    Documentation,
    /// The API grows.
    Adds,
    /// Code may no longer compile, or requests may be refused.
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

    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::Breaks => "Breaks callers",
            Self::Adds => "Adds",
            Self::Documentation => "Documentation only",
        }
    }

    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Breaks => "breaks",
            Self::Adds => "adds",
            Self::Documentation => "documentation",
        }
    }

    /// The step of the version.
    pub(super) fn step(self) -> &'static str {
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
    /// Its weight for callers.
    pub severity: Severity,
    /// The place, like `UsoInput.num_images`.
    pub place: String,
    /// The change in words.
    pub words: String,
}
