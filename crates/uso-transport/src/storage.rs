//! Uploading: from a file, bytes or a reader to a URL, in bounded memory.
//!
//! A small file is sent whole, a large one in parts, some at a time. Each part is repeated by
//! itself, read again from its source, so that neither the file nor a part of it is ever held in
//! memory. The service offers two ways in: presigned addresses first, and the CDN's own token when
//! the first way fails. Uploading buys nothing, so all of it may be repeated.

mod direct;
mod lifecycle;
mod parts;
mod piece;
mod presigned;
mod source;
mod spool;
mod upload;

use std::path::Path;
use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, header};
use tokio::io::AsyncRead;
use tracing::warn;
use url::Url;

use self::upload::{Progress, Way};
use crate::base_urls::is_confidential;
use crate::error::{Delivery, Error, ErrorKind, Operation, Result};
use crate::reply::Reply;
use crate::text::json_problem;
use crate::transport::Transport;

pub use self::lifecycle::{Access, Lifecycle};
pub use self::source::Source;
pub use self::upload::{Sent, Upload, Uploaded};

pub(crate) use self::direct::Token;
pub(crate) use self::piece::{Piece, Watched};

/// Bytes of a part, which is the size that fal's own clients use.
const PART: u64 = 10 << 20;

impl Source {
    /// A file on disk. It is read while it is sent; if it changes meanwhile, the upload fails. A
    /// pipe is read to its end first, as [`Source::reader`] does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when it cannot be opened or is no file.
    pub async fn file(path: impl AsRef<Path>) -> Result<Self> {
        Self::open(path.as_ref()).await
    }

    /// What a reader gives, up to its end: kept in a temporary file, since a part may have to be
    /// sent twice.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when it cannot be read, or the temporary file cannot be written.
    pub async fn reader(reader: impl AsyncRead + Unpin) -> Result<Self> {
        Self::spool(reader).await
    }
}

impl Transport {
    /// Uploads a file, or what is left of an upload that failed before.
    ///
    /// Up to [`Config::multipart_from`](crate::Config::multipart_from) it is sent in one request,
    /// above in parts of 10 MiB, some at a time, each repeated by itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the file cannot be read or changes while it is read,
    /// [`ErrorKind::Auth`] when the key may not upload, [`ErrorKind::Unreachable`] and
    /// [`ErrorKind::Server`] after the last attempt of both ways. The upload can be tried again
    /// with the same value, which then sends only what did not arrive.
    pub async fn upload(&self, upload: &mut Upload) -> Result<Uploaded> {
        let began = SystemTime::now();
        let url = self.upload_somehow(upload).await?;
        upload.session = None;
        Ok(Uploaded {
            url,
            bytes: upload.source.len(),
            expires_at: upload
                .expires_after
                .and_then(|after| began.checked_add(after)),
        })
    }

    async fn upload_somehow(&self, upload: &mut Upload) -> Result<String> {
        if upload.session.is_some() {
            match self.send(upload).await {
                // The service has forgotten what had begun.
                Err(error) if is_refusal(&error) && is_worth_another_way(&error) => {
                    upload.session = None;
                }
                outcome => return outcome,
            }
        }
        let in_parts = upload.source.len() > self.config().multipart_from;
        let presigned = match self.presign(upload, in_parts).await {
            Ok(presigned) => {
                upload.begin(Way::Presigned(presigned), in_parts);
                self.send(upload).await
            }
            Err(error) => Err(error),
        };
        let first = match presigned {
            Ok(url) => return Ok(url),
            Err(first) if !is_worth_another_way(&first) => return Err(first),
            // Both ways begin at the same host.
            Err(first) if upload.session.is_none() && first.kind() == ErrorKind::Unreachable => {
                return Err(first);
            }
            // Parts that arrived are worth more than another way in.
            Err(first) if upload.has_parts() && !is_refusal(&first) => return Err(first),
            Err(first) => first,
        };
        warn!(error = %first, "the upload is tried by token");
        upload.session = None;
        let by_token = match in_parts {
            true => match self.begin_by_token(upload).await {
                Ok(direct) => {
                    upload.begin(Way::Direct(direct), true);
                    self.send(upload).await
                }
                Err(error) => Err(error),
            },
            false => self.send_by_token(upload).await,
        };
        by_token.map_err(|second| match is_worth_another_way(&second) {
            true => first.with_postscript(&format!("by token, too: {second}")),
            false => second,
        })
    }

    /// Sends what is left of a session.
    async fn send(&self, upload: &mut Upload) -> Result<String> {
        upload.source.check()?;
        let (source, progress) = (upload.source.clone(), upload.progress.clone());
        let content_type = upload.content_type_header();
        let Some(session) = &mut upload.session else {
            let message = "the upload has not begun";
            return Err(Error::new(Operation::Upload, ErrorKind::Server, message));
        };
        let way = session.way.clone();
        if let Some(parts) = &mut session.parts {
            let piece = move |range| source.piece(range, &progress);
            self.send_parts(&way, &content_type, parts, piece).await?;
            upload.source.check()?;
            let tags = parts.tags()?;
            let was_told = std::mem::replace(&mut session.is_completing, true);
            let length = upload.source.len();
            return self.complete(&way, tags, length, was_told).await;
        }
        match &way {
            Way::Presigned(presigned) => self.send_whole(presigned, upload).await,
            Way::Direct(_) => self.send_by_token(upload).await,
        }
    }

    /// Says that all parts are there; `was_told` says whether that was said before.
    async fn complete(
        &self,
        way: &Way,
        tags: Bytes,
        length: u64,
        was_told: bool,
    ) -> Result<String> {
        let reply = match way {
            Way::Presigned(presigned) => {
                let request = || presigned.complete(tags.clone());
                self.exchange(Operation::Upload, request).await?
            }
            Way::Direct(direct) => {
                let request = |token: &Token| direct.complete(token, tags.clone());
                self.with_token(request).await?
            }
        };
        let url = way.file_url();
        // An upload that is complete is no longer known as one: when the answer to the first call
        // got lost, the second is refused, and only the file itself tells.
        let lost_before = was_told || reply.attempts > 1;
        if reply.is_success() || (lost_before && self.is_there(url, length).await) {
            return Ok(url.to_string());
        }
        Err(refused(&reply))
    }

    /// Whether a file of this length is at this URL, protected or not.
    async fn is_there(&self, url: &Url, length: u64) -> bool {
        let Ok(incoming) = self.open(url.as_str()).await else {
            return false;
        };
        let told = incoming.headers.get(header::CONTENT_LENGTH);
        let told = told.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        told.is_none_or(|told| told == length)
    }

    /// Sends a file or a part of it, as often as the retry decision allows.
    async fn send_piece(&self, request: impl Fn() -> Request<Piece>) -> Result<Reply> {
        self.exchange(Operation::Upload, request).await
    }
}

/// Whether another way in may help. One that is closed to this key or this file is closed twice.
fn is_worth_another_way(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::Io | ErrorKind::Config | ErrorKind::Auth | ErrorKind::Locked | ErrorKind::Input
    )
}

/// Whether the storage said no, and will say so again.
fn is_refusal(error: &Error) -> bool {
    let status = error.status().unwrap_or_default();
    (400..500).contains(&status) && !matches!(status, 408 | 429)
}

/// The error that an answer of the storage stands for. It is no word on the key, which the storage
/// never sees.
fn refused(reply: &Reply) -> Error {
    let what = format!("the storage refused the upload with HTTP {}", reply.status);
    let (kind, message) = match reply.status {
        413 => (
            ErrorKind::Input,
            format!("{what}: the file is larger than it takes"),
        ),
        429 => (ErrorKind::Throttled, what),
        400..=499 => (
            ErrorKind::Server,
            format!("{what}; its address may have expired"),
        ),
        _ => (ErrorKind::Server, what),
    };
    Error::new(Operation::Upload, kind, message)
        .with_answer(reply.status, reply.request_id())
        .with_attempts(reply.attempts, reply.elapsed)
}

/// An answer of the storage as JSON.
fn read_json<T: serde::de::DeserializeOwned>(reply: &Reply) -> Result<T> {
    serde_json::from_slice(&reply.body).map_err(|error| {
        let why = json_problem(&error);
        malformed(reply, &format!("the storage's answer is of no use: {why}"))
    })
}

fn malformed(reply: &Reply, message: &str) -> Error {
    // Without the body: it holds a token or an address that is one, and nothing was bought.
    Error::new(Operation::Upload, ErrorKind::Malformed, message)
        .with_answer(reply.status, reply.request_id())
        .with_delivery(Delivery::Answered)
}

/// An address that the service gave; the picture is sent to none that others could listen to.
fn given_url(reply: &Reply, text: &str) -> Result<Url> {
    match Url::parse(text) {
        Ok(url)
            if is_confidential(&url) && url.username().is_empty() && url.password().is_none() =>
        {
            Ok(url)
        }
        _ => Err(malformed(
            reply,
            "the storage's answer names an address that is not https",
        )),
    }
}

/// The tag of a part: in the answer's header, or in its body.
fn tag(reply: &Reply) -> Result<String> {
    let in_header = reply
        .headers
        .get(header::ETAG)
        .and_then(|value| value.to_str().ok());
    if let Some(tag) = in_header {
        return Ok(tag.to_owned());
    }
    #[derive(serde::Deserialize)]
    struct Body {
        etag: String,
    }
    Ok(read_json::<Body>(reply)?.etag)
}
