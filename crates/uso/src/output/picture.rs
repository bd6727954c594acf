//! A picture that a job made: fetching and saving it.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use uso_transport::{Download, Error, Expected, Operation, Overwrite, Result, Ticket, Transport};

use super::contents::Entry;
use crate::runtime;

/// A picture that a job made. It is on the service's CDN and may expire: save it soon.
#[derive(Clone)]
pub struct Picture {
    transport: Transport,
    ticket: Option<Ticket>,
    entry: Entry,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL is left out: it opens the picture, and in sync mode it is the picture.
        f.debug_struct("Picture")
            .field("width", &self.entry.width)
            .field("height", &self.entry.height)
            .field("content_type", &self.entry.content_type)
            .field("flagged", &self.entry.flagged)
            .finish_non_exhaustive()
    }
}

impl Picture {
    pub(super) fn new(transport: Transport, ticket: Option<Ticket>, entry: Entry) -> Self {
        Self {
            transport,
            ticket,
            entry,
        }
    }

    /// The picture's address: an `https` URL, or a data URI for a job in sync mode.
    pub fn url(&self) -> &str {
        &self.entry.url
    }

    /// The MIME type, where the service names one. The bytes may be of another.
    pub fn content_type(&self) -> Option<&str> {
        self.entry.content_type.as_deref()
    }

    /// The usual file extension of the format that the service names; `png`, the endpoint's
    /// default, where it names none. [`Output::save_all`](crate::Output::save_all) goes by the
    /// bytes instead.
    pub fn extension(&self) -> &'static str {
        match self.content_type() {
            Some("image/jpeg") => "jpg",
            Some("image/webp") => "webp",
            Some("image/gif") => "gif",
            _ => "png",
        }
    }

    /// The length of the file in bytes, where the service names it.
    pub fn file_size(&self) -> Option<u64> {
        self.entry.file_size
    }

    /// The width in pixels, where the service names it.
    pub fn width(&self) -> Option<u64> {
        self.entry.width
    }

    /// The height in pixels, where the service names it.
    pub fn height(&self) -> Option<u64> {
        self.entry.height
    }

    /// Whether the safety checker flagged the picture, which is then usually black.
    pub fn is_flagged(&self) -> bool {
        self.entry.flagged
    }

    /// Saves the picture under a name that must be free. The file appears under the name only when
    /// it is whole: length, format and end are checked before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves either the whole file or none, and the picture can be saved
    /// again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`](crate::ErrorKind::Exists) when the name is taken, [`ErrorKind::Io`](crate::ErrorKind::Io) when the file cannot be written,
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) when the picture has expired, [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) when it stays
    /// damaged or is no picture. Each carries the ticket.
    pub async fn save(&self, path: impl AsRef<Path>) -> Result<Download> {
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
    pub async fn save_over(&self, path: impl AsRef<Path>) -> Result<Download> {
        self.save_as(path.as_ref(), Overwrite::Replace).await
    }

    /// Saves the picture under the name for the extension of its format.
    pub(super) async fn save_named(&self, name: impl Fn(&str) -> PathBuf) -> Result<Download> {
        self.save_as(&name(self.extension()), Overwrite::Never)
            .await
    }

    async fn save_as(&self, path: &Path, overwrite: Overwrite) -> Result<Download> {
        runtime::check(Operation::Save)?;
        let saved = self
            .transport
            .download(self.url(), path, overwrite, &self.expected())
            .await;
        saved.map_err(|error| self.attach(error))
    }

    /// Fetches the picture into memory.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the picture can be fetched again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) when it has expired, [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) when it is no picture.
    pub async fn bytes(&self) -> Result<Bytes> {
        runtime::check(Operation::Download)?;
        let bytes = self
            .transport
            .fetch(self.url(), &self.expected())
            .await
            .map_err(|error| self.attach(error))?;
        Ok(bytes)
    }

    /// What the whole file has to be.
    fn expected(&self) -> Expected<'static> {
        Expected {
            length: self.entry.file_size,
            header: &is_picture,
        }
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
