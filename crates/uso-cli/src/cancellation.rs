//! The outcome of cancelling, as a word for scripts and as a line for people.

use uso::status::Cancellation;

/// Whether there will be no picture, for certain.
pub(crate) fn is_final(cancellation: Cancellation) -> bool {
    cancellation == Cancellation::Removed
}

pub(crate) fn describe(cancellation: Cancellation) -> (&'static str, &'static str) {
    match cancellation {
        Cancellation::Removed => ("removed", "removed from the queue; it is not billed"),
        Cancellation::Requested => (
            "requested",
            "the cancellation is requested; the job may still complete, and is then billed",
        ),
        Cancellation::AlreadyCompleted => (
            "already_completed",
            "too late: the job has ended, and its result can be fetched",
        ),
        _ => ("accepted", "the service accepted the cancellation"),
    }
}
