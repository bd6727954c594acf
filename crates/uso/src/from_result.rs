//! Outputs that can be read from the result of a job.

use uso_transport::{Delivery, Error, ErrorKind, Operation, Response, Result, Ticket, Transport};

/// Warning of an output whose JSON was repaired.
pub(crate) const REPAIRED: &str = "the result is not valid JSON and was repaired";

/// An output that can be read from the result of a job: `Output` for `fal-ai/uso`, and
/// `endpoint::TypedOutput` for every other endpoint.
pub trait FromResult: Sized + sealed::Sealed {
    #[doc(hidden)]
    fn read(transport: &Transport, ticket: Option<&Ticket>, response: Response) -> Result<Self>;

    #[doc(hidden)]
    fn with_warning(self, warning: String) -> Self;

    /// Whether the result holds what was bought, whatever the status says.
    #[doc(hidden)]
    fn has_content(&self) -> bool {
        true
    }
}

/// The error of a job, which its ticket resumes. A synchronous run has none.
pub(crate) fn attached(error: Error, ticket: Option<&Ticket>) -> Error {
    match ticket {
        Some(ticket) => error.with_ticket(ticket),
        None => error,
    }
}

/// The error of a result that cannot be read.
pub(crate) fn unusable(response: &Response, ticket: Option<&Ticket>, message: String) -> Error {
    let error = Error::new(Operation::Result, ErrorKind::Malformed, message)
        .with_delivery(Delivery::Answered)
        .with_raw_body(response.body().clone());
    attached(error, ticket)
}

pub(crate) mod sealed {
    /// Keeps the trait to the outputs of this crate.
    pub trait Sealed {}
}
