//! Typed output: the output of a job of another endpoint.

use std::fmt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;
use uso_transport::{Expected, Operation, Overwrite, Response, Result, Ticket, Transport};
use uso_types::json_repair;

use crate::from_result::{FromResult, REPAIRED, attached, sealed::Sealed, unusable};
use crate::runtime;

/// Output of a job of another endpoint.
#[derive(Clone)]
pub struct TypedOutput<O> {
    /// The output. A part that cannot be read is left out and named by [`TypedOutput::warnings`].
    pub value: O,
    transport: Transport,
    ticket: Option<Ticket>,
    warnings: Vec<String>,
    response: Response,
}

impl<O: fmt::Debug> fmt::Debug for TypedOutput<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedOutput")
            .field("request_id", &self.request_id())
            .field("value", &self.value)
            .field("billable_units", &self.billable_units())
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

impl<O> Sealed for TypedOutput<O> {}

impl<O: DeserializeOwned> FromResult for TypedOutput<O> {
    fn read(transport: &Transport, ticket: Option<&Ticket>, response: Response) -> Result<Self> {
        let unusable = |message: String| unusable(&response, ticket, message);
        let parsed = json_repair::parse_first::<Value>(response.body());
        let parsed = parsed.map_err(|_| unusable("the result is not JSON".to_owned()))?;
        let repaired = parsed.is_repaired.then(|| REPAIRED.to_owned());
        let (value, left_out) = uso_types::from_value_lossy(parsed.value)
            .map_err(|part| unusable(format!("the result cannot be read: {part}")))?;
        let left_out = left_out.iter().map(|part| format!("left out: {part}"));
        Ok(Self {
            value,
            transport: transport.clone(),
            ticket: ticket.cloned(),
            warnings: repaired.into_iter().chain(left_out).collect(),
            response,
        })
    }

    fn with_warning(mut self, warning: String) -> Self {
        self.warnings.push(warning);
        self
    }
}

impl<O> TypedOutput<O> {
    /// The request's id on the service.
    pub fn request_id(&self) -> Option<&str> {
        let of_ticket = self.ticket.as_ref().map(Ticket::request_id);
        of_ticket.or(self.response.request_id())
    }

    /// Warnings about parts of the result that could not be read, one line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The billed units as the service's header gives them. What a unit is differs by endpoint.
    pub fn billable_units(&self) -> Option<&str> {
        self.response.billable_units()
    }

    /// The body of the response, unchanged.
    pub fn raw_body(&self) -> &[u8] {
        self.response.body()
    }

    /// Fetches a file that the output names to a path, and returns its length in bytes. The file
    /// appears whole or not at all, and replaces nothing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves either the whole file or none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`](crate::ErrorKind::Exists) when the name is taken,
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) when the file cannot be written,
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) when the service no longer has the file,
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) when the file stays damaged. Each
    /// carries the ticket.
    pub async fn save(&self, url: &str, path: impl AsRef<Path>) -> Result<u64> {
        runtime::check(Operation::Save)?;
        let anything = Expected::anything();
        let saved = self
            .transport
            .download(url, path.as_ref(), Overwrite::Never, &anything)
            .await;
        saved
            .map(|saved| saved.bytes)
            .map_err(|error| attached(error, self.ticket.as_ref()))
    }
}
