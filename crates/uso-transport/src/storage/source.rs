//! What is uploaded, and how it is read piece by piece while it is sent.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::Progress;
use super::piece::{Feed, Piece};
use super::spool::temporary;
use crate::error::{Error, ErrorKind, Operation, Result};

/// Bytes that are read and sent at a time.
pub(super) const CHUNK: usize = 128 << 10;

/// What is uploaded: a file, bytes, or what a reader gave.
#[derive(Clone)]
pub struct Source(Kind);

#[derive(Clone)]
enum Kind {
    Bytes(Bytes),
    File(Arc<Opened>),
}

/// An open file, and what it looked like when it was opened.
pub(super) struct Opened {
    file: File,
    name: String,
    stamp: Stamp,
}

/// What tells that a file has changed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

/// Why a file could not be read to the end.
#[derive(Debug)]
pub(super) enum Changed {
    /// It is not what it was when it was opened.
    Changed(String),
    Unreadable(String, io::Error),
}

impl Changed {
    pub(super) fn to_error(&self) -> Error {
        match self {
            Self::Changed(name) => {
                let message = format!("{name} changed while it was read; nothing was kept of it");
                Error::new(Operation::Upload, ErrorKind::Io, message)
                    .with_hint("wait until nothing writes to it, or upload a copy")
            }
            Self::Unreadable(name, error) => {
                let message = format!("{name} could not be read: {error}");
                Error::new(Operation::Upload, ErrorKind::Io, message)
            }
        }
    }
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

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first bytes, at most so many, which tell the type.
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

    /// Everything, in memory; for files that are known to be small.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the file cannot be read, or changes while it is.
    pub async fn read(&self) -> Result<Bytes> {
        let whole = self.head(usize::MAX).await?;
        self.check()?;
        Ok(whole)
    }

    /// Lets somebody see all of it, in order and in small pieces, on a thread where that may take
    /// its time.
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

    pub(super) async fn open(path: &Path) -> Result<Self> {
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
            return Self::spool(pipe).await;
        };
        Ok(Self(Kind::File(Arc::new(Opened { file, name, stamp }))))
    }

    pub(super) async fn spool(mut reader: impl AsyncRead + Unpin) -> Result<Self> {
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
        let (file, kept) = temporary().map_err(cannot_write)?;
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
        drop(kept);
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

impl Opened {
    fn check(&self) -> Result<(), Changed> {
        match Stamp::of(&self.file) {
            Ok(stamp) if stamp == self.stamp => Ok(()),
            Ok(_) => Err(Changed::Changed(self.name.clone())),
            Err(error) => Err(Changed::Unreadable(self.name.clone(), error)),
        }
    }

    /// Fills the buffer from this place on, whole.
    fn fill(&self, buffer: &mut [u8], at: u64) -> Result<(), Changed> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let place = at + u64::try_from(filled).unwrap_or(u64::MAX);
            match read_at(&self.file, rest, place) {
                Ok(0) => return Err(Changed::Changed(self.name.clone())),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Changed::Unreadable(self.name.clone(), error)),
            }
        }
        Ok(())
    }

    /// Reads a range chunk by chunk, until it is over or nobody takes the chunks any more.
    pub(super) fn feed(&self, range: Range<u64>, chunks: &mpsc::Sender<Result<Bytes, Changed>>) {
        let mut at = range.start;
        while at < range.end {
            let left = usize::try_from(range.end - at).unwrap_or(CHUNK);
            let mut chunk = vec![0; left.min(CHUNK)];
            let mut read = self.fill(&mut chunk, at);
            at += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            if at >= range.end {
                // Before the last chunk goes out: without it, the other side keeps nothing.
                read = read.and_then(|()| self.check());
            }
            let failed = read.is_err();
            let sent = chunks.blocking_send(read.map(|()| Bytes::from(chunk)));
            if failed || sent.is_err() {
                return;
            }
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

/// Reads from a place without moving a cursor, so that all parts share one open file.
#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

/// Reads from a place; nobody depends on the cursor, which this moves.
#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        let message = "the runtime ended while a file was read";
        Error::new(Operation::Upload, ErrorKind::Io, message).with_source(error)
    })
}
