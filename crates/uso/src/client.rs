//! The client: one set of connections, any number of jobs.

use bytes::Bytes;
use uso_transport::{
    Config, EndpointId, Error, ErrorKind, Operation, Result, SubmitOptions, Ticket, Transport,
};
use uso_types::UsoInput;

use crate::job::Job;
use crate::output::Output;
use crate::request::Request;

/// A client of the endpoint. Clones are cheap and share their connections; one is enough.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
}

impl Client {
    /// A client with the key and the hosts that the environment names: `FAL_KEY`, or `FAL_KEY_ID`
    /// with `FAL_KEY_SECRET`; `USO_BASE_URL` for an emulator or a gateway.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when there is no key or a value cannot be used.
    pub fn from_env() -> Result<Self> {
        Self::new(Config::from_env()?)
    }

    /// A client with these settings.
    ///
    /// ```
    /// use uso::{ApiKey, BaseUrls, Client, Config};
    ///
    /// let emulator = BaseUrls::single_origin("http://127.0.0.1:7700")?;
    /// let client = Client::new(Config::new(ApiKey::new("id:secret")?, emulator))?;
    /// # Ok::<(), uso::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when TLS is needed and there are no root certificates.
    pub fn new(config: Config) -> Result<Self> {
        Ok(Self {
            transport: Transport::new(config)?,
        })
    }

    /// Buys a job.
    ///
    /// The input is completed (pictures read, a seed chosen where none was given) and checked
    /// first, so that a wrong one costs nothing. The purchase is sent again only when it provably
    /// did not leave, or when the service refused it with 429 before queueing it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when the request is wrong, before anything is sent;
    /// [`ErrorKind::OutcomeUnknown`] when the job may have been bought; [`ErrorKind::Unreachable`],
    /// [`ErrorKind::Throttled`], [`ErrorKind::Auth`] or [`ErrorKind::Locked`] when it was not.
    pub async fn submit(&self, request: impl Into<Request>) -> Result<Job> {
        let request = request.into();
        let start_within = request.start_deadline();
        let input = request.into_input().await?;
        let options = options(&input, start_within);
        let ticket = self
            .transport
            .submit(&EndpointId::uso(), body(&input)?, options)
            .await?;
        Ok(self.job(ticket))
    }

    /// Runs a request synchronously, in one HTTP request and without a queue.
    ///
    /// There is no ticket: when the connection breaks, the picture is lost and billed all the
    /// same. Prefer [`Client::submit`] for anything that matters.
    ///
    /// # Errors
    ///
    /// As for [`Client::submit`] and [`Job::wait`].
    pub async fn run(&self, request: impl Into<Request>) -> Result<Output> {
        let request = request.into();
        let start_within = request.start_deadline();
        let input = request.into_input().await?;
        let options = options(&input, start_within);
        let answer = self
            .transport
            .run(&EndpointId::uso(), body(&input)?, options)
            .await?;
        Output::read(&self.transport, None, &answer)
    }

    /// The job of a ticket: resumes what was submitted here, in another process, or long ago.
    pub fn job(&self, ticket: Ticket) -> Job {
        Job::new(self.transport.clone(), ticket)
    }

    /// The job of a request id that was kept without its ticket.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when the text cannot be a request id.
    pub fn job_by_id(&self, request_id: impl Into<String>) -> Result<Job> {
        let ticket = Ticket::for_request(EndpointId::uso(), request_id)
            .map_err(|error| Error::new(Operation::Prepare, ErrorKind::Input, error.to_string()))?;
        Ok(self.job(ticket))
    }

    /// The settings that the client was made with.
    pub fn config(&self) -> &Config {
        self.transport.config()
    }
}

fn options(input: &UsoInput, start_within: Option<std::time::Duration>) -> SubmitOptions {
    let mut options = SubmitOptions::default();
    options.seed = input.seed;
    options.start_within = start_within;
    options
}

fn body(input: &UsoInput) -> Result<Bytes> {
    let body = serde_json::to_vec(input).map_err(|error| {
        Error::new(
            Operation::Prepare,
            ErrorKind::Input,
            "the input is not JSON",
        )
        .with_source(error)
    })?;
    Ok(Bytes::from(body))
}
