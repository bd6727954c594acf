//! Download: fetches a file without the key, in bounded memory, and never gives half of it a name.

mod file_end;
mod leftovers;
mod part_file;
mod temporary;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use data_url::DataUrl;

use self::file_end::Ends;
pub(crate) use self::leftovers::Leftovers;
use self::part_file::PartFile;
use crate::cdn_token::Tokens;
use crate::error::{Error, Result};
use crate::exchange::{Attempt, Exchange};
use crate::failure::Failure;
use crate::file_source::{FileSource, malformed};
use crate::kind::{ErrorKind, Operation};

/// Treatment of a file that exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// It stays, and the download ends with [`ErrorKind::Exists`].
    Never,
    /// It is replaced in one step.
    Replace,
}

/// A file that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Download {
    /// Path of the file.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// The SHA-256 digest of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// Looks at the first bytes of a file, at most 64, and says what is wrong with them.
type HeaderCheck<'a> = &'a (dyn Fn(&[u8]) -> Result<(), String> + Send + Sync);

/// Properties of a whole file.
///
/// Besides, its length is the one that the response told, and a PNG, JPEG, WebP or GIF ends as its
/// format has it. A file of another format is only whole if a length was told.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// The length that the result named, if any.
    pub length: Option<u64>,
    /// The check of the first bytes.
    pub header: HeaderCheck<'a>,
}

impl fmt::Debug for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expected")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Expected<'_> {
    /// Properties of every whole file, and no further one.
    pub fn anything() -> Self {
        Self {
            length: None,
            header: &|_| Ok(()),
        }
    }

    fn check(&self, ends: &Ends, told: Option<u64>) -> Result<(), String> {
        let received = ends.length();
        if received == 0 {
            return Err("it is empty".to_owned());
        }
        (self.header)(ends.first())?;
        for length in [told, self.length].into_iter().flatten() {
            if length != received {
                return Err(format!("it has {received} bytes of {length}"));
            }
        }
        ends.check(told.or(self.length).is_some())
    }
}

/// Fetching of files.
pub(crate) struct Downloads<'a> {
    pub(crate) exchange: &'a Exchange,
    pub(crate) tokens: &'a Tokens,
    pub(crate) leftovers: &'a Leftovers,
}

/// What an attempt received before it turned out not to be whole.
type Kept<T> = Mutex<Option<T>>;

fn keep<T>(kept: &Kept<T>, value: T) {
    *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
}

fn taken<T>(kept: Kept<T>) -> Option<T> {
    kept.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Downloads<'_> {
    /// Fetches a file into memory.
    pub(crate) async fn fetch(&self, url: &str, expected: &Expected<'_>) -> Result<Bytes> {
        let limit = u64::try_from(self.exchange.config().max_body).unwrap_or(u64::MAX);
        let damaged = Mutex::new(None);
        let attempt = || async {
            let mut whole = Vec::new();
            match self.pull(url, limit, expected, &mut whole).await {
                Ok(_) => Attempt::done(Bytes::from(whole)),
                Err(failure) => {
                    keep(&damaged, whole);
                    failure.into()
                }
            }
        };
        match self.exchange.repeat(Operation::Download, attempt).await {
            Ok(repeated) => Ok(repeated.value),
            Err(error) => Err(match taken(damaged).filter(|bytes| !bytes.is_empty()) {
                Some(bytes) => error.with_raw_body(bytes.into()),
                None => error,
            }),
        }
    }

    /// Fetches a file to `path`, through a temporary file in the same folder.
    pub(crate) async fn save(
        &self,
        url: &str,
        path: &Path,
        overwrite: Overwrite,
        expected: &Expected<'_>,
    ) -> Result<Download> {
        if overwrite == Overwrite::Never && path.symlink_metadata().is_ok() {
            return Err(already_there(path));
        }
        let limit = self.exchange.config().max_download;
        let damaged = Mutex::new(None);
        let attempt = || async {
            let mut part = match PartFile::beside(path, self.leftovers) {
                Ok(part) => part,
                Err(error) => return Failure::lasting(cannot_write(path, error)).into(),
            };
            match self.pull(url, limit, expected, &mut part).await {
                Ok(bytes) => Attempt::done((part, bytes)),
                Err(failure) => {
                    if failure.error.kind() == ErrorKind::Malformed {
                        keep(&damaged, part);
                    }
                    failure.into()
                }
            }
        };
        let (part, bytes) = match self.exchange.repeat(Operation::Download, attempt).await {
            Ok(repeated) => repeated.value,
            Err(error) => {
                let kept = match taken(damaged) {
                    Some(part) => part.keep_damaged().await,
                    None => None,
                };
                return Err(match kept {
                    Some(kept) => {
                        let words = format!("what came is kept in {}", kept.display());
                        error.with_postscript(&words)
                    }
                    None => error,
                });
            }
        };
        let named = part.name(overwrite == Overwrite::Replace).await;
        let sha256 = named.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => already_there(path),
            _ => cannot_write(path, error),
        })?;
        Ok(Download {
            path: path.to_owned(),
            bytes,
            sha256,
        })
    }

    /// One attempt at the whole file; a data URI is decoded.
    async fn pull(
        &self,
        url: &str,
        limit: u64,
        expected: &Expected<'_>,
        sink: &mut impl Sink,
    ) -> Result<u64, Failure> {
        let mut ends = Ends::default();
        if url.starts_with("data:") {
            let bytes = decode_data_uri(url, limit).map_err(Failure::lasting)?;
            ends.push(&bytes);
            sink.take(&bytes).await?;
            let told = u64::try_from(bytes.len()).ok();
            // What came with the result does not change.
            let checked = expected.check(&ends, told);
            return match checked {
                Ok(()) => Ok(ends.length()),
                Err(why) => Err(Failure::lasting(damaged(&why))),
            };
        }
        let Self {
            exchange, tokens, ..
        } = *self;
        let incoming = FileSource { exchange, tokens }.open(url).await?;
        let told = incoming.told_length();
        let too_long = || {
            let message = format!("the picture is larger than {limit} bytes");
            Failure::lasting(malformed(&message))
        };
        if told.is_some_and(|told| told > limit) {
            return Err(too_long());
        }
        let mut body = incoming.body;
        let idle = exchange.config().stream_idle;
        while let Some(chunk) = body.chunk(idle).await? {
            ends.push(&chunk);
            if ends.length() > limit {
                return Err(too_long());
            }
            sink.take(&chunk).await?;
        }
        match expected.check(&ends, told) {
            Ok(()) => Ok(ends.length()),
            Err(why) => Err(Failure::passing(damaged(&why))),
        }
    }
}

/// Where the bytes of a file go.
trait Sink {
    async fn take(&mut self, chunk: &[u8]) -> Result<(), Failure>;
}

impl Sink for Vec<u8> {
    async fn take(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.extend_from_slice(chunk);
        Ok(())
    }
}

impl Sink for PartFile {
    async fn take(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        let written = self.write(chunk).await;
        written.map_err(|error| Failure::lasting(cannot_write(self.path(), error)))
    }
}

fn decode_data_uri(uri: &str, limit: u64) -> Result<Vec<u8>> {
    let refuse = |why: &str| malformed(&format!("the picture's data URI {why}"));
    // Four characters for three bytes, before anything is decoded.
    if u64::try_from(uri.len()).unwrap_or(u64::MAX) / 4 * 3 > limit.saturating_add(256) {
        return Err(refuse(&format!("is larger than {limit} bytes")));
    }
    let parsed = DataUrl::process(uri).map_err(|_| refuse("has no comma"))?;
    let (bytes, _) = parsed
        .decode_to_vec()
        .map_err(|_| refuse("is not valid base64"))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(refuse(&format!("is larger than {limit} bytes")));
    }
    Ok(bytes)
}

fn damaged(why: &str) -> Error {
    malformed(&format!("the picture is damaged: {why}"))
}

fn already_there(path: &Path) -> Error {
    let message = format!("{} exists already and was not overwritten", path.display());
    Error::new(Operation::Save, ErrorKind::Exists, message)
        .with_hint("give another name, or remove the file")
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    let message = format!("{} could not be written", path.display());
    Error::new(Operation::Save, ErrorKind::Io, message).with_source(error)
}
