//! Local pictures read, told apart and made ready to be sent, in bounded memory.
//!
//! A picture that is to be made fit is read into memory once, and everything else is done with
//! those bytes. At most [`FILES`] bytes of files and [`PIXELS`] bytes of decoded pixels are held at
//! a time, so that large pictures wait for each other and small ones do not.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit};
use uso_transport::{Error, Source};

use crate::reference::change::Change;
use crate::reference::container;
use crate::reference::fit::Plan;
use crate::reference::format::Format;

/// MiB of picture files that are held at a time, which is as large as one file may be.
const FILES: u32 = 50;

/// MiB that decoding may take at a time. A picture that needs more is refused.
const PIXELS: u32 = 224;

/// Bytes at the beginning of a file that tell its type and size, where the rest is not looked at.
const HEAD: usize = 1 << 20;

/// Said of a picture over which a decoder panicked.
const UNDECODABLE: &str = "damaged: it cannot be decoded";

/// A picture that is ready to be sent.
pub(crate) struct Ready {
    pub(crate) source: Source,
    pub(crate) format: Format,
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) changes: Vec<Change>,
}

/// The memory that local pictures share.
pub(crate) struct Memory {
    files: Semaphore,
    pixels: Semaphore,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            files: Semaphore::new(FILES as usize),
            pixels: Semaphore::new(PIXELS as usize),
        }
    }
}

/// A picture that was read.
pub(crate) struct Loaded<'a> {
    /// The same for the same content that is treated in the same way.
    pub(crate) key: String,
    contents: Contents,
    memory: &'a Memory,
    _permit: Option<SemaphorePermit<'a>>,
}

enum Contents {
    /// To be made fit.
    Whole(Bytes),
    /// To be sent as it is, piece by piece.
    AsItIs { source: Source, head: Bytes },
}

impl Memory {
    /// Reads a picture; `Err` continues the phrase "the picture is …".
    pub(crate) async fn load(&self, source: Source, fit: bool) -> Result<Loaded<'_>, String> {
        let unreadable = |error: Error| format!("not to be read: {error}");
        if !fit {
            let begun = (Sha256::new(), Vec::new());
            let read = source.scan(begun, |(digest, head), bytes| {
                digest.update(bytes);
                let room = HEAD.saturating_sub(head.len());
                head.extend(bytes.iter().take(room));
            });
            let (digest, head) = read.await.map_err(unreadable)?;
            Format::of(&head)?;
            return Ok(Loaded {
                key: hexadecimal(digest) + "-as-it-is",
                contents: Contents::AsItIs {
                    source,
                    head: head.into(),
                },
                memory: self,
                _permit: None,
            });
        }
        let permit = acquire(&self.files, source.len(), FILES).await;
        let bytes = source.read().await.map_err(unreadable)?;
        Format::of(&bytes)?;
        let hashed = bytes.clone();
        let key = blocking(move || Ok(hexadecimal(Sha256::new().chain_update(&hashed)))).await?;
        Ok(Loaded {
            key,
            contents: Contents::Whole(bytes),
            memory: self,
            _permit: permit,
        })
    }
}

impl Loaded<'_> {
    /// Makes the picture ready; `Err` continues the phrase "the picture is …".
    pub(crate) async fn make_ready(self) -> Result<Ready, String> {
        let bytes = match self.contents {
            Contents::Whole(bytes) => bytes,
            Contents::AsItIs { source, head } => {
                let format = Format::of(&head)?;
                return Ok(Ready {
                    source,
                    format,
                    size: container::size(&head, format),
                    changes: Vec::new(),
                });
            }
        };
        let plan = blocking(move || Plan::of(&bytes)).await?;
        let needed = plan.memory();
        if mebibytes(needed) > PIXELS {
            let (width, height) = plan.stored_size();
            return Err(format!(
                "too large: decoding {width}x{height} pixels takes {} MiB, and {PIXELS} MiB is the limit; shrink it first",
                mebibytes(needed)
            ));
        }
        let _permit = acquire(&self.memory.pixels, needed, PIXELS).await;
        let fitted = blocking(move || plan.perform()).await?;
        Ok(Ready {
            source: Source::bytes(fitted.bytes),
            format: fitted.format,
            size: Some(fitted.size),
            changes: fitted.changes,
        })
    }
}

/// The size that a picture will have when it is sent; `Err` continues the phrase "the picture is …".
pub(crate) async fn size(source: &Source, fit: bool) -> Result<(u32, u32), String> {
    let most = if fit { usize::MAX } else { HEAD };
    let bytes = source.head(most).await;
    let bytes = bytes.map_err(|error| format!("not to be read: {error}"))?;
    blocking(move || match fit {
        true => Ok(Plan::of(&bytes)?.size()),
        false => {
            let size = container::size(&bytes, Format::of(&bytes)?);
            size.ok_or_else(|| "damaged: its size cannot be read".to_owned())
        }
    })
    .await
}

fn mebibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX)
}

/// Permits for so many bytes, or for all there are.
async fn acquire(semaphore: &Semaphore, bytes: u64, all: u32) -> Option<SemaphorePermit<'_>> {
    // The semaphore is never closed.
    semaphore
        .acquire_many(mebibytes(bytes).clamp(1, all))
        .await
        .ok()
}

fn hexadecimal(digest: Sha256) -> String {
    let digest = digest.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs work on a thread where it may take its time. A decoder that panics has met something that
/// is no picture.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|_| Err(UNDECODABLE.to_owned()))
}
