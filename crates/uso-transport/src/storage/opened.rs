//! Opened file: read from any place while it is sent, and watched for changes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::error::Error;
use crate::kind::{ErrorKind, Operation};

/// Bytes that are read and sent at a time.
pub(super) const CHUNK: usize = 128 << 10;

/// An open file, and what it looked like when it was opened.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) name: String,
    pub(super) stamp: Stamp,
}

/// What tells that a file has changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    pub(super) fn of(file: &File) -> io::Result<Self> {
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

impl Opened {
    pub(super) fn check(&self) -> Result<(), Changed> {
        match Stamp::of(&self.file) {
            Ok(stamp) if stamp == self.stamp => Ok(()),
            Ok(_) => Err(Changed::Changed(self.name.clone())),
            Err(error) => Err(Changed::Unreadable(self.name.clone(), error)),
        }
    }

    /// Fills the buffer from this place on, whole.
    pub(super) fn fill(&self, buffer: &mut [u8], at: u64) -> Result<(), Changed> {
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

    /// Reads a range chunk by chunk, until its end or until its chunks are no longer taken.
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

/// Reads from a place without moving a cursor, so that all parts share one open file.
#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

/// Reads from a place. The cursor moves, which no caller depends on.
#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}
