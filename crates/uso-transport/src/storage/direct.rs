//! The second way in: the CDN itself, with a token of its own. The key is never sent there.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request};
use serde::Deserialize;
use url::Url;

use super::presigned::{LIFECYCLE, STORAGE_TYPE};
use super::{Piece, Upload, given_url, malformed, read_json, refused};
use crate::error::{Operation, Result};
use crate::http::Outgoing;
use crate::reply::Reply;
use crate::transport::Transport;
use crate::wire::{extend, plain_request};

const FILE_NAME: HeaderName = HeaderName::from_static("x-fal-file-name");

/// A token that would expire sooner than this is not used for a new request.
const MARGIN: Duration = Duration::from_secs(300);

/// What the CDN wants to see instead of the key.
#[derive(Clone)]
pub(crate) struct Token {
    credential: HeaderValue,
    base_url: Url,
    expires_at: Option<SystemTime>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Issued {
    token: String,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    base_url: Option<String>,
    #[serde(default)]
    expires_at: Option<String>,
}

/// An upload in parts that the CDN knows.
#[derive(Clone)]
pub(super) struct Direct {
    pub(super) access_url: Url,
    upload_id: String,
}

#[derive(Deserialize)]
struct Accepted {
    access_url: String,
    #[serde(default, rename = "uploadId")]
    upload_id: Option<String>,
}

impl Token {
    fn read(reply: &Reply, own: &Url) -> Result<Self> {
        let issued: Issued = read_json(reply)?;
        let kind = issued.token_type.as_deref().unwrap_or("Bearer");
        let credential = HeaderValue::from_str(&format!("{kind} {}", issued.token));
        let mut credential = credential
            .map_err(|_| malformed(reply, "the storage's token cannot stand in a header"))?;
        credential.set_sensitive(true);
        let base_url = match &issued.base_url {
            Some(base_url) => given_url(reply, base_url)?,
            None => own.clone(),
        };
        let expires_at = issued.expires_at.as_deref().and_then(rfc3339);
        Ok(Self {
            credential,
            base_url,
            expires_at,
        })
    }

    fn is_fresh(&self) -> bool {
        let soon = SystemTime::now() + MARGIN;
        self.expires_at.is_none_or(|expires_at| soon < expires_at)
    }

    /// A request by the owner of the account's files.
    pub(crate) fn request<B>(&self, method: Method, url: &Url, body: B) -> Request<B> {
        let mut request = plain_request(method, url, body);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.credential.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        request
    }

    /// Where a new file, whole or in parts, is announced.
    fn begin<B>(&self, upload: &Upload, path: &[&str], body: B) -> Request<B> {
        let url = extend(&self.base_url, path.iter().copied());
        let mut request = self.request(Method::POST, &url, body);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, upload.content_type_header());
        if let Ok(name) = HeaderValue::from_str(&upload.file_name) {
            headers.insert(FILE_NAME, name);
        }
        for name in LIFECYCLE {
            if let Some(lifecycle) = &upload.lifecycle {
                headers.insert(name, lifecycle.clone());
            }
        }
        request
    }
}

/// A time with an offset, such as `2026-02-01T00:00:00+00:00`.
fn rfc3339(text: &str) -> Option<SystemTime> {
    let utc = text.strip_suffix("+00:00").map(|text| format!("{text}Z"));
    humantime::parse_rfc3339(utc.as_deref().unwrap_or(text)).ok()
}

impl Direct {
    fn url(&self, last: &str) -> Url {
        extend(&self.access_url, ["multipart", &self.upload_id, last])
    }

    pub(super) fn part(
        &self,
        token: &Token,
        number: usize,
        content_type: &HeaderValue,
        piece: Piece,
    ) -> Request<Piece> {
        let mut request = token.request(Method::PUT, &self.url(&number.to_string()), piece);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, content_type.clone());
        // A compressed answer would lose its tag.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        request
    }

    pub(super) fn complete(&self, token: &Token, tags: Bytes) -> Request<Bytes> {
        let mut request = token.request(Method::POST, &self.url("complete"), tags);
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        request
    }
}

impl Transport {
    /// A token that is good for a while; `refused` is one that the CDN no longer takes.
    pub(crate) async fn token(&self, refused: Option<&Token>) -> Result<Arc<Token>> {
        let mut kept = self.kept_token().lock().await;
        let same =
            |token: &Token| refused.is_some_and(|refused| refused.credential == token.credential);
        if let Some(token) = kept
            .as_ref()
            .filter(|token| token.is_fresh() && !same(token))
        {
            return Ok(Arc::clone(token));
        }
        let mut url = extend(
            self.config().base_urls().rest(),
            ["storage", "auth", "token"],
        );
        url.set_query(Some(STORAGE_TYPE));
        let request = || {
            let body = Bytes::from_static(b"{}");
            self.wire().request(Method::POST, &url, body)
        };
        let reply = self.exchange(Operation::Upload, request).await?;
        if !reply.is_success() {
            return Err(self.refused(reply));
        }
        let token = Arc::new(Token::read(&reply, self.config().base_urls().cdn())?);
        *kept = Some(Arc::clone(&token));
        Ok(token)
    }

    /// Sends a request with a token, and once more with a new one when that has expired.
    pub(super) async fn with_token<B: Into<Outgoing>>(
        &self,
        request: impl Fn(&Token) -> Request<B>,
    ) -> Result<Reply> {
        let token = self.token(None).await?;
        let send = async |token: &Token| self.exchange(Operation::Upload, || request(token)).await;
        let reply = send(&token).await?;
        if reply.status != 401 {
            return Ok(reply);
        }
        let token = self.token(Some(&token)).await?;
        send(&token).await
    }

    /// Sends the file in one request.
    pub(super) async fn send_by_token(&self, upload: &Upload) -> Result<String> {
        let request = |token: &Token| token.begin(upload, &["files", "upload"], upload.whole());
        let reply = self.with_token(request).await?;
        if !reply.is_success() {
            return Err(refused(&reply));
        }
        let accepted: Accepted = read_json(&reply)?;
        Ok(given_url(&reply, &accepted.access_url)?.to_string())
    }

    /// Announces a file in parts.
    pub(super) async fn begin_by_token(&self, upload: &Upload) -> Result<Direct> {
        let path = ["files", "upload", "multipart"];
        let request = |token: &Token| token.begin(upload, &path, Bytes::new());
        let reply = self.with_token(request).await?;
        if !reply.is_success() {
            return Err(refused(&reply));
        }
        let accepted: Accepted = read_json(&reply)?;
        let Some(upload_id) = accepted.upload_id.filter(|id| !id.is_empty()) else {
            return Err(malformed(&reply, "the storage's answer names no upload"));
        };
        Ok(Direct {
            access_url: given_url(&reply, &accepted.access_url)?,
            upload_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_utc_are_read() {
        let z = rfc3339("2026-02-01T00:00:00Z").unwrap();
        assert_eq!(rfc3339("2026-02-01T00:00:00+00:00"), Some(z));
        assert_eq!(
            rfc3339("2026-02-01T00:00:00.5+00:00").unwrap(),
            z + Duration::from_millis(500)
        );
        assert_eq!(rfc3339("tomorrow"), None);
    }
}
