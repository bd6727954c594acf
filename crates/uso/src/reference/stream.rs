//! Content that can be read only once: of a reader, or of a named pipe.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::oneshot;

/// Bytes of a picture file at the most: as many as the service's runners download.
pub(super) const LARGEST_PICTURE: u64 = 50 << 20;

/// The content, or the end of a phrase that begins with its name.
type Content = Result<Bytes, String>;

/// A reader or a pipe, and its content once it was read.
pub(super) enum Stream {
    Reader {
        reader: Box<dyn AsyncRead + Send + Unpin>,
        /// Kept here, so that a read which is given up loses nothing.
        so_far: Vec<u8>,
    },
    Pipe(PathBuf),
    /// A thread reads the pipe, and keeps reading when its reader gives up.
    BeingRead(oneshot::Receiver<Content>),
    Read(Content),
}

impl Stream {
    pub(super) fn reader(reader: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self::Reader {
            reader: Box::new(reader),
            so_far: Vec::new(),
        }
    }

    pub(super) fn pipe(path: PathBuf) -> Self {
        Self::Pipe(path)
    }

    /// Reads the stream, unless it was read before. Of one that is larger than a picture may be,
    /// little more than that is read.
    pub(super) async fn read(&mut self) -> Content {
        if let Self::Pipe(path) = self {
            *self = match read_pipe(std::mem::take(path)) {
                Ok(content) => Self::BeingRead(content),
                Err(error) => Self::Read(Err(unreadable(&error))),
            };
        }
        let content = match self {
            Self::Reader { reader, so_far } => {
                let read = u64::try_from(so_far.len()).unwrap_or(u64::MAX);
                let left = (LARGEST_PICTURE + 1).saturating_sub(read);
                match reader.take(left).read_to_end(so_far).await {
                    Ok(_) => Ok(Bytes::from(std::mem::take(so_far))),
                    Err(error) => Err(unreadable(&error)),
                }
            }
            Self::BeingRead(content) => match content.await {
                Ok(content) => content,
                Err(_) => Err("cannot be read: its thread ended".to_owned()),
            },
            Self::Read(content) => return content.clone(),
            Self::Pipe(_) => return Err("cannot be read".to_owned()),
        };
        *self = Self::Read(content.clone());
        content
    }
}

fn unreadable(error: &std::io::Error) -> String {
    format!("cannot be read: {error}")
}

/// Reads a pipe on a thread of its own: opening a pipe waits for its other end, perhaps for ever,
/// and the runtime would wait for its own threads when it ends.
fn read_pipe(path: PathBuf) -> std::io::Result<oneshot::Receiver<Content>> {
    let (sender, receiver) = oneshot::channel();
    let read = move || {
        let mut bytes = Vec::new();
        let outcome = std::fs::File::open(path)
            .and_then(|pipe| pipe.take(LARGEST_PICTURE + 1).read_to_end(&mut bytes));
        let content = outcome.map(|_| Bytes::from(bytes));
        // An error means that the reader gave up.
        let _ = sender.send(content.map_err(|error| unreadable(&error)));
    };
    let builder = std::thread::Builder::new().name("uso-pipe".to_owned());
    builder.spawn(read).map(|_| receiver)
}

/// Whether this is the path of a pipe. It is not opened.
#[cfg(unix)]
pub(super) async fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    let metadata = tokio::fs::metadata(path).await;
    metadata.is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// Elsewhere pipes have no place among files.
#[cfg(not(unix))]
pub(super) async fn is_pipe(_path: &Path) -> bool {
    false
}
