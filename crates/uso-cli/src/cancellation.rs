//! The outcome of cancelling, as a word for scripts and as a line for people.

use uso_journal::CancelOutcome;

pub(crate) fn describe(outcome: CancelOutcome) -> (&'static str, &'static str) {
    match outcome {
        CancelOutcome::Withdrawn => ("withdrawn", "withdrawn: nothing was sent"),
        CancelOutcome::Removed => ("removed", "removed from the queue; it is not billed"),
        CancelOutcome::Requested => (
            "requested",
            "the cancellation is requested; the job may still complete, and is then billed",
        ),
        CancelOutcome::AlreadyCompleted => (
            "already_completed",
            "too late: the job has ended, and its result can be fetched",
        ),
        CancelOutcome::NotFound => (
            "not_found",
            "the service does not know the job, or no longer",
        ),
        _ => ("accepted", "the service accepted the cancellation"),
    }
}
