//! Status of an ended request, and why a notification has no output.

use std::fmt;

/// End of the request. These words are not those of the queue's status.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotificationStatus {
    /// `OK`: the model gave a result. The payload may still be missing.
    Ok,
    /// `ERROR`: the request failed.
    Error,
    /// A word that is not documented, as fal sent it; empty when there was none.
    Other(String),
}

impl NotificationStatus {
    /// The word as fal sent it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ok => "OK",
            Self::Error => "ERROR",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for NotificationStatus {
    fn from(word: String) -> Self {
        match word.as_str() {
            "OK" => Self::Ok,
            "ERROR" => Self::Error,
            _ => Self::Other(word),
        }
    }
}

impl fmt::Display for NotificationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why there is no output in a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoOutput {
    /// The request failed. [`Notification::payload`](crate::Notification::payload) may say more.
    Failed {
        /// fal's text about the failure.
        error: Option<String>,
    },
    /// The request succeeded, and its output could not be included: fetch the result from the
    /// queue, soon.
    Withheld {
        /// fal's reason.
        why: Option<String>,
    },
    /// The payload is no output of this endpoint, or has no picture: fetch the result from the
    /// queue, whose response is kept raw.
    Malformed,
    /// The status is a word that is not documented: ask the queue.
    UnknownStatus {
        /// The word.
        word: String,
    },
}

impl NoOutput {
    /// Whether the queue may have the picture all the same.
    pub fn is_worth_fetching(&self) -> bool {
        !matches!(self, Self::Failed { .. })
    }
}

impl fmt::Display for NoOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line of a log, whatever fal writes.
        let shown = |c: char| if c.is_control() { ' ' } else { c };
        let because = |why: &Option<String>| match why {
            Some(why) => format!(": {}", why.chars().map(shown).collect::<String>()),
            None => String::new(),
        };
        match self {
            Self::Failed { error } => write!(f, "the request failed{}", because(error)),
            Self::Withheld { why } => {
                write!(
                    f,
                    "the output was not included{}; fetch it from the queue",
                    because(why)
                )
            }
            Self::Malformed => f.write_str("the payload has no picture"),
            Self::UnknownStatus { word } => write!(f, "the status {word:?} is not known"),
        }
    }
}

impl std::error::Error for NoOutput {}
