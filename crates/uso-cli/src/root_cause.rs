//! Errors with their root causes.

use std::iter::successors;

/// The message of an error, with its root cause where the message does not have it.
pub(crate) fn message_of(error: &(dyn std::error::Error + 'static)) -> String {
    let message = error.to_string();
    let root = successors(error.source(), |error| error.source()).last();
    match root.map(ToString::to_string) {
        Some(root) if !message.contains(&root) => format!("{message}: {root}"),
        _ => message,
    }
}
