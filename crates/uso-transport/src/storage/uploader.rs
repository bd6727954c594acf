//! Uploader: the single requests of an upload.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::Method;
use serde_json::json;
use url::Url;

use super::description::Description;
use super::direct::{self, Direct};
use super::piece::{Piece, Watched};
use super::presigned::Presigned;
use super::upload::Upload;
use super::way::Way;
use crate::cdn_token::{STORAGE_TYPE, Token, Tokens};
use crate::error::Result;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::file_source::FileSource;
use crate::kind::Operation;
use crate::requests::{Request, extend};
use crate::response::Response;
use crate::storage_response::{accepted, refused, tag};

/// The connections and the token that uploads use; clones share them.
#[derive(Clone)]
pub(super) struct Uploader {
    pub(super) exchange: Exchange,
    pub(super) tokens: Tokens,
}

impl Uploader {
    /// Sends a piece of a file in the retry loop.
    async fn send_piece(&self, request: impl Fn() -> Request<Piece>) -> Result<Response> {
        let attempt = || async { self.attempt(request()).await.into() };
        Ok(self
            .exchange
            .repeat(Operation::Upload, attempt)
            .await?
            .into())
    }

    /// One attempt at a piece of a file, which ends when nothing goes out for too long.
    async fn attempt(&self, request: Request<Piece>) -> Result<Response, Failure> {
        let watched = request.body.watched();
        let request = request.map(Into::into);
        let sending = pin!(self.exchange.attempt(Operation::Upload, request));
        let stalling = pin!(self.stalls(&watched));
        let outcome = match select(sending, stalling).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right((stalled, _)) => Err(stalled),
        };
        watched.end(outcome.as_ref().is_ok_and(Response::is_success));
        match watched.fault() {
            // Whatever became of the request: what was sent was not the file.
            Some(error) => Err(Failure::lasting(error)),
            None => outcome,
        }
    }

    /// Returns when nothing of a piece has gone out for too long.
    async fn stalls(&self, watched: &Watched) -> Failure {
        let idle = self.exchange.config().stream_idle;
        let mut before = None;
        loop {
            tokio::time::sleep(idle).await;
            let sent = Some(watched.sent());
            if sent == before {
                let why = format!("nothing went out for {} s", idle.as_secs_f64());
                return Failure::lost(Operation::Upload, &why);
            }
            before = sent;
        }
    }

    /// Makes a call with a token, and once more with a new one when that has expired.
    async fn with_token<F>(&self, call: impl Fn(Arc<Token>) -> F) -> Result<Response>
    where
        F: Future<Output = Result<Response>>,
    {
        let token = self.tokens.get(None).await?;
        let response = call(Arc::clone(&token)).await?;
        if response.status != 401 {
            return Ok(response);
        }
        call(self.tokens.get(Some(&token)).await?).await
    }

    /// Asks for a URL to upload to.
    pub(super) async fn presign(
        &self,
        description: &Description,
        in_parts: bool,
    ) -> Result<Presigned> {
        let last = match in_parts {
            true => "initiate-multipart",
            false => "initiate",
        };
        let rest = self.exchange.config().base_urls().rest();
        let mut url = extend(rest, ["storage", "upload", last]);
        url.set_query(Some(STORAGE_TYPE));
        let content_type = description.content_type();
        let content_type = content_type.to_str().unwrap_or_default();
        let body = json!({ "content_type": content_type, "file_name": description.file_name });
        let body = Bytes::from(body.to_string());
        let request = || {
            let requests = self.exchange.requests();
            let mut request = requests.request(Method::POST, url.clone(), body.clone());
            description.insert_lifecycle(&mut request.headers);
            request
        };
        Presigned::read(
            &self
                .exchange
                .send_accepted(Operation::Upload, request)
                .await?,
        )
    }

    /// Sends the file to a presigned URL in one request.
    pub(super) async fn send_whole(&self, to: &Presigned, upload: &Upload) -> Result<Url> {
        let request = || to.whole(&upload.description, upload.whole());
        accepted(self.send_piece(request).await?)?;
        Ok(to.file_url.clone())
    }

    /// Sends the file to the CDN in one request.
    pub(super) async fn send_by_token(&self, upload: &Upload) -> Result<Url> {
        let path = ["files", "upload"];
        let call = |token: Arc<Token>| async move {
            let request = || direct::begin(&token, &upload.description, &path, upload.whole());
            self.send_piece(request).await
        };
        direct::accepted_url(&accepted(self.with_token(call).await?)?)
    }

    /// Announces a file in parts to the CDN.
    pub(super) async fn begin_by_token(&self, description: &Description) -> Result<Direct> {
        let path = ["files", "upload", "multipart"];
        let call = |token: Arc<Token>| async move {
            let request = || direct::begin(&token, description, &path, Bytes::new());
            self.exchange.send(Operation::Upload, request).await
        };
        Direct::read(&accepted(self.with_token(call).await?)?)
    }

    /// Sends one part and gives its tag.
    pub(super) async fn send_part(
        &self,
        way: &Way,
        description: &Description,
        number: usize,
        piece: impl Fn() -> Piece,
    ) -> Result<String> {
        let response = match way {
            Way::Presigned(presigned) => {
                let request = || presigned.part(number, description, piece());
                self.send_piece(request).await?
            }
            Way::Direct(direct) => {
                let piece = &piece;
                let call = |token: Arc<Token>| async move {
                    let request = || direct.part(&token, number, description, piece());
                    self.send_piece(request).await
                };
                self.with_token(call).await?
            }
        };
        tag(&accepted(response)?)
    }

    /// Says that all parts have arrived; `was_told` says whether that was said before.
    pub(super) async fn complete(
        &self,
        way: &Way,
        tags: Bytes,
        length: u64,
        was_told: bool,
    ) -> Result<Url> {
        let response = match way {
            Way::Presigned(presigned) => {
                let request = || presigned.complete(tags.clone());
                self.exchange.send(Operation::Upload, request).await?
            }
            Way::Direct(direct) => {
                let tags = &tags;
                let call = |token: Arc<Token>| async move {
                    let request = || direct.complete(&token, tags.clone());
                    self.exchange.send(Operation::Upload, request).await
                };
                self.with_token(call).await?
            }
        };
        let url = way.file_url();
        // An upload that is complete is no longer known as one: when the response to the first
        // call was lost, the second call is refused, and only the file itself tells.
        let lost_before = was_told || response.attempts > 1;
        if response.is_success() || (lost_before && self.is_there(url, length).await) {
            return Ok(url.clone());
        }
        Err(refused(&response))
    }

    /// Whether a file of this length is at this URL, protected or not.
    async fn is_there(&self, url: &Url, length: u64) -> bool {
        let Self { exchange, tokens } = self;
        let Ok(incoming) = FileSource { exchange, tokens }.open(url.as_str()).await else {
            return false;
        };
        incoming.told_length().is_none_or(|told| told == length)
    }
}
