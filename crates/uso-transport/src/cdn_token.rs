//! CDN token: the credential that the CDN takes in place of the key.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Method};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use crate::error::Result;
use crate::exchange::Exchange;
use crate::kind::Operation;
use crate::requests::{Request, extend, plain_request};
use crate::response::Response;
use crate::storage_response::{given_url, malformed, read_json};

pub(crate) const STORAGE_TYPE: &str = "storage_type=fal-cdn-v3";

/// A token that would expire sooner than this is not used for a new request.
const MARGIN: Duration = Duration::from_secs(300);

/// What the CDN takes in place of the key.
#[derive(Clone)]
pub(crate) struct Token {
    credential: HeaderValue,
    pub(crate) base_url: Url,
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

impl Token {
    fn read(response: &Response, own: &Url) -> Result<Self> {
        let issued: Issued = read_json(response)?;
        let kind = issued.token_type.as_deref().unwrap_or("Bearer");
        let credential = HeaderValue::from_str(&format!("{kind} {}", issued.token));
        let mut credential = credential
            .map_err(|_| malformed(response, "the storage's token cannot stand in a header"))?;
        credential.set_sensitive(true);
        let base_url = match &issued.base_url {
            Some(base_url) => given_url(response, base_url)?,
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
    pub(crate) fn request<B>(&self, method: Method, url: Url, body: B) -> Request<B> {
        let mut request = plain_request(method, url, body);
        let headers = &mut request.headers;
        headers.insert(AUTHORIZATION, self.credential.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        request
    }
}

/// The token that is kept, and the queue of callers who want a new one; clones share them.
#[derive(Clone)]
pub(crate) struct Tokens {
    exchange: Exchange,
    kept: Arc<Mutex<Option<Arc<Token>>>>,
}

impl Tokens {
    pub(crate) fn new(exchange: Exchange) -> Self {
        Self {
            exchange,
            kept: Arc::default(),
        }
    }

    /// A token that is good for a while; `refused` is one that the CDN no longer takes.
    pub(crate) async fn get(&self, refused: Option<&Token>) -> Result<Arc<Token>> {
        let mut kept = self.kept.lock().await;
        let is_refused =
            |token: &Token| refused.is_some_and(|refused| refused.credential == token.credential);
        if let Some(token) = kept
            .as_ref()
            .filter(|token| token.is_fresh() && !is_refused(token))
        {
            return Ok(Arc::clone(token));
        }
        let base_urls = self.exchange.config().base_urls();
        let mut url = extend(base_urls.rest(), ["storage", "auth", "token"]);
        url.set_query(Some(STORAGE_TYPE));
        let request = || {
            let body = Bytes::from_static(b"{}");
            self.exchange
                .requests()
                .request(Method::POST, url.clone(), body)
        };
        let response = self
            .exchange
            .send_accepted(Operation::Upload, request)
            .await?;
        let token = Arc::new(Token::read(&response, base_urls.cdn())?);
        *kept = Some(Arc::clone(&token));
        Ok(token)
    }
}

/// A time with an offset, such as `2026-02-01T00:00:00+00:00`.
fn rfc3339(text: &str) -> Option<SystemTime> {
    let utc = text.strip_suffix("+00:00").map(|text| format!("{text}Z"));
    humantime::parse_rfc3339(utc.as_deref().unwrap_or(text)).ok()
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
