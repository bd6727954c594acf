//! The end of a job without pictures, as the errors of two looks tell it.

use uso::error::Billed;
use uso::{Error as ClientError, ErrorKind, MicroDollars};

use crate::purchase::Cause;

/// How a job ended without pictures.
pub(super) enum Ending {
    Cancelled,
    Failed(Cause),
}

/// Whether the owner asked for a cancellation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CancelAsked {
    Never,
    /// The job had ended, which an earlier cancel may have done.
    AfterTheEnd,
    Open,
}

/// Whether an error may be the end of the job, so that a second look is worth it.
pub(super) fn may_have_ended(error: &ClientError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Failed | ErrorKind::Input | ErrorKind::Gone | ErrorKind::Cancelled
    ) || is_not_started(error)
}

/// How the job ended, where the service said so twice.
pub(super) fn ending(
    first: &ClientError,
    second: &ClientError,
    asked: CancelAsked,
) -> Option<Ending> {
    let both = |is: &dyn Fn(&ClientError) -> bool| is(first) && is(second);
    // The status and the result of one cancelled job may say it in different ways.
    let is_cancelled = |error: &ClientError| {
        let is_said = error.error_type() == Some("client_cancelled");
        is_said
            || match asked {
                CancelAsked::Never => false,
                // The result of a job that was not cancelled expires too.
                CancelAsked::AfterTheEnd => is_499(error),
                CancelAsked::Open => error.kind() == ErrorKind::Gone || is_499(error),
            }
    };
    let is_failed =
        |error: &ClientError| matches!(error.kind(), ErrorKind::Failed | ErrorKind::Input);
    if both(&is_cancelled) {
        return Some(Ending::Cancelled);
    }
    if both(&is_not_started) {
        return Some(Ending::Failed(Cause::NotStarted));
    }
    both(&is_failed).then_some(Ending::Failed(Cause::ServiceFailed))
}

fn is_499(error: &ClientError) -> bool {
    error.status() == Some(499)
}

/// Whether the service says that the start deadline passed. A deadline of this client has no status.
fn is_not_started(error: &ClientError) -> bool {
    error.kind() == ErrorKind::Deadline && error.status().is_some()
}

/// The bill of a job without pictures. Where the service does not say, the reservation stands.
pub(super) fn billed(first: &ClientError, second: &ClientError) -> Option<MicroDollars> {
    let is_free = |error: &ClientError| error.billed() == Billed::Free;
    let is_billed = |error: &ClientError| error.billed() == Billed::Something;
    let free = (is_free(first) || is_free(second)) && !is_billed(first) && !is_billed(second);
    free.then(|| MicroDollars::new(0))
}
