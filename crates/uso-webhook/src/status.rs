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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoOutput {
    /// The request failed. [`Notification::payload`](crate::Notification::payload) may say more.
    #[error("the request failed{}", because(error.as_deref()))]
    Failed {
        /// fal's text about the failure.
        error: Option<String>,
    },
    /// The request succeeded, and its output could not be included: fetch the result from the
    /// queue, soon.
    #[error("the output was not included{}; fetch it from the queue", because(why.as_deref()))]
    Withheld {
        /// fal's reason.
        why: Option<String>,
    },
    /// The payload is no output of this endpoint, or has no picture: fetch the result from the
    /// queue, whose response is kept raw.
    #[error("the payload has no picture")]
    Malformed,
    /// The status is a word that is not documented: ask the queue.
    #[error("the status {word:?} is not known")]
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

/// The reason behind a colon, if there is one: one line of a log, whatever fal writes.
fn because(why: Option<&str>) -> String {
    why.map_or_else(String::new, |why| {
        format!(": {}", why.replace(char::is_control, " "))
    })
}
