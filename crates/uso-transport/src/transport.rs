//! Transport: the client of the protocol, which delegates to its operations.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tracing::Instrument as _;

use crate::cdn_token::Tokens;
use crate::config::Config;
use crate::download::{Download, Downloads, Expected, Leftovers, Overwrite};
use crate::error::Result;
use crate::exchange::{Exchange, Moment};
use crate::intent::Intent;
use crate::keys::Keys;
use crate::kind::Operation;
use crate::order::{Guard, Order};
use crate::passthrough::{Forward, Forwarded, Passthrough};
use crate::queue::{Queue, span};
use crate::reconcile::Reconcile;
use crate::recovery::Recovery;
use crate::response::Response;
use crate::status::{Cancellation, Status};
use crate::storage::{Storage, Upload, Uploaded};
use crate::submission::Submission;
use crate::ticket::Ticket;
use crate::watch::Watch;

/// The protocol's client: one set of connections, shared by all clones.
///
/// It has to be used inside a Tokio runtime with its timers enabled.
///
/// ```no_run
/// use std::time::Duration;
/// use uso_transport::{Config, EndpointId, Order, Transport};
///
/// # async fn example() -> uso_transport::Result<()> {
/// let transport = Transport::new(Config::from_env()?)?;
/// let input = br#"{"input_image_urls":["https://example.org/cat.png"],"seed":7}"#;
/// let order = Order::new(EndpointId::uso(), input.to_vec(), Duration::from_secs(600))?;
/// let ticket = transport.submit(&order).await?;
/// let mut watch = transport.watch(&ticket);
/// while let Some(update) = watch.next().await {
///     println!("{:?}", update?);
/// }
/// let response = transport.result(&ticket).await?;
/// println!("{} bytes", response.body().len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Transport {
    exchange: Exchange,
    tokens: Tokens,
    leftovers: Arc<Leftovers>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("config", self.config())
            .finish_non_exhaustive()
    }
}

impl Transport {
    /// Makes the client. No connection is opened yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when TLS is needed and there are no root
    /// certificates, or when an option of the HTTP layer or a proxy variable cannot be used.
    pub fn new(config: Config) -> Result<Self> {
        let exchange = Exchange::new(config)?;
        let tokens = Tokens::new(exchange.clone());
        Ok(Self {
            exchange,
            tokens,
            leftovers: Arc::default(),
        })
    }

    /// The settings that the client was made with.
    pub fn config(&self) -> &Config {
        self.exchange.config()
    }

    /// Buys a job: puts the order's input into the endpoint's queue.
    ///
    /// The request is sent again only when it provably did not leave, or when the service refused
    /// it with 429 before queueing it. When the outcome is unknown, the request is looked for
    /// among the account's requests, for as long as [`Config::reconcile_within`] says, and adopted
    /// when it is found. The input is validated when the job runs, not now.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a submit that is dropped after its first poll continues in a task of its
    /// own, and its ticket is lost. Keep the [`Submission`] and call [`Submission::detach`], or
    /// keep the order's [`intent`](Order::intent), by which [`Transport::recover`] finds the
    /// purchase.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown), with the intent, when the
    /// job may have been bought; [`Error::verdict`](crate::Error::verdict) tells it from all else. An
    /// order that was placed before has it too, and is not sent; see [`Order::again`].
    pub fn submit(&self, order: &Order) -> Submission {
        Submission::new(self.exchange.clone(), order.clone())
    }

    /// Intent of an order that is about to be placed, to be written down before. It is dated by the
    /// service's clock if a response has told that, so that a later search need not trust this
    /// machine's.
    pub fn intent(&self, order: &Order) -> Intent {
        let intent = order.intent().clone();
        match self.exchange.since(Moment::now()) {
            Some(between) => {
                let length = order.input().len().try_into().unwrap_or(u64::MAX);
                let config = self.exchange.config();
                intent.sending(between, config.attempt_limit(Operation::Submit, length))
            }
            None => intent,
        }
    }

    /// Runs an order synchronously. There is no ticket: when the connection breaks, what was
    /// bought is lost. Prefer [`Transport::submit`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the future closes the connection. The service takes that as a
    /// cancellation, and may bill the run all the same.
    ///
    /// # Errors
    ///
    /// As for [`Transport::submit`], and those of the job itself as for [`Transport::result`].
    pub async fn run(&self, order: &Order) -> Result<Response> {
        Queue(&self.exchange).run(order).await
    }

    /// Finds out what became of a purchase whose response was lost, in the account's listing of
    /// requests. The intent may have been written down by another process.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is bought.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Auth`](crate::ErrorKind::Auth) when the key may not read the listing, and
    /// those of any request when the listing cannot be read.
    pub async fn recover(&self, intent: &Intent) -> Result<Recovery> {
        Reconcile(&self.exchange).recover(intent).await
    }

    /// Asks once where a job stands.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) when the service does not know the request,
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) with the raw body when the response is
    /// of no use.
    pub async fn status(&self, ticket: &Ticket) -> Result<Status> {
        let asking = async { Queue(&self.exchange).status(ticket, true).await };
        asking.instrument(span(ticket)).await
    }

    /// Follows a job until it has ended: by stream where it can, by polling where it cannot.
    pub fn watch(&self, ticket: &Ticket) -> Watch {
        Watch::new(self.exchange.clone(), ticket.clone())
    }

    /// Fetches the result of a job that has ended. Fetching does not consume it.
    ///
    /// That a job has ended badly is believed when the service says it twice, with a pause between.
    /// A page of a gateway, or a fault in front of the result, is asked for again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the result can be fetched again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotReady`](crate::ErrorKind::NotReady) when the job has not ended,
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) when the endpoint refused the input,
    /// [`ErrorKind::Failed`](crate::ErrorKind::Failed) when the job failed,
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) when it was cancelled,
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) when the service does not have the result,
    /// [`ErrorKind::Server`](crate::ErrorKind::Server) when the service fails for the moment.
    pub async fn result(&self, ticket: &Ticket) -> Result<Response> {
        let asking = async { Queue(&self.exchange).result(ticket).await };
        asking.instrument(span(ticket)).await
    }

    /// Asks the service to cancel a job. It may still complete, and is then billed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open whether the service was asked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) when the service does not know the request.
    pub async fn cancel(&self, ticket: &Ticket) -> Result<Cancellation> {
        let asking = async { Queue(&self.exchange).cancel(ticket).await };
        asking.instrument(span(ticket)).await
    }

    /// Uploads a file, or what is left of an upload that failed before.
    ///
    /// Up to [`Config::multipart_from`] it is sent in one request, above in parts of 10 MiB, some
    /// at a time, each repeated by itself.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the upload keeps the parts that arrived, and the next call sends the others.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) when the file cannot be read or changes while it is
    /// read, [`ErrorKind::Auth`](crate::ErrorKind::Auth) when the key may not upload,
    /// [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable) and
    /// [`ErrorKind::Server`](crate::ErrorKind::Server) after the last attempt of both ways. The
    /// upload can be tried again with the same value, which then sends only what did not arrive.
    pub async fn upload(&self, upload: &mut Upload) -> Result<Uploaded> {
        let storage = Storage::new(self.exchange.clone(), self.tokens.clone());
        storage.upload(upload).await
    }

    /// Fetches a file into memory, up to the largest body of the settings. A data URI is decoded.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the file can be fetched again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) when the file has expired,
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), with what came as the raw body, when
    /// the file is not whole, [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable) after the
    /// last attempt.
    pub async fn fetch(&self, url: &str, expected: &Expected<'_>) -> Result<Bytes> {
        self.downloads().fetch(url, expected).await
    }

    /// Fetches a file to `path`: into a temporary file beside it first, then, when the file is
    /// whole and on the disk, to its name in one step. A data URI is decoded. A file that stays
    /// damaged after the last attempt is kept beside the path, under a name with `.damaged`, which
    /// the error tells.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: either the whole file has its name, or there is no file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`](crate::ErrorKind::Exists) when the name is taken,
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) when the file cannot be written, and those of
    /// [`Transport::fetch`].
    pub async fn download(
        &self,
        url: &str,
        path: &Path,
        overwrite: Overwrite,
        expected: &Expected<'_>,
    ) -> Result<Download> {
        self.downloads().save(url, path, overwrite, expected).await
    }

    /// Fetches a JSON Web Key Set as it is: the one that fal publishes at
    /// `/.well-known/jwks.json` of the REST host (fal docs, webhooks), or the one at this URL. No
    /// API key is sent.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when the URL is neither `https` nor `http`
    /// to this machine, [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable) after the last
    /// attempt, and [`ErrorKind::Server`](crate::ErrorKind::Server) or
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) when the host responds with an error.
    pub async fn jwks(&self, url: Option<&str>) -> Result<Bytes> {
        Keys(&self.exchange).fetch(url).await
    }

    /// Sends a caller's request once, with the key, and gives the response as it comes: no redirect
    /// is followed, nothing is sent again, and a refusal by the service is a response and no error.
    ///
    /// The head of the response must come within [`Config::answer_within`]
    /// ([`Config::finish_within`] for a run).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe for a purchase: dropping the future leaves its outcome unknown.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) when a purchase may have been
    /// accepted, and [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable) otherwise;
    /// [`Error::delivery`](crate::Error::delivery) says whether the request left.
    pub async fn forward(&self, forward: Forward) -> Result<Forwarded> {
        Passthrough(&self.exchange).send(forward, None).await
    }

    /// As [`Transport::forward`], while this holds, which is asked when the connection takes the first
    /// byte of the body; see [`Order::only_while`]. Otherwise nothing is sent, and the error is of the
    /// kind [`ErrorKind::Deadline`](crate::ErrorKind::Deadline).
    ///
    /// # Cancel safety
    ///
    /// As [`Transport::forward`].
    ///
    /// # Errors
    ///
    /// As [`Transport::forward`].
    pub async fn forward_while(
        &self,
        forward: Forward,
        holds: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Forwarded> {
        let guard = Some(Guard::new(holds));
        Passthrough(&self.exchange).send(forward, guard).await
    }

    fn downloads(&self) -> Downloads<'_> {
        Downloads {
            exchange: &self.exchange,
            tokens: &self.tokens,
            leftovers: &self.leftovers,
        }
    }
}
