//! Client of the endpoint: one set of connections, any number of jobs.

use std::fmt;
use std::sync::Arc;

use uso_transport::{
    Billed, Config, EndpointId, Error, ErrorKind, Intent, Operation, Order, Problem, Response,
    Result, Ticket, Transport, Upload, Uploaded, Webhook,
};
use uso_webhook::Notification;

use crate::content_type::content_type;
use crate::job::Job;
use crate::output::Output;
use crate::prepared::{self, Prepared, PreparedPicture, Preview};
use crate::recovery::Recovery;
use crate::request::Request;
use crate::runtime;
use crate::unclaimed::{Unclaimed, Unclaims};
use crate::uploads::{KnownUpload, Uploads};

/// The beginning of a file that its type is detected from.
const HEAD: usize = 8 << 10;

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
    /// [`ErrorKind::Input`] when the request is wrong, before anything is sent;
    /// [`ErrorKind::OutcomeUnknown`] when the job may have been bought; [`ErrorKind::Unreachable`],
    /// [`ErrorKind::Throttled`], [`ErrorKind::Auth`] or [`ErrorKind::Locked`] when it was not.
    pub async fn submit(&self, request: Request) -> Result<Job> {
        let prepared = self.prepare(request).await?;
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

    /// Checks a request and reads its local pictures, each once: proved to be decodable and made
    /// fit. Nothing is sent. The preview tells the price, and which pictures are uploaded already.
    ///
    /// [`Client::complete`] goes on from there without reading a picture again:
    ///
    /// ```no_run
    /// # async fn example(client: uso::Client) -> uso::Result<()> {
    /// use uso::Request;
    ///
    /// let preview = client.preview(Request::restyle("photo.jpg", "ink.webp")).await?;
    /// println!("{:?}", preview.estimate().price());
    /// let prepared = client.complete(preview).await?;
    /// let job = client.place(prepared.order()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] with every problem of the request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: a reader or a pipe keeps what was read of it.
    pub async fn preview(&self, request: Request) -> Result<Preview> {
        runtime::check(Operation::Prepare)?;
        prepared::preview(request, &self.uploads).await
    }

    /// Uploads the pictures of a preview and completes its input; nothing is bought yet.
    ///
    /// # Errors
    ///
    /// Those of [`Client::upload`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future buys nothing. An upload that was under way is made again next time.
    pub async fn complete(&self, preview: Preview) -> Result<Prepared> {
        runtime::check(Operation::Prepare)?;
        let pictures = preview.request.references().count();
        let _permits = self.uploads.admit(pictures).await;
        self.complete_admitted(preview).await
    }

    /// [`Client::preview`] and [`Client::complete`] in one: every problem is found before anything
    /// is sent, and nothing is bought yet. The order's [`intent`](Order::intent) can be written
    /// down before the purchase.
    ///
    /// The same picture is uploaded once, however many requests and tasks use it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future buys nothing. An upload that was under way is made again next time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] with everything that is wrong with the request; those of
    /// [`Client::upload`].
    pub async fn prepare(&self, request: Request) -> Result<Prepared> {
        runtime::check(Operation::Prepare)?;
        // Taken before a picture is read, so that few of them are held at a time.
        let _permits = self.uploads.admit(request.references().count()).await;
        let preview = self.preview(request).await?;
        self.complete_admitted(preview).await
    }

    async fn complete_admitted(&self, preview: Preview) -> Result<Prepared> {
        let request = preview.request.clone();
        let start_within = request.start_within.unwrap_or(self.config().start_limit());
        let (input, pictures) = prepared::complete(preview, &self.uploads, &self.transport).await?;
        let body = serde_json::to_vec(&input).map_err(|error| {
            Error::new(
                Operation::Prepare,
                ErrorKind::Input,
                "the input is not JSON",
            )
            .with_source(error)
        })?;
        let mut order = Order::new(EndpointId::uso(), body, start_within)?;
        if let Some(lifecycle) = &request.lifecycle {
            order = order.with_lifecycle(lifecycle);
        }
        if request.low_priority {
            order = order.with_low_priority();
        }
        if request.no_service_retries {
            order = order.without_service_retries();
        }
        if request.no_history {
            order = order.without_history();
        }
        if let Some(url) = &request.webhook {
            order = order.with_webhook(Webhook::new(url)?);
        }
        Ok(Prepared { order, pictures })
    }

    /// Whether a job failed because the service lost a picture that was uploaded earlier, and the
    /// service says that it billed zero units. The earlier uploads of the request are then
    /// forgotten, so that preparing the request again uploads the pictures again. Do that once: an
    /// upload that is lost at once is lost for another reason.
    ///
    /// [`Client::generate`] does all of this.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave some uploads remembered; ask again.
    pub async fn forget_gone(&self, prepared: &Prepared, error: &Error) -> bool {
        if error.kind() != ErrorKind::Input || error.billed() != Billed::Free {
            return false;
        }
        let pictures = || prepared.pictures().iter().enumerate();
        let is_gone = pictures().any(|(index, picture)| {
            let place = format!("input_image_urls[{index}]");
            let is_its = |problem: &Problem| {
                problem.category == "file_download_error" && problem.path == place
            };
            picture.reused().is_some() && error.problems().iter().any(is_its)
        });
        // The service names the first that it misses; the others are as old. Another task may have
        // forgotten them before, which is as good.
        for (key, url) in pictures().filter_map(|(_, picture)| picture.reused()) {
            if is_gone {
                self.uploads.forget(key, url).await;
            }
        }
        is_gone
    }

    /// Uploads a file of any size and returns its URL, which any request can use. The type is
    /// detected from the content unless it was given. The pictures of a request are uploaded
    /// without this.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use uso::upload::{Lifecycle, Source, Upload};
    /// use uso::Client;
    ///
    /// # async fn example(client: Client) -> uso::Result<()> {
    /// let day = Lifecycle::new().expires_after(Duration::from_secs(24 * 3600));
    /// let mut upload = Upload::new(Source::file("photo.jpg").await?).lifecycle(&day);
    /// println!("{}", client.upload(&mut upload).await?.url);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, calling again with the same upload sends only the parts that
    /// did not arrive.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the file cannot be read or changes while it is read; [`ErrorKind::Auth`],
    /// [`ErrorKind::Unreachable`] and [`ErrorKind::Server`] when the service does not take it. The
    /// same upload can be tried again and then sends only the parts that did not arrive.
    pub async fn upload(&self, upload: &mut Upload) -> Result<Uploaded> {
        runtime::check(Operation::Upload)?;
        if upload.known_content_type().is_none() {
            let head = upload.source().head(HEAD).await?;
            if let Some(kind) = content_type(&head, upload.known_file_name()) {
                upload.set_content_type(&kind);
            }
        }
        self.transport.upload(upload).await
    }

    /// The pictures that were uploaded for requests and may be used again, for another process.
    pub fn known_uploads(&self) -> Vec<KnownUpload> {
        self.uploads.known()
    }

    /// The upload that a picture was sent with, for another process; `None` where the picture was
    /// not uploaded.
    pub fn known_upload(&self, picture: &PreparedPicture) -> Option<KnownUpload> {
        self.uploads.one(picture.upload_key()?)
    }

    /// Uses the pictures that another client has uploaded to the same account.
    pub fn remember_uploads(&self, uploads: Vec<KnownUpload>) {
        self.uploads.remember(uploads);
    }

    /// Buys an order. Each call is a purchase of its own.
    ///
    /// The order is sent again only when it provably did not leave, or when the service refused it
    /// with 429 before queueing it. When the response is lost, the purchase is looked for among
    /// the account's requests by its exact input, which includes the pinned seed, and adopted when
    /// it is found; see [`Config::reconcile_within`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the purchase continues in a task of its own, and
    /// [`Client::unclaimed`] returns what became of it. The intent of the order finds it too.
    ///
    /// # Errors
    ///
    /// As [`Client::submit`], without those of a wrong request.
    pub async fn place(&self, order: &Order) -> Result<Job> {
        runtime::check(Operation::Submit)?;
        let ticket = self.unclaims.place(&self.transport, order).await?;
        Ok(self.job(ticket))
    }

    /// The purchases of [`Client::submit`], [`Client::place`] and [`Client::generate`] whose
    /// futures were dropped before they returned: by a timeout, a `select!`, or a server whose
    /// caller disconnected. Purchases that are still under way are waited for. Each purchase is
    /// returned once; purchases that the service refused are left out.
    ///
    /// ```no_run
    /// # async fn example(client: uso::Client) -> uso::Result<()> {
    /// use std::time::Duration;
    /// use uso::purchase::Unclaimed;
    /// use uso::Request;
    ///
    /// let generate = client.generate(Request::restyle("photo.jpg", "ink.webp"));
    /// if tokio::time::timeout(Duration::from_secs(5), generate).await.is_err() {
    ///     for purchase in client.unclaimed().await {
    ///         match purchase {
    ///             Unclaimed::Bought(ticket) => println!("bought: {}", ticket.request_id()),
    ///             other => println!("{other:?}"),
    ///         }
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no purchase: the next call returns them.
    pub async fn unclaimed(&self) -> Vec<Unclaimed> {
        self.unclaims.take().await
    }

    /// Finds out what became of a purchase whose response was lost, in the account's list of
    /// requests. The intent may have been written down by another process.
    ///
    /// ```no_run
    /// # async fn example(client: uso::Client, intent: uso::Intent) -> uso::Result<()> {
    /// use uso::purchase::Recovery;
    ///
    /// match client.recover(&intent).await? {
    ///     Recovery::Found(job) => println!("{:?}", job.wait().await?),
    ///     Recovery::NotYet { until } => println!("ask again, at the latest at {until:?}"),
    ///     Recovery::NotBought => println!("buying again is safe"),
    ///     other => println!("a person has to decide: {other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Auth`] when the key may not read the list of requests, and those of any request
    /// when the list cannot be fetched.
    pub async fn recover(&self, intent: &Intent) -> Result<Recovery> {
        runtime::check(Operation::Find)?;
        Ok(match self.transport.recover(intent).await? {
            uso_transport::Recovery::Found(ticket) => Recovery::Found(self.job(ticket)),
            uso_transport::Recovery::NotYet { until } => Recovery::NotYet { until },
            uso_transport::Recovery::NotBought => Recovery::NotBought,
            uso_transport::Recovery::Undecidable { candidates, why } => {
                Recovery::Undecidable { candidates, why }
            }
            other => Recovery::Undecidable {
                candidates: Vec::new(),
                why: format!("the outcome is not known to this version: {other:?}"),
            },
        })
    }

    /// The job of a purchase whose submit response was lost, proved by the notification of its end:
    /// only this purchase knows the attempt id in the notification's path, so the notification shows
    /// that the submit was accepted, and under which request id. Nothing is sent. The intent may
    /// have been stored by another process.
    ///
    /// ```no_run
    /// # async fn example(client: uso::Client, notification: uso::webhook::Notification) -> uso::Result<()> {
    /// use uso::Request;
    ///
    /// let request = Request::restyle("photo.jpg", "ink.webp").webhook("https://example.org/hook");
    /// let prepared = client.prepare(request).await?;
    /// let job = match client.place(prepared.order()).await {
    ///     Ok(job) => job,
    ///     // ... the receiver got a notification meanwhile ...
    ///     Err(_) => client.adopt(prepared.order().intent(), &notification)?,
    /// };
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when the path of the notification does not end in this purchase's attempt
    /// id, or the purchase was made without a webhook.
    pub fn adopt(&self, intent: &Intent, notification: &Notification) -> Result<Job> {
        let refuse = |why: &str| Error::new(Operation::Adopt, ErrorKind::Input, why);
        if !intent.has_webhook() {
            return Err(refuse(
                "the purchase was made without a webhook, so no notification can prove it",
            ));
        }
        let Some(attempt_id) = notification.attempt_id() else {
            return Err(
                refuse("the notification has no path, so its purchase is not known")
                    .with_hint("set the path of the request with Notification::with_path"),
            );
        };
        if !intent.recognises(attempt_id) {
            return Err(refuse("the notification is of another purchase"));
        }
        let ticket = intent.ticket(notification.request_id());
        Ok(self.job(ticket.map_err(|error| refuse(&error.to_string()))?))
    }

    /// The output that a notification carries, without a request to the service.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Failed`] when the request failed. [`ErrorKind::Malformed`] when the notification
    /// has no pictures: the error carries the ticket, and [`Client::job`] fetches the result by it.
    pub fn output_of(&self, notification: &Notification) -> Result<Output> {
        let ticket = Ticket::for_request(EndpointId::uso(), notification.request_id());
        let ticket = ticket
            .map_err(|error| Error::new(Operation::Adopt, ErrorKind::Input, error.to_string()))?;
        if let Err(why) = notification.output() {
            let kind = if why.is_worth_fetching() {
                ErrorKind::Malformed
            } else {
                ErrorKind::Failed
            };
            // The reason may quote a text of the service.
            let why = why.to_string().replace(char::is_control, " ");
            return Err(Error::new(Operation::Adopt, kind, why).with_ticket(&ticket));
        }
        let payload = notification.payload().map(ToString::to_string);
        let response = Response::announced(payload.unwrap_or_default());
        Output::read(&self.transport, Some(&ticket), response)
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
        if request.webhook.is_some() {
            let why = "a synchronous run is not announced; submit it to the queue, or leave the webhook out";
            return Err(Error::invalid(vec![Problem::new("webhook", why)]));
        }
        let prepared = self.prepare(request).await?;
        let answer = self.transport.run(prepared.order()).await?;
        Output::read(&self.transport, None, answer)
    }

    /// The job of a ticket, which may come from this process, another one, or long ago.
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
