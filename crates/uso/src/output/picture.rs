//! A picture that a job made: fetching and saving it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::fs;
use uso_transport::{
    EndpointId, Error, ErrorKind, Expected, Operation, Overwrite, Result, Ticket, Transport,
};
use uso_types::Image;

use crate::from_result::attached;
use crate::runtime;

/// MIME type of a result.
pub(super) const JSON: &str = "application/json";

/// MIME type of bytes of no known format.
pub(super) const UNKNOWN: &str = "application/octet-stream";

/// A picture that a job made. It is on the service's CDN and may expire: save it soon.
#[derive(Clone)]
pub struct Picture {
    transport: Transport,
    ticket: Option<Ticket>,
    image: Image,
    flagged: bool,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL is left out: it opens the picture, and in sync mode it is the picture.
        f.debug_struct("Picture")
            .field("width", &self.image.width)
            .field("height", &self.image.height)
            .field("content_type", &self.image.content_type)
            .field("flagged", &self.flagged)
            .finish_non_exhaustive()
    }
}

impl Picture {
    pub(super) fn new(
        transport: Transport,
        ticket: Option<Ticket>,
        image: Image,
        flagged: bool,
    ) -> Self {
        Self {
            transport,
            ticket,
            image,
            flagged,
        }
    }

    /// A picture of a finished job by its address, as an earlier [`Picture::url`] told it.
    pub(crate) fn stored(
        transport: Transport,
        ticket: Option<Ticket>,
        url: String,
        kind: Option<String>,
    ) -> Self {
        let mut image = Image::new(url);
        image.content_type = kind;
        Self::new(transport, ticket, image, false)
    }

    /// The picture's address: an `https` URL, or a data URI for a job in sync mode.
    pub fn url(&self) -> &str {
        &self.image.url
    }

    /// The MIME type, where the service names one. The bytes may be of another.
    pub fn content_type(&self) -> Option<&str> {
        self.image.content_type.as_deref()
    }

    /// The usual file extension of the format that the service names; `png`, the endpoint's
    /// default, where it names none. [`Output::save_all`](crate::Output::save_all) goes by the
    /// bytes instead.
    ///
    /// For a file of another endpoint, the extension that its URL has, or else `bin`.
    pub fn extension(&self) -> &str {
        let kind = self.content_type().unwrap_or_default();
        match kind {
            JSON => "json",
            _ if self.is_any_file() && !is_picture(kind) => {
                extension_in(self.url()).unwrap_or("bin")
            }
            _ => extension_of(kind),
        }
    }

    /// Whether the file is one of another endpoint, which may be of any type.
    fn is_any_file(&self) -> bool {
        self.ticket.as_ref().is_some_and(|ticket| !is_uso(ticket))
    }

    /// The length of the file in bytes, where the service names it.
    pub fn file_size(&self) -> Option<u64> {
        self.image.file_size
    }

    /// The width in pixels, where the service names it.
    pub fn width(&self) -> Option<u64> {
        self.image.width
    }

    /// The height in pixels, where the service names it.
    pub fn height(&self) -> Option<u64> {
        self.image.height
    }

    /// Whether the safety checker flagged the picture, which is then usually black.
    pub fn is_flagged(&self) -> bool {
        self.flagged
    }

    /// Saves the picture under a name that must be free. The file appears under the name only when
    /// it is whole: its length is the told one, and it ends as its format has it. File and name are
    /// synced to the disk before the future returns.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves either the whole file or none, and the picture can be saved
    /// again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`](crate::ErrorKind::Exists) when the name is taken,
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) when the file cannot be written,
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) when the picture has expired,
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) when it stays damaged or is no
    /// picture. Each carries the ticket.
    pub async fn save(&self, path: impl AsRef<Path>) -> Result<Saved> {
        self.save_as(path.as_ref(), Overwrite::Never).await
    }

    /// Saves the picture as [`Picture::save`] does, and replaces a file that has the name.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves either the old file or the new one.
    ///
    /// # Errors
    ///
    /// As [`Picture::save`], without the taken name.
    pub async fn save_over(&self, path: impl AsRef<Path>) -> Result<Saved> {
        self.save_as(path.as_ref(), Overwrite::Replace).await
    }

    /// Saves the picture under the name for the extension that its bytes call for.
    pub(super) async fn save_named(&self, name: impl Fn(&str) -> PathBuf) -> Result<Saved> {
        let mut saved = self.save(name(self.extension())).await?;
        let extension = extension_of(saved.content_type);
        let is_picture = is_picture(saved.content_type) || !self.is_any_file();
        if is_picture && extension != self.extension() {
            let path = name(extension);
            // The first name is taken away only when the file has the second.
            let moved = match fs::hard_link(&saved.path, &path).await {
                Ok(()) => fs::remove_file(&saved.path).await,
                Err(error) => Err(error),
            };
            if let Err(error) = moved {
                let message = format!(
                    "the picture is of type {} and could not be named {}; it is saved as {}",
                    saved.content_type,
                    path.display(),
                    saved.path.display()
                );
                let error = Error::new(Operation::Save, ErrorKind::Io, message).with_source(error);
                return Err(self.attach(error));
            }
            saved.path = path;
        }
        Ok(saved)
    }

    async fn save_as(&self, path: &Path, overwrite: Overwrite) -> Result<Saved> {
        runtime::check(Operation::Save)?;
        let found = Mutex::new(None);
        let check = |header: &[u8]| {
            let kind = self.check(header)?;
            *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(kind);
            Ok(())
        };
        let expected = self.expected(&check);
        let saved = self
            .transport
            .download(self.url(), path, overwrite, &expected);
        let saved = saved.await.map_err(|error| self.attach(error))?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Saved {
            path: saved.path,
            bytes: saved.bytes,
            sha256: saved.sha256,
            content_type: found.unwrap_or(UNKNOWN),
        })
    }

    /// Fetches the picture into memory.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the picture can be fetched again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) when the picture has expired,
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) when it stays damaged or is no
    /// picture.
    pub async fn bytes(&self) -> Result<Bytes> {
        runtime::check(Operation::Download)?;
        let check = |header: &[u8]| self.check(header).map(drop);
        let expected = self.expected(&check);
        let fetched = self.transport.fetch(self.url(), &expected).await;
        fetched.map_err(|error| self.attach(error))
    }

    /// The MIME type of a file with these first bytes, which has to be that of a picture unless the
    /// job is one of another endpoint.
    fn check(&self, header: &[u8]) -> Result<&'static str, String> {
        match self.is_any_file() {
            true => Ok(infer::get(header).map_or(UNKNOWN, |kind| kind.mime_type())),
            false => picture_type(header),
        }
    }

    fn expected<'a>(
        &self,
        header: &'a (dyn Fn(&[u8]) -> Result<(), String> + Send + Sync),
    ) -> Expected<'a> {
        Expected {
            length: self.image.file_size,
            header,
        }
    }

    fn attach(&self, error: Error) -> Error {
        attached(error, self.ticket.as_ref())
    }
}

/// A picture that was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saved {
    /// The path of the file.
    pub path: PathBuf,
    /// The length of the file in bytes.
    pub bytes: u64,
    /// The SHA-256 digest of the file, in hexadecimal digits.
    pub sha256: String,
    /// The MIME type that the bytes have, whatever the service or the name of the file says.
    pub content_type: &'static str,
}

/// The MIME type of a picture with these first bytes.
fn picture_type(header: &[u8]) -> Result<&'static str, String> {
    match infer::get(header) {
        Some(kind) if kind.matcher_type() == infer::MatcherType::Image => Ok(kind.mime_type()),
        Some(kind) => Err(format!("it is of type {}", kind.mime_type())),
        None => Err("its first bytes are those of no known format".to_owned()),
    }
}

pub(super) fn is_uso(ticket: &Ticket) -> bool {
    *ticket.endpoint() == EndpointId::uso()
}

fn is_picture(content_type: &str) -> bool {
    matches!(
        content_type,
        "image/png" | "image/jpeg" | "image/webp" | "image/gif"
    )
}

/// The extension in the path of a URL.
fn extension_in(url: &str) -> Option<&str> {
    let path = url
        .split(['?', '#'])
        .next()
        .filter(|_| !url.starts_with("data:"))?;
    let (_, extension) = path.rsplit_once('/')?.1.rsplit_once('.')?;
    let is_plain = (1..=5).contains(&extension.len());
    (is_plain && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(extension)
}

/// The usual file extension of a picture; `png`, the endpoint's default, for an unknown type.
fn extension_of(content_type: &str) -> &'static str {
    match content_type {
        "image/jpeg" => "jpg",
        "image/webp" => "webp",
        "image/gif" => "gif",
        _ => "png",
    }
}
