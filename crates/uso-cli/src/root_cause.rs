//! Errors of the journal with their root causes.

use uso_journal::Error;

/// The message of an error, with its root cause where the message does not have it.
pub(crate) fn message_of(error: &Error) -> String {
    let message = error.to_string();
    let mut root = None;
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        root = Some(error.to_string());
        cause = error.source();
    }
    match root.filter(|root| !message.contains(root.as_str())) {
        Some(root) => format!("{message}: {root}"),
        None => message,
    }
}
