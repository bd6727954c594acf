//! Storage: uploads a file, bytes or what a reader gives to a URL, in bounded memory.
//!
//! A small file is sent whole, a large one in parts, some at a time. Each part is repeated by
//! itself, read again from its source, so that neither the file nor a part of it is ever held in
//! memory. The service offers two ways in: presigned URLs first, and the CDN's own token when the
//! first way fails. Uploading buys nothing, so all of it may be repeated.

mod description;
mod direct;
mod opened;
mod part_sending;
mod parts;
mod piece;
mod presigned;
mod progress;
mod source;
mod upload;
mod uploader;
mod way;

use std::sync::Arc;
use std::time::SystemTime;

use tracing::warn;
use url::Url;

use self::part_sending::send_parts;
use self::uploader::Uploader;
use self::way::Way;
use crate::cdn_token::Tokens;
use crate::error::{Error, Result};
use crate::exchange::Exchange;
use crate::kind::{ErrorKind, Operation};

pub use self::progress::Sent;
pub use self::source::Source;
pub use self::upload::{Upload, Uploaded};

/// The storage of the service.
pub(crate) struct Storage(Uploader);

impl Storage {
    pub(crate) fn new(exchange: Exchange, tokens: Tokens) -> Self {
        Self(Uploader { exchange, tokens })
    }

    /// Uploads a file, or what is left of an upload that failed before.
    pub(crate) async fn upload(&self, upload: &mut Upload) -> Result<Uploaded> {
        let began = SystemTime::now();
        let url = self.by_some_way(upload).await?;
        upload.session = None;
        Ok(Uploaded {
            url: url.to_string(),
            bytes: upload.source.len(),
            expires_at: upload
                .expires_after
                .and_then(|after| began.checked_add(after)),
        })
    }

    async fn by_some_way(&self, upload: &mut Upload) -> Result<Url> {
        if upload.session.is_some() {
            match self.send(upload).await {
                // The service has forgotten what had begun.
                Err(error) if is_refusal(&error) && is_worth_another_way(&error) => {
                    upload.session = None;
                }
                outcome => return outcome,
            }
        }
        let in_parts = upload.source.len() > self.0.exchange.config().multipart_from;
        let presigned = match self.0.presign(&upload.description, in_parts).await {
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
            true => match self.0.begin_by_token(&upload.description).await {
                Ok(direct) => {
                    upload.begin(Way::Direct(direct), true);
                    self.send(upload).await
                }
                Err(error) => Err(error),
            },
            false => self.0.send_by_token(upload).await,
        };
        by_token.map_err(|second| match is_worth_another_way(&second) {
            true => first.with_postscript(&format!("by token, too: {second}")),
            false => second,
        })
    }

    /// Sends what is left of a session.
    async fn send(&self, upload: &mut Upload) -> Result<Url> {
        upload.source.check()?;
        let (source, progress) = (upload.source.clone(), upload.progress.clone());
        let description = Arc::clone(&upload.description);
        let Some(session) = &mut upload.session else {
            let message = "the upload has not begun";
            return Err(Error::new(Operation::Upload, ErrorKind::Server, message));
        };
        let way = session.way.clone();
        if let Some(parts) = &mut session.parts {
            let piece = move |range| source.piece(range, &progress);
            send_parts(&self.0, &way, &description, parts, piece).await?;
            upload.source.check()?;
            let tags = parts.tags()?;
            let was_told = std::mem::replace(&mut session.is_completing, true);
            let length = upload.source.len();
            return self.0.complete(&way, tags, length, was_told).await;
        }
        match &way {
            Way::Presigned(presigned) => self.0.send_whole(presigned, upload).await,
            Way::Direct(_) => self.0.send_by_token(upload).await,
        }
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
