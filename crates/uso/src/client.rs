//! The client: one set of connections, any number of jobs.

use uso_transport::{
    Config, EndpointId, Error, ErrorKind, Intent, Operation, Order, Result, Ticket, Transport,
};

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

    /// Buys a job: [`Client::prepare`] and [`Client::place`] in one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when the request is wrong, before anything is sent;
    /// [`ErrorKind::OutcomeUnknown`] when the job may have been bought; [`ErrorKind::Unreachable`],
    /// [`ErrorKind::Throttled`], [`ErrorKind::Auth`] or [`ErrorKind::Locked`] when it was not.
    pub async fn submit(&self, request: impl Into<Request>) -> Result<Job> {
        let order = self.prepare(request).await?;
        self.place(&order).await
    }

    /// Completes and checks a request (pictures read, a seed chosen where none was given), so that
    /// a wrong one costs nothing. Nothing is sent; the order's [`intent`](Order::intent) can be
    /// written down before it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] with everything that is wrong with the request.
    pub async fn prepare(&self, request: impl Into<Request>) -> Result<Order> {
        let request = request.into();
        let start_within = request
            .start_deadline()
            .unwrap_or(self.config().start_limit());
        let input = request.into_input().await?;
        let body = serde_json::to_vec(&input).map_err(|error| {
            Error::new(
                Operation::Prepare,
                ErrorKind::Input,
                "the input is not JSON",
            )
            .with_source(error)
        })?;
        Order::new(EndpointId::uso(), body, start_within)
    }

    /// Buys what was prepared. Each call is a purchase of its own.
    ///
    /// It is sent again only when it provably did not leave, or when the service refused it with
    /// 429 before queueing it. When its answer is lost, it is looked for among the account's
    /// requests by its exact input, of which the pinned seed is a part, and adopted when it is
    /// found; see [`Config::reconcile_within`].
    ///
    /// # Errors
    ///
    /// As [`Client::submit`], without those of a wrong request.
    pub async fn place(&self, order: &Order) -> Result<Job> {
        Ok(self.job(self.transport.submit(order).await?))
    }

    /// Looks once for a purchase whose answer was lost, such as one that a process was killed over.
    /// Before its start deadline has passed, `None` means "not yet".
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Auth`] when the key may not read the listing of requests,
    /// [`ErrorKind::OutcomeUnknown`] when more than one request has exactly this input.
    pub async fn find(&self, intent: &Intent) -> Result<Option<Job>> {
        let found = self.transport.find(intent).await?;
        Ok(found.map(|ticket| self.job(ticket)))
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
        let order = self.prepare(request).await?;
        let answer = self.transport.run(&order).await?;
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
