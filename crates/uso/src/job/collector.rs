//! Fetching the output of a job, and what it means beside the job's status.

use serde_json::{Map, Value};
use uso_transport::{
    Completion, Delivery, Error, ErrorKind, Operation, Response, Result, Ticket, Transport,
};

use crate::from_result::FromResult;
use crate::runtime;

/// Whether the service itself refuses a result, of a job that its status says has failed. The
/// status of the model's response is the result's. A page of a gateway says nothing.
fn says_no(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Gone | ErrorKind::Auth | ErrorKind::Locked | ErrorKind::Throttled => true,
        ErrorKind::Server => error
            .raw_body()
            .is_some_and(|body| serde_json::from_slice::<Map<String, Value>>(body).is_ok()),
        _ => false,
    }
}

/// What fetching the output of a job takes.
#[derive(Clone)]
pub(super) struct Collector {
    pub(super) transport: Transport,
    pub(super) ticket: Ticket,
}

impl Collector {
    pub(super) async fn output<T: FromResult>(&self) -> Result<T> {
        runtime::check(Operation::Result)?;
        self.read(self.transport.result(&self.ticket).await?)
    }

    pub(super) fn read<T: FromResult>(&self, response: Response) -> Result<T> {
        T::read(&self.transport, Some(&self.ticket), response)
    }

    /// The outcome of a job whose status says this about its end. Pictures count more than an error
    /// that the status names; without a picture the status decides.
    pub(super) fn agree<T: FromResult>(
        &self,
        completion: &Completion,
        outcome: Result<T>,
    ) -> Result<T> {
        let Some(said) = completion.failure() else {
            return outcome;
        };
        match outcome {
            Ok(output) if output.has_content() => {
                let warning =
                    format!("the status names an error, though there is a result: {said}");
                Ok(output.with_warning(warning))
            }
            Ok(_) => Err(self.ended(completion, said)),
            Err(error) if says_no(&error) => Err(self.ended(completion, said).with_source(error)),
            outcome => outcome,
        }
    }

    /// The error of a job that the status says has ended badly.
    fn ended(&self, completion: &Completion, said: &str) -> Error {
        let (kind, verb) = match completion.error_type.as_deref() {
            Some("client_cancelled") => (ErrorKind::Cancelled, "was cancelled"),
            _ => (ErrorKind::Failed, "failed"),
        };
        Error::new(Operation::Result, kind, format!("the job {verb}: {said}"))
            .with_delivery(Delivery::Answered)
            .with_ticket(&self.ticket)
    }
}
