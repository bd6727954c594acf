//! Local pictures read, told apart and made ready to be sent, in bounded memory.
//!
//! A picture that is to be made fit is read into memory once, and everything else is done with
//! those bytes. The process holds at most [`FILES`] MiB of files and [`PIXELS`] MiB of decoded
//! pixels at a time, so that large pictures wait for each other and small ones do not.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit};
use uso_transport::{Error, Problem, Source};

use crate::reference::Reference;
use crate::reference::change::Change;
use crate::reference::container;
use crate::reference::fit::Plan;
use crate::reference::format::Format;
use crate::reference::reading::{Facts, Sent, Stamp};

/// MiB of picture files that are held at a time, which is as large as one file may be.
const FILES: u32 = 50;

/// MiB that decoding may take at a time. A picture that needs more is refused.
const PIXELS: u32 = 224;

/// Bytes at the beginning of a file that tell its type and size, where the rest is not looked at.
const HEAD: usize = 1 << 20;

/// Pictures up to this many bytes travel inside the request: an upload would be two requests more.
/// fal advises against data URIs of more than a few kilobytes.
const INLINE: u64 = 4 << 10;

/// Said of a picture over which a decoder panicked.
const UNDECODABLE: &str = "damaged: it cannot be decoded";

/// A picture that is ready to be sent.
pub(crate) struct Ready {
    pub(crate) source: Source,
    pub(crate) format: Format,
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) changes: Vec<Change>,
}

impl Ready {
    /// Whether the picture is so small that it travels inside the request.
    pub(crate) fn is_small(&self) -> bool {
        self.source.len() <= INLINE
    }
}

/// Permits for the MiB of files and of pixels, which all clients of the process share.
static FILE_MEMORY: Semaphore = Semaphore::const_new(FILES as usize);
static PIXEL_MEMORY: Semaphore = Semaphore::const_new(PIXELS as usize);

/// A picture that was read.
pub(crate) struct Loaded {
    /// The SHA-256 digest in hexadecimal digits.
    pub(crate) digest: String,
    contents: Contents,
}

enum Contents {
    /// To be made fit.
    Whole(Held),
    /// To be sent as it is, piece by piece.
    AsItIs { source: Source, head: Bytes },
}

/// A picture file in memory, with the permit for its length.
struct Held {
    bytes: Bytes,
    _permit: Option<SemaphorePermit<'static>>,
}

impl Held {
    /// Reads a picture as soon as there is memory for it.
    async fn read(source: &Source) -> Result<Self, Error> {
        let _permit = acquire(&FILE_MEMORY, source.len(), FILES).await;
        let bytes = source.read().await?;
        Ok(Self { bytes, _permit })
    }
}

impl Loaded {
    /// Reads a picture; `Err` continues the phrase "the picture is …".
    pub(crate) async fn read(source: Source, fit: bool) -> Result<Self, String> {
        let unreadable = |error: Error| format!("not to be read: {error}");
        if !fit {
            let (digest, head) = scanned(&source).await.map_err(unreadable)?;
            Format::of(&head)?;
            let contents = Contents::AsItIs { source, head };
            return Ok(Self { digest, contents });
        }
        let held = Held::read(&source).await.map_err(unreadable)?;
        Format::of(&held.bytes)?;
        let hashed = held.bytes.clone();
        let digest = blocking(move || Ok(hexadecimal(Sha256::new().chain_update(&hashed)))).await?;
        let contents = Contents::Whole(held);
        Ok(Self { digest, contents })
    }

    /// Makes the picture ready; `Err` continues the phrase "the picture is …".
    pub(crate) async fn make_ready(self) -> Result<Ready, String> {
        let held = match self.contents {
            Contents::Whole(held) => held,
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
        let bytes = held.bytes.clone();
        let plan = blocking(move || affordable(&bytes)).await?;
        let pixels = acquire(&PIXEL_MEMORY, plan.memory(), PIXELS).await;
        let perform = move || {
            // Held to the end of the work, also when its caller is gone.
            let _permits = (held, pixels);
            plan.perform()
        };
        let fitted = blocking(perform).await?;
        Ok(Ready {
            source: Source::bytes(fitted.bytes),
            format: fitted.format,
            size: Some(fitted.size),
            changes: fitted.changes,
        })
    }
}

/// The plan for a picture; `Err` where decoding takes more memory than there is for all.
fn affordable(bytes: &Bytes) -> Result<Plan, String> {
    let plan = Plan::of(bytes)?;
    let needed = mebibytes(plan.memory());
    if needed > PIXELS {
        let (width, height) = plan.stored_size();
        return Err(format!(
            "too large: decoding {width}x{height} pixels takes {needed} MiB, and {PIXELS} MiB is the limit; shrink it first"
        ));
    }
    Ok(plan)
}

/// The digest of a local picture, and with `fit` the size with which it is sent. A file is not
/// opened if an earlier reading tells them.
pub(crate) async fn facts(
    reference: &Reference,
    role: &str,
    fit: Option<bool>,
) -> Result<Facts, Problem> {
    if let Some((path, last)) = reference.last_reading()
        && let Some(facts) = last.facts(path)
        && (fit.is_none() || fit == facts.sent.as_ref().map(|sent| sent.is_fit))
    {
        return Ok(facts);
    }
    let stamp = stamp(reference);
    let source = reference.open(role).await?;
    let unreadable = |error: Error| Problem::new(role, error.to_string());
    let facts = match fit {
        Some(true) => {
            let held = Held::read(&source).await.map_err(unreadable)?;
            let work = move || {
                let bytes = &held.bytes;
                let size = affordable(bytes).map(|plan| plan.size());
                Ok((hexadecimal(Sha256::new().chain_update(bytes)), size))
            };
            let looked = blocking(work).await;
            let (digest, size) =
                looked.map_err(|why| Problem::new(role, format!("{reference} is {why}")))?;
            Facts {
                digest,
                sent: Some(Sent { is_fit: true, size }),
            }
        }
        _ => {
            let (digest, head) = scanned(&source).await.map_err(unreadable)?;
            let size = Format::of(&head).and_then(|format| {
                let size = container::size(&head, format);
                size.ok_or_else(|| "damaged: its size cannot be read".to_owned())
            });
            Facts {
                digest,
                sent: Some(Sent {
                    is_fit: false,
                    size,
                }),
            }
        }
    };
    keep(reference, stamp, &facts);
    Ok(facts)
}

/// The stamp of a reference that is a file, before its reading.
pub(crate) fn stamp(reference: &Reference) -> Option<Stamp> {
    let (path, _) = reference.last_reading()?;
    Stamp::of(path)
}

/// Keeps what a reading gave that began with this stamp.
pub(crate) fn keep(reference: &Reference, stamp: Option<Stamp>, facts: &Facts) {
    if let (Some((_, last)), Some(stamp)) = (reference.last_reading(), stamp) {
        last.keep(stamp, facts.clone());
    }
}

/// The digest and the first bytes of a picture.
async fn scanned(source: &Source) -> Result<(String, Bytes), Error> {
    let begun = (Sha256::new(), Vec::new());
    let read = source.scan(begun, |(digest, head), bytes| {
        digest.update(bytes);
        let room = HEAD.saturating_sub(head.len());
        head.extend(bytes.iter().take(room));
    });
    let (digest, head) = read.await?;
    Ok((hexadecimal(digest), head.into()))
}

fn mebibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX)
}

/// Permits for so many bytes, or for all there are.
async fn acquire(
    semaphore: &'static Semaphore,
    bytes: u64,
    all: u32,
) -> Option<SemaphorePermit<'static>> {
    // The semaphore is never closed.
    semaphore
        .acquire_many(mebibytes(bytes).clamp(1, all))
        .await
        .ok()
}

pub(crate) fn hexadecimal(digest: Sha256) -> String {
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
