//! Fetching a picture: without the key, in bounded memory, and never half-written.

mod part;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use data_url::DataUrl;
use http::{Method, header};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep};
use tracing::warn;
use url::Url;

use self::part::{Part, remove_second_name};
use crate::attempt::AttemptProblem;
use crate::error::{Delivery, Error, ErrorKind, Operation, Result};
use crate::http::{BodyProblem, Incoming};
use crate::reply::Reply;
use crate::retry::{Outcome, decide};
use crate::storage::Token;
use crate::transport::{Transport, from_now};
use crate::wire::plain_request;

/// Hops that a file's address may send us on; the key is on none of them.
const REDIRECTS: usize = 5;

/// What happens when the file is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// It stays, and the download ends with [`ErrorKind::Io`].
    Never,
    /// It is replaced in one step.
    Replace,
}

/// A file that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Download {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Looks at the first bytes of a file, at most 64, and says what is wrong with them.
type HeaderCheck<'a> = &'a (dyn Fn(&[u8]) -> Result<(), String> + Send + Sync);

/// What of a file stands at its beginning and tells its type.
const HEADER: usize = 64;

impl Transport {
    /// Fetches a file into memory, up to the largest body of the settings. A data URI is decoded.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] when it has expired, [`ErrorKind::Unreachable`] after the last attempt.
    pub async fn fetch(&self, url: &str) -> Result<Bytes> {
        let limit = u64::try_from(self.config().max_body).unwrap_or(u64::MAX);
        if url.starts_with("data:") {
            return decode_data_uri(url, limit).map(Bytes::from);
        }
        let mut whole = Vec::new();
        let mut tries = Tries::new();
        loop {
            whole.clear();
            let outcome = self.pull(url, limit, &mut Sink::Memory(&mut whole)).await;
            if let Some(outcome) = self.again(outcome, &mut tries).await {
                return outcome.map(|_| Bytes::from(whole));
            }
        }
    }

    /// Fetches a file to `path`: into a temporary file beside it first, then, when its length and
    /// its first bytes are right, to its name in one step. A data URI is decoded.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the file cannot be written or is there already,
    /// [`ErrorKind::Malformed`] when `check` refuses its first bytes, and those of
    /// [`Transport::fetch`].
    pub async fn download(
        &self,
        url: &str,
        path: &Path,
        overwrite: Overwrite,
        check: HeaderCheck<'_>,
    ) -> Result<Download> {
        remove_second_name(path);
        if overwrite == Overwrite::Never && fs::try_exists(path).await.unwrap_or(false) {
            return Err(already_there(path));
        }
        let part = Part::beside(path).map_err(|error| cannot_write(path, error))?;
        let bytes = self.fill(url, path, &part, check).await?;
        part.name(path, overwrite)
            .await
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => already_there(path),
                _ => cannot_write(path, error),
            })?;
        Ok(Download {
            path: path.to_owned(),
            bytes,
        })
    }

    /// Fills the temporary file, as often as the retry decision allows.
    async fn fill(
        &self,
        url: &str,
        path: &Path,
        part: &Part,
        check: HeaderCheck<'_>,
    ) -> Result<u64> {
        let failed = |error| cannot_write(path, error);
        let mut tries = Tries::new();
        loop {
            let mut file = part.emptied().await.map_err(failed)?;
            let mut header = Vec::with_capacity(HEADER);
            let is_inline = url.starts_with("data:");
            let outcome = if is_inline {
                let bytes = decode_data_uri(url, self.config().max_download)?;
                header.extend(bytes.iter().take(HEADER));
                file.write_all(&bytes).await.map_err(failed)?;
                Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            } else {
                let mut sink = Sink::File {
                    file: &mut file,
                    header: &mut header,
                    path,
                };
                self.pull(url, self.config().max_download, &mut sink).await
            };
            let outcome = outcome.and_then(|bytes| match check(&header) {
                Ok(()) => Ok(bytes),
                Err(why) => {
                    let message = format!("the picture is damaged: {why}");
                    // What came with the answer does not change; what comes over the line may.
                    Err(match is_inline {
                        true => Pulled::end(ErrorKind::Malformed, message),
                        false => Pulled::lost(ErrorKind::Malformed, message),
                    })
                }
            });
            if outcome.is_ok() {
                file.flush().await.map_err(failed)?;
                file.sync_all().await.map_err(failed)?;
            }
            if let Some(outcome) = self.again(outcome, &mut tries).await {
                return outcome;
            }
        }
    }

    /// Takes an outcome, or sleeps and counts when it is worth another attempt.
    async fn again(&self, outcome: Result<u64, Pulled>, tries: &mut Tries) -> Option<Result<u64>> {
        let pulled = match outcome {
            Ok(bytes) => return Some(Ok(bytes)),
            Err(pulled) => pulled,
        };
        let decision = decide(
            Operation::Download,
            pulled.outcome,
            tries.attempt,
            &self.config().retry,
        );
        let Some(delay) = decision.delay() else {
            return Some(Err(pulled
                .error
                .with_attempts(tries.attempt, tries.started.elapsed())));
        };
        warn!(tries.attempt, outcome = ?pulled.outcome, ?delay, "fetching again");
        sleep(delay).await;
        tries.attempt += 1;
        None
    }

    /// One attempt at the whole file.
    async fn pull(&self, url: &str, limit: u64, sink: &mut Sink<'_>) -> Result<u64, Pulled> {
        let incoming = self.open(url).await?;
        let expected = incoming.headers.get(header::CONTENT_LENGTH);
        let expected = expected.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let too_long = || {
            Pulled::end(
                ErrorKind::Malformed,
                format!("the picture is larger than {limit} bytes"),
            )
        };
        if expected.is_some_and(|expected| expected > limit) {
            return Err(too_long());
        }
        let mut body = incoming.body;
        let mut received = 0u64;
        loop {
            let chunk = body
                .chunk(self.config().stream_idle)
                .await
                .map_err(Pulled::unanswered)?;
            let Some(chunk) = chunk else { break };
            received = received.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if received > limit {
                return Err(too_long());
            }
            sink.take(&chunk).await?;
        }
        match expected {
            Some(expected) if expected != received => Err(Pulled::lost(
                ErrorKind::Malformed,
                format!("the picture has {received} bytes of {expected}"),
            )),
            _ if received == 0 => Err(Pulled::lost(
                ErrorKind::Malformed,
                "the picture is empty".to_owned(),
            )),
            _ => Ok(received),
        }
    }

    /// The answer that has the file, after redirects.
    pub(crate) async fn open(&self, url: &str) -> Result<Incoming, Pulled> {
        let unusable =
            |why: &str| Pulled::end(ErrorKind::Malformed, format!("the picture's address {why}"));
        let mut url = Url::parse(url).map_err(|_| unusable("is not a URL"))?;
        let mut token: Option<Arc<Token>> = None;
        for _ in 0..=REDIRECTS + 1 {
            if !matches!(url.scheme(), "http" | "https") {
                return Err(unusable("is neither http nor https"));
            }
            let request = match token.take() {
                None => plain_request(Method::GET, &url, Bytes::new()),
                Some(token) => token.request(Method::GET, &url, Bytes::new()),
            };
            let with_token = request.headers().contains_key(header::AUTHORIZATION);
            let deadline = from_now(self.config().answer_within);
            let incoming = self
                .http()
                .send(request, deadline)
                .await
                .map_err(Pulled::unanswered)?;
            if incoming.status.is_success() {
                return Ok(incoming);
            }
            // A protected file looks like a forbidden or a missing one to everybody but its owner.
            if matches!(incoming.status.as_u16(), 401 | 403 | 404)
                && !with_token
                && self.is_on_cdn(&url)
                && let Ok(owner) = self.token(None).await
            {
                token = Some(owner);
                continue;
            }
            let location = incoming
                .headers
                .get(header::LOCATION)
                .and_then(|value| value.to_str().ok());
            match location.filter(|_| incoming.status.is_redirection()) {
                Some(location) => {
                    url = url
                        .join(location)
                        .map_err(|_| unusable("redirects to nowhere"))?;
                }
                None => return Err(self.refused_file(incoming).await),
            }
        }
        Err(unusable("redirects too often"))
    }

    /// Whether a URL is the CDN's own, which knows its token.
    fn is_on_cdn(&self, url: &Url) -> bool {
        const NAME: &str = "fal.media";
        let is_fals = |url: &Url| {
            let host = url.host_str().unwrap_or_default();
            let label = host.strip_suffix(NAME);
            url.scheme() == "https"
                && label.is_some_and(|label| label.is_empty() || label.ends_with('.'))
        };
        let cdn = self.config().base_urls().cdn();
        url.origin() == cdn.origin() || (is_fals(url) && is_fals(cdn))
    }

    async fn refused_file(&self, incoming: Incoming) -> Pulled {
        let Incoming {
            status,
            headers,
            body,
        } = incoming;
        // Only the kind of the refusal matters here; its text is read as far as it is short.
        let body = match body.collect(1 << 16, self.config().stream_idle).await {
            Ok(body) => body,
            Err(BodyProblem::TooLong | BodyProblem::Broken(_)) => Bytes::new(),
        };
        let reply = Reply::new(Operation::Download, status.as_u16(), headers, body);
        let outcome = reply.outcome();
        let error = match reply.status {
            // Not gone: what is forbidden may be there, and may be had another way.
            401 | 403 => {
                let message = format!(
                    "the picture is refused with HTTP {}; it is protected, has expired, or something on the way forbids it",
                    reply.status
                );
                Error::new(Operation::Download, ErrorKind::Auth, message)
                    .with_answer(reply.status, None)
            }
            _ => self.refused(reply),
        };
        Pulled { outcome, error }
    }
}

/// Why an attempt at a file ended, for the retry decision and for the caller.
pub(crate) struct Pulled {
    outcome: Outcome,
    error: Error,
}

impl Pulled {
    fn unanswered(problem: crate::http::Unanswered) -> Self {
        let problem = AttemptProblem::from(problem);
        Self {
            outcome: problem.outcome(),
            error: problem.into_error(Operation::Download),
        }
    }

    /// Worth another attempt.
    fn lost(kind: ErrorKind, message: String) -> Self {
        let error =
            Error::new(Operation::Download, kind, message).with_delivery(Delivery::Answered);
        Self {
            outcome: Outcome::Lost,
            error,
        }
    }

    /// Not worth another attempt.
    fn end(kind: ErrorKind, message: String) -> Self {
        let outcome = Outcome::Answered {
            status: 200,
            retry_after: None,
            is_final: true,
        };
        Self {
            outcome,
            ..Self::lost(kind, message)
        }
    }
}

enum Sink<'a> {
    Memory(&'a mut Vec<u8>),
    File {
        file: &'a mut File,
        header: &'a mut Vec<u8>,
        path: &'a Path,
    },
}

impl Sink<'_> {
    async fn take(&mut self, chunk: &[u8]) -> Result<(), Pulled> {
        match self {
            Self::Memory(whole) => whole.extend_from_slice(chunk),
            Self::File { file, header, path } => {
                header.extend(chunk.iter().take(HEADER.saturating_sub(header.len())));
                if let Err(error) = file.write_all(chunk).await {
                    let error = cannot_write(path, error);
                    return Err(Pulled {
                        error,
                        ..Pulled::end(ErrorKind::Io, String::new())
                    });
                }
            }
        }
        Ok(())
    }
}

fn decode_data_uri(uri: &str, limit: u64) -> Result<Vec<u8>> {
    let refuse = |why: &str| {
        Error::new(
            Operation::Download,
            ErrorKind::Malformed,
            format!("the picture's data URI {why}"),
        )
    };
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

/// The attempts at one file.
struct Tries {
    attempt: u32,
    started: Instant,
}

impl Tries {
    fn new() -> Self {
        Self {
            attempt: 1,
            started: Instant::now(),
        }
    }
}

fn already_there(path: &Path) -> Error {
    let message = format!(
        "{} is there already and was not overwritten",
        path.display()
    );
    Error::new(Operation::Save, ErrorKind::Io, message)
        .with_hint("give another name, or remove the file")
}

fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    let message = format!("{} could not be written", path.display());
    Error::new(Operation::Save, ErrorKind::Io, message).with_source(error)
}
