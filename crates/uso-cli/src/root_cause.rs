//! Errors with their root causes.

use std::error::Error;

/// The message of the last error in the chain of sources.
pub(crate) fn root_cause(error: &dyn Error) -> Option<String> {
    let mut root = error.source()?;
    while let Some(cause) = root.source() {
        root = cause;
    }
    Some(root.to_string())
}

/// The message of an error, with its root cause where the message does not have it.
pub(crate) fn message_of(error: &dyn Error) -> String {
    let message = error.to_string();
    match root_cause(error) {
        Some(root) if !message.contains(&root) => format!("{message}: {root}"),
        _ => message,
    }
}
