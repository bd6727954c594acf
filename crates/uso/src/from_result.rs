//! Outputs that can be read from the result of a job.

use uso_transport::{Response, Result, Ticket, Transport};

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

pub(crate) mod sealed {
    /// Keeps the trait to the outputs of this crate.
    pub trait Sealed {}
}
