//! What a job made.

mod template;

use std::path::Path;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use uso_transport::{
    Answer, Delivery, Download, Error, ErrorKind, Operation, Overwrite, Result, Ticket, Transport,
};
use uso_types::{Image, UsoOutput};

use self::template::{Template, Values};

/// Pictures that are fetched at a time.
const AT_ONCE: usize = 4;

/// The output of a job: at least one picture, and what the service says of it.
#[derive(Clone)]
pub struct Output {
    images: Vec<Picture>,
    decoded: UsoOutput,
    answer: Answer,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The service gives the prompt back, and in sync mode the pictures themselves.
        f.debug_struct("Output")
            .field("images", &self.images)
            .field("seed", &self.seed())
            .field("billable_units", &self.billable_units())
            .finish_non_exhaustive()
    }
}

impl Output {
    pub(crate) fn read(
        transport: &Transport,
        ticket: Option<&Ticket>,
        answer: &Answer,
    ) -> Result<Self> {
        let attach = |error: Error| match ticket {
            Some(ticket) => error.with_ticket(ticket),
            None => error,
        };
        let mut decoded: UsoOutput = answer.decode().map_err(attach)?;
        let flags = decoded.has_nsfw_concepts.as_deref().unwrap_or_default();
        let images: Vec<Picture> = decoded
            .images
            .take()
            .unwrap_or_default()
            .into_iter()
            .enumerate()
            .map(|(position, image)| Picture {
                transport: transport.clone(),
                ticket: ticket.cloned(),
                flagged: flags.get(position).copied().unwrap_or(false),
                image,
            })
            .collect();
        if images.is_empty() {
            let error = Error::new(
                Operation::Result,
                ErrorKind::Malformed,
                "the result has no picture in it",
            );
            let error = error
                .with_delivery(Delivery::Answered)
                .with_raw_body(answer.body().clone());
            return Err(attach(error));
        }
        Ok(Self {
            images,
            decoded,
            answer: answer.clone(),
        })
    }

    /// The pictures; there is at least one.
    pub fn images(&self) -> &[Picture] {
        &self.images
    }

    /// Saves all pictures into a folder, which is made if it is not there, several at a time. The
    /// outcomes stand in the order of the pictures: one that cannot be saved keeps none of the
    /// others.
    ///
    /// In `template`, `{n}` is the picture's number from 1 on, `{id}` the request id, `{seed}` the
    /// seed and `{ext}` the usual ending of its format. The names must be free.
    ///
    /// ```no_run
    /// # async fn example(output: uso::Output) -> uso::Result<()> {
    /// for saved in output.save_all("pictures", "{id}-{n}.{ext}").await? {
    ///     println!("{}", saved?.path.display());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when the template is none, [`ErrorKind::Io`] when the folder cannot be
    /// made; for each picture those of [`Picture::save`].
    pub async fn save_all(
        &self,
        folder: impl AsRef<Path>,
        template: &str,
    ) -> Result<Vec<Result<Download>>> {
        let folder = folder.as_ref();
        let template = Template::new(template, self.images.len())
            .map_err(|problem| self.attach(Error::invalid(vec![problem])))?;
        let made = tokio::fs::create_dir_all(folder).await;
        made.map_err(|error| {
            let message = format!("the folder {} cannot be made", folder.display());
            let error = Error::new(Operation::Save, ErrorKind::Io, message).with_source(error);
            self.attach(error)
        })?;
        let saves = self.images.iter().enumerate().map(|(index, picture)| {
            let name = template.name(&Values {
                number: index + 1,
                request_id: picture.ticket.as_ref().map(Ticket::request_id),
                seed: self.seed(),
                extension: picture.extension(),
            });
            let path = folder.join(name);
            async move { picture.save(path).await }
        });
        Ok(stream::iter(saves).buffered(AT_ONCE).collect().await)
    }

    fn attach(&self, error: Error) -> Error {
        let ticket = self
            .images
            .first()
            .and_then(|picture| picture.ticket.as_ref());
        match ticket {
            Some(ticket) => error.with_ticket(ticket),
            None => error,
        }
    }

    /// The seed that the service used, where it says so.
    pub fn seed(&self) -> Option<u64> {
        self.decoded.seed
    }

    /// The prompt that the service used, where it says so.
    pub fn prompt(&self) -> Option<&str> {
        self.decoded.prompt.as_deref()
    }

    /// What was billed, as the service's header says it: a decimal number of megapixels.
    pub fn billable_units(&self) -> Option<&str> {
        self.answer.billable_units()
    }

    /// The answer's body as it came.
    pub fn raw_body(&self) -> &[u8] {
        self.answer.body()
    }

    pub(crate) fn into_raw_body(self) -> Bytes {
        self.answer.body().clone()
    }
}

/// A picture that a job made. It lies on the service's CDN and may expire: save it soon.
#[derive(Clone)]
pub struct Picture {
    transport: Transport,
    ticket: Option<Ticket>,
    image: Image,
    flagged: bool,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture")
            .field("width", &self.image.width)
            .field("height", &self.image.height)
            .field("content_type", &self.image.content_type)
            .field("flagged", &self.flagged)
            .finish_non_exhaustive()
    }
}

impl Picture {
    /// Where it lies: an `https` URL, or a data URI for a job in sync mode.
    pub fn url(&self) -> &str {
        &self.image.url
    }

    /// Its MIME type, where the service says so.
    pub fn content_type(&self) -> Option<&str> {
        self.image.content_type.as_deref()
    }

    /// The usual ending of its format; `png`, the endpoint's default, where the service does not
    /// tell.
    fn extension(&self) -> &'static str {
        match self.content_type() {
            Some("image/jpeg") => "jpg",
            Some("image/webp") => "webp",
            Some("image/gif") => "gif",
            _ => "png",
        }
    }

    /// Its width in pixels, where the service says so.
    pub fn width(&self) -> Option<u64> {
        self.image.width
    }

    /// Its height in pixels, where the service says so.
    pub fn height(&self) -> Option<u64> {
        self.image.height
    }

    /// Whether the safety checker flagged it; the picture is then usually black.
    pub fn is_flagged(&self) -> bool {
        self.flagged
    }

    /// Saves it under a name that must be free. A file appears under the name only when it is
    /// whole: its length and its first bytes are checked before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the name is taken or the file cannot be written,
    /// [`ErrorKind::Gone`] when the picture has expired. Both carry the ticket.
    pub async fn save(&self, path: impl AsRef<Path>) -> Result<Download> {
        self.save_as(path.as_ref(), Overwrite::Never).await
    }

    /// Saves it as [`Picture::save`] does, replacing a file that has the name.
    ///
    /// # Errors
    ///
    /// As [`Picture::save`], without the taken name.
    pub async fn save_over(&self, path: impl AsRef<Path>) -> Result<Download> {
        self.save_as(path.as_ref(), Overwrite::Replace).await
    }

    async fn save_as(&self, path: &Path, overwrite: Overwrite) -> Result<Download> {
        let saved = self
            .transport
            .download(self.url(), path, overwrite, &is_picture)
            .await;
        saved.map_err(|error| self.attach(error))
    }

    /// Fetches it into memory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] when it has expired, [`ErrorKind::Malformed`] when it is no picture.
    pub async fn bytes(&self) -> Result<Bytes> {
        let bytes = self
            .transport
            .fetch(self.url())
            .await
            .map_err(|error| self.attach(error))?;
        is_picture(&bytes).map_err(|why| {
            let error = Error::new(
                Operation::Download,
                ErrorKind::Malformed,
                format!("the picture is damaged: {why}"),
            );
            self.attach(error.with_delivery(Delivery::Answered))
        })?;
        Ok(bytes)
    }

    fn attach(&self, error: Error) -> Error {
        match &self.ticket {
            Some(ticket) => error.with_ticket(ticket),
            None => error,
        }
    }
}

/// Whether these first bytes are those of a picture, by content and not by name.
fn is_picture(header: &[u8]) -> Result<(), String> {
    match infer::get(header) {
        Some(kind) if kind.matcher_type() == infer::MatcherType::Image => Ok(()),
        Some(kind) => Err(format!("it is of type {}", kind.mime_type())),
        None => Err("its first bytes are those of no known format".to_owned()),
    }
}
