//! File that a download is written to, in pieces and on threads that may block.

use std::io;
use std::path::{Path, PathBuf};

use super::leftovers::Leftovers;
use super::temporary::Temporary;

/// Bytes that are gathered before they are written. Each write takes a thread, and a picture that
/// is smaller takes a single one for everything.
const PIECE: usize = 64 << 10;

/// A temporary file beside the target, and the bytes that are still to be written to it.
pub(super) struct PartFile {
    path: PathBuf,
    /// Gone for good once a write has failed.
    temporary: Option<Temporary>,
    pending: Vec<u8>,
}

impl PartFile {
    /// A file that is to get this path.
    pub(super) fn beside(path: &Path, leftovers: &Leftovers) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            temporary: Some(Temporary::beside(path, leftovers)?),
            pending: Vec::new(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() < PIECE {
            return Ok(());
        }
        let (temporary, pending) = (self.temporary.take(), std::mem::take(&mut self.pending));
        let written = blocking(move || written(temporary, &pending));
        self.temporary = Some(written.await?);
        Ok(())
    }

    /// Gives the whole file its name once it and its folder are on the disk. Returns the SHA-256
    /// digest.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when the name is taken and must not be replaced.
    pub(super) async fn name(self, replace: bool) -> io::Result<String> {
        let naming = move || written(self.temporary, &self.pending)?.name(&self.path, replace);
        blocking(naming).await
    }

    /// Gives a damaged file a name of its own beside the target, where it can be found.
    pub(super) async fn keep_damaged(self) -> Option<PathBuf> {
        let keeping = move || {
            let temporary = written(self.temporary, &self.pending)?;
            Ok(temporary.keep_damaged(&self.path))
        };
        blocking(keeping).await.ok()?
    }
}

fn written(temporary: Option<Temporary>, pending: &[u8]) -> io::Result<Temporary> {
    let gone = || io::Error::other("an earlier write failed");
    let mut temporary = temporary.ok_or_else(gone)?;
    temporary.write(pending)?;
    Ok(temporary)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other)?
}
