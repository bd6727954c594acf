//! Source of an upload: a file, bytes, or what a reader gave.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::opened::{CHUNK, Opened, Stamp};
use super::piece::{Feed, Piece};
use super::progress::Progress;
use crate::error::{Error, Result};
use crate::kind::{ErrorKind, Operation};

/// Source of an upload: a file, bytes, or the content of a reader.
#[derive(Clone)]
pub struct Source(Kind);

#[derive(Clone)]
enum Kind {
    Bytes(Bytes),
    File(Arc<Opened>),
}

impl Source {
    /// Bytes that are in memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Bytes(bytes.into()))
    }

    /// The length in bytes.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Kind::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Kind::File(opened) => opened.stamp.length,
        }
    }

    /// Whether the source is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first bytes, at most so many, which tell the type.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the source can be read again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the file cannot be read.
    pub async fn head(&self, most: usize) -> Result<Bytes> {
        match &self.0 {
            Kind::Bytes(bytes) => Ok(bytes.slice(..bytes.len().min(most))),
            Kind::File(opened) => {
                let opened = Arc::clone(opened);
                let length = usize::try_from(opened.stamp.length).unwrap_or(usize::MAX);
                let read = move || {
                    let mut head = vec![0; length.min(most)];
                    opened.fill(&mut head, 0).map(|()| Bytes::from(head))
                };
                blocking(read).await?.map_err(|fault| fault.to_error())
            }
        }
    }

    /// Content in memory, for files that are known to be small.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the source can be read again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the file cannot be read, or changes while it is.
    pub async fn read(&self) -> Result<Bytes> {
        let whole = self.head(usize::MAX).await?;
        self.check()?;
        Ok(whole)
    }

    /// Passes the whole content to a function, in order and in small pieces, on a thread that may
    /// block.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the result alone: the function still gets the whole content.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the file cannot be read, or changes while it is.
    pub async fn scan<T: Send + 'static>(
        &self,
        mut seen: T,
        mut see: impl FnMut(&mut T, &[u8]) + Send + 'static,
    ) -> Result<T> {
        match &self.0 {
            Kind::Bytes(bytes) => {
                let bytes = bytes.clone();
                blocking(move || {
                    see(&mut seen, &bytes);
                    seen
                })
                .await
            }
            Kind::File(opened) => {
                let opened = Arc::clone(opened);
                let read = move || {
                    let mut buffer = vec![0; CHUNK];
                    let mut at = 0;
                    while at < opened.stamp.length {
                        let left = usize::try_from(opened.stamp.length - at).unwrap_or(CHUNK);
                        let chunk = buffer.get_mut(..left.min(CHUNK)).unwrap_or_default();
                        opened.fill(chunk, at)?;
                        see(&mut seen, chunk);
                        at += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                    }
                    opened.check().map(|()| seen)
                };
                blocking(read).await?.map_err(|fault| fault.to_error())
            }
        }
    }

    /// A file on disk. It is read while it is sent; if it changes meanwhile, the upload fails. A
    /// pipe is read to its end first, as [`Source::reader`] does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves a file as it is. It loses what was read of a pipe.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when it cannot be opened or is no file.
    pub async fn file(path: impl AsRef<Path>) -> Result<Self> {
        Self::open(path.as_ref()).await
    }

    async fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let path = path.to_owned();
        let opened = blocking(move || {
            // Looked at before it is opened, which for a pipe may take for ever.
            let metadata = std::fs::metadata(&path)?;
            if is_pipe(&metadata) {
                return Ok((path, None));
            }
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            if !metadata.is_file() {
                return Err(io::Error::other("it is neither a file nor a pipe"));
            }
            let file = File::open(&path)?;
            let stamp = Stamp::of(&file)?;
            Ok((path, Some((file, stamp))))
        });
        let refuse = |error: io::Error| {
            let message = match error.kind() {
                io::ErrorKind::NotFound => format!("{name} does not exist"),
                io::ErrorKind::IsADirectory => format!("{name} is a folder"),
                _ => format!("{name} cannot be opened: {error}"),
            };
            Error::new(Operation::Upload, ErrorKind::Io, message)
        };
        let (path, opened) = opened.await?.map_err(refuse)?;
        let Some((file, stamp)) = opened else {
            let pipe = tokio::fs::File::open(path).await.map_err(refuse)?;
            return Self::reader(pipe).await;
        };
        Ok(Self(Kind::File(Arc::new(Opened { file, name, stamp }))))
    }

    /// Content of a reader, up to its end: kept in a temporary file, since a part may have to be sent
    /// twice.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the future loses what was read of the reader.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when it cannot be read, or the temporary file cannot be written.
    pub async fn reader(mut reader: impl AsyncRead + Unpin) -> Result<Self> {
        let failed = |what: &str, error: io::Error| {
            Error::new(Operation::Upload, ErrorKind::Io, format!("{what}: {error}"))
        };
        let cannot_write = |error| {
            let folder = std::env::temp_dir();
            failed(
                &format!("a temporary file in {} cannot be written", folder.display()),
                error,
            )
            .with_hint("name a folder with room for the whole upload in TMPDIR")
        };
        let file = tempfile::tempfile().map_err(cannot_write)?;
        let mut file = tokio::fs::File::from_std(file);
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = reader.read(&mut buffer).await;
            let count = read.map_err(|error| failed("the input could not be read", error))?;
            if count == 0 {
                break;
            }
            let chunk = buffer.get(..count).unwrap_or_default();
            file.write_all(chunk).await.map_err(cannot_write)?;
        }
        file.flush().await.map_err(cannot_write)?;
        let file = file.into_std().await;
        let stamp = Stamp::of(&file).map_err(cannot_write)?;
        let name = "the temporary copy of the input".to_owned();
        Ok(Self(Kind::File(Arc::new(Opened { file, name, stamp }))))
    }

    /// Whether the file is still what it was.
    pub(super) fn check(&self) -> Result<()> {
        match &self.0 {
            Kind::Bytes(_) => Ok(()),
            Kind::File(opened) => opened.check().map_err(|fault| fault.to_error()),
        }
    }

    /// A range of it as the body of a request, counting what is sent.
    pub(super) fn piece(&self, range: Range<u64>, progress: &Progress) -> Piece {
        let length = range.end - range.start;
        let feed = match &self.0 {
            Kind::Bytes(bytes) => {
                let at = |place: u64| {
                    usize::try_from(place)
                        .unwrap_or(usize::MAX)
                        .min(bytes.len())
                };
                Feed::Bytes(bytes.slice(at(range.start)..at(range.end)))
            }
            Kind::File(opened) => Feed::File {
                opened: Arc::clone(opened),
                range,
                chunks: None,
            },
        };
        Piece::new(feed, length, progress.clone())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Kind::File(opened) => write!(f, "{} ({} bytes)", opened.name, opened.stamp.length),
        }
    }
}

#[cfg(unix)]
fn is_pipe(metadata: &std::fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type())
}

#[cfg(not(unix))]
fn is_pipe(_metadata: &std::fs::Metadata) -> bool {
    false
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        let message = "the runtime ended while a file was read";
        Error::new(Operation::Upload, ErrorKind::Io, message).with_source(error)
    })
}
