//! Client of the endpoint: one set of connections, any number of jobs.

mod preparing;
mod purchases;

use std::fmt;
use std::sync::Arc;

use uso_transport::{Config, Error, Order, Problem, Result, Transport};

use crate::from_result::FromResult as _;
use crate::job::Job;
use crate::output::Output;
use crate::request::Request;
use crate::unclaimed::Unclaims;
use crate::uploads::Uploads;

/// A client of the endpoint. Clones are cheap and share their connections; one is enough.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    uploads: Arc<Uploads>,
    unclaims: Arc<Unclaims>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client with the key and the hosts that the environment names: `FAL_KEY`, or `FAL_KEY_ID`
    /// with `FAL_KEY_SECRET`; `USO_BASE_URL` for an emulator or a gateway.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when there is no key or a value cannot be used.
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
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when TLS is needed and there are no root certificates.
    pub fn new(config: Config) -> Result<Self> {
        Ok(Self {
            transport: Transport::new(config)?,
            uploads: Arc::default(),
            unclaims: Arc::default(),
        })
    }

    /// Buys a job: [`Client::prepare`] and [`Client::place`] in one.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped before the purchase is sent, nothing is bought. Afterwards the
    /// purchase continues in a task of its own, and [`Client::unclaimed`] returns what became of
    /// it. Do not submit again before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) when the request is wrong, before anything is sent;
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) when the job may have been bought; [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable),
    /// [`ErrorKind::Throttled`](crate::ErrorKind::Throttled), [`ErrorKind::Auth`](crate::ErrorKind::Auth) or [`ErrorKind::Locked`](crate::ErrorKind::Locked) when it was not.
    pub async fn submit(&self, request: Request) -> Result<Job> {
        // Boxed, so that the future around it stays small: it is copied when a task is made of it.
        let prepared = Box::pin(self.prepare(request)).await?;
        self.place(prepared.order()).await
    }

    /// Buys a job, waits for it and fetches its output: [`Client::submit`] and [`Job::wait`] in
    /// one.
    ///
    /// When the job fails because the service no longer has a picture that was uploaded for an
    /// earlier job, and the service says that it billed zero units, the picture is uploaded again
    /// and the job is bought again, once. Without that proof the failure is returned, and buying
    /// again is the caller's decision.
    ///
    /// # Cancel safety
    ///
    /// As [`Client::submit`]; when the future is dropped while the job runs, [`Client::unclaimed`]
    /// returns its ticket.
    ///
    /// # Errors
    ///
    /// As for [`Client::submit`] and [`Job::wait`].
    pub async fn generate(&self, request: Request) -> Result<Output> {
        let prepared = self.prepare(request.clone()).await?;
        let error = match self.place_and_wait(prepared.order()).await {
            Err(error) if self.forget_gone(&prepared, &error).await => error,
            outcome => return outcome,
        };
        tracing::warn!(%error, "the service lost an upload, which is made again");
        let prepared = self.prepare(request).await?;
        self.place_and_wait(prepared.order()).await
    }

    async fn place_and_wait(&self, order: &Order) -> Result<Output> {
        let job = self.place(order).await?;
        let claim = self.unclaims.hold(job.ticket());
        let outcome = job.wait().await;
        claim.release();
        outcome
    }

    /// Runs a request synchronously, in one HTTP request and without a queue.
    ///
    /// There is no ticket: when the connection breaks, the picture is lost and may be billed.
    /// Prefer [`Client::submit`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: when the future is dropped, the picture is lost and may be billed.
    ///
    /// # Errors
    ///
    /// As for [`Client::submit`] and [`Job::wait`].
    pub async fn run(&self, request: Request) -> Result<Output> {
        if request.terms.webhook.is_some() {
            let why = "a synchronous run is not announced; submit it to the queue, or leave the webhook out";
            return Err(Error::invalid(vec![Problem::new("webhook", why)]));
        }
        let prepared = self.prepare(request).await?;
        let response = self.transport.run(prepared.order()).await?;
        Output::read(&self.transport, None, response)
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The settings that the client was made with.
    pub fn config(&self) -> &Config {
        self.transport.config()
    }
}
