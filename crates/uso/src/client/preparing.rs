//! Requests made ready for their purchase, and the uploads of their pictures.

use uso_transport::{
    Billed, EndpointId, Error, ErrorKind, Operation, Order, Problem, Result, Ticket, Upload,
    Uploaded, Webhook,
};

use super::Client;
use crate::content_type::content_type;
use crate::output::Picture;
use crate::portable::Portable;
use crate::prepared::{self, Prepared, PreparedPicture, Preview};
use crate::recipe::not_json;
use crate::request::Request;
use crate::runtime;
use crate::uploads::KnownUpload;

/// The beginning of a file that its type is detected from.
const HEAD: usize = 8 << 10;

impl Client {
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
        let _permits = self.uploads.admit(preview.request.local_pictures()).await;
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
        let _permits = self.uploads.admit(request.local_pictures()).await;
        let preview = prepared::preview(request, &self.uploads).await?;
        self.complete_admitted(preview).await
    }

    /// Uploads the pictures of a request, so that another machine can buy it, and says how each
    /// picture goes to the service. Nothing is bought.
    ///
    /// # Errors
    ///
    /// Those of [`Client::prepare`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future buys nothing. An upload that was under way is made again next time.
    pub async fn portable(&self, request: Request) -> Result<(Portable, Vec<PreparedPicture>)> {
        runtime::check(Operation::Prepare)?;
        let _permits = self.uploads.admit(request.local_pictures()).await;
        let preview = prepared::preview(request, &self.uploads).await?;
        let (request, input, pictures) =
            prepared::complete(preview, &self.uploads, &self.transport).await?;
        Ok((Portable::new(&request, input), pictures))
    }

    /// A picture of a finished job by its address, as [`Picture::url`] told it, and its MIME type: to
    /// fetch it again, for as long as the service keeps it.
    pub fn stored_picture(
        &self,
        ticket: Option<Ticket>,
        url: impl Into<String>,
        content_type: Option<String>,
    ) -> Picture {
        Picture::stored(self.transport.clone(), ticket, url.into(), content_type)
    }

    async fn complete_admitted(&self, preview: Preview) -> Result<Prepared> {
        let (request, input, pictures) =
            prepared::complete(preview, &self.uploads, &self.transport).await?;
        let start_within = request
            .terms
            .start_within
            .unwrap_or(self.config().start_limit());
        let body = serde_json::to_vec(&input).map_err(not_json)?;
        let mut order = Order::new(EndpointId::uso(), body, start_within)?;
        if let Some(lifecycle) = &request.terms.lifecycle {
            order = order.with_lifecycle(lifecycle);
        }
        if request.terms.low_priority {
            order = order.with_low_priority();
        }
        if request.terms.no_service_retries {
            order = order.without_service_retries();
        }
        if request.terms.no_history {
            order = order.without_history();
        }
        if let Some(url) = &request.terms.webhook {
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

    /// Whether [`Client::known_uploads`] has any, which costs less than the list.
    pub fn has_known_uploads(&self) -> bool {
        self.uploads.is_any_known()
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
}
