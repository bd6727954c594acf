//! File source: opens a file of the service by its URL, without the key.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, header};
use url::Url;

use crate::cdn_token::{Token, Tokens};
use crate::error::Error;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::http::Incoming;
use crate::kind::{Delivery, ErrorKind, Operation};
use crate::requests::plain_request;
use crate::response::Response;

/// Redirects that are followed for a file; the key is on none of them.
const REDIRECTS: usize = 5;

/// The pause before a file that is missing is asked for again.
const CONFIRMATION: Duration = Duration::from_millis(500);

/// Bytes of an error page that are read.
const LARGEST_ERROR: usize = 1 << 16;

/// Opens files by their URLs.
pub(crate) struct FileSource<'a> {
    pub(crate) exchange: &'a Exchange,
    pub(crate) tokens: &'a Tokens,
}

impl FileSource<'_> {
    /// The response that has the whole file, after redirects. A protected file of the CDN is asked
    /// for again with the owner's token.
    pub(crate) async fn open(&self, url: &str) -> Result<Incoming, Failure> {
        let unusable = |why: &str| Failure::lasting(malformed(&format!("the file's URL {why}")));
        let mut url = Url::parse(url).map_err(|_| unusable("cannot be read"))?;
        let mut token = None;
        let mut was_missing = false;
        for _ in 0..=REDIRECTS + 2 {
            if !matches!(url.scheme(), "http" | "https") {
                return Err(unusable("is neither http nor https"));
            }
            let request = match token.as_deref() {
                None => plain_request(Method::GET, url.clone(), Bytes::new()),
                Some(token) => Token::request(token, Method::GET, url.clone(), Bytes::new()),
            };
            let with_token = token.take().is_some();
            let incoming = self.exchange.open(Operation::Download, request).await?;
            if incoming.status == StatusCode::OK {
                return Ok(incoming);
            }
            if incoming.status.is_success() {
                // A part that was not asked for, or something else than the file.
                let status = incoming.status.as_u16();
                let message = format!("the file came with HTTP {status} in place of 200");
                return Err(Failure::passing(malformed(&message)));
            }
            // A protected file looks forbidden or missing to everyone but its owner.
            if matches!(incoming.status.as_u16(), 401 | 403 | 404)
                && !with_token
                && self.exchange.config().base_urls().is_on_cdn(&url)
                && let Ok(owner) = self.tokens.get(None).await
            {
                token = Some(owner);
                continue;
            }
            // That a file is gone is believed when it is said twice: the CDN may not have it yet.
            if matches!(incoming.status.as_u16(), 404 | 410) && !was_missing {
                was_missing = true;
                self.exchange.pause(CONFIRMATION).await;
                continue;
            }
            let location = incoming.headers.get(header::LOCATION);
            let location = location.and_then(|value| value.to_str().ok());
            match location.filter(|_| incoming.status.is_redirection()) {
                Some(location) => {
                    url = url
                        .join(location)
                        .map_err(|_| unusable("redirects to no URL"))?;
                }
                None => return Err(self.refused(incoming).await),
            }
        }
        Err(unusable("redirects too often"))
    }

    async fn refused(&self, incoming: Incoming) -> Failure {
        let Incoming {
            status,
            headers,
            body,
        } = incoming;
        // Only the kind of the refusal matters here; its text is read as far as it is short.
        let idle = self.exchange.config().stream_idle;
        let body = body.collect(LARGEST_ERROR, idle).await.unwrap_or_default();
        let response = Response::new(Operation::Download, status.as_u16(), headers, body);
        let outcome = response.outcome();
        let error = match response.status {
            // Not gone: what is forbidden may be there, and may be had another way.
            401 | 403 => {
                let message = format!(
                    "the file is refused with HTTP {}; it is protected, has expired, or a host on the way forbids it",
                    response.status
                );
                Error::new(Operation::Download, ErrorKind::Auth, message)
                    .with_response(response.status, None)
            }
            _ => self.exchange.refused(response),
        };
        Failure { outcome, error }
    }
}

/// A file that did not come as it should.
pub(crate) fn malformed(message: &str) -> Error {
    Error::new(Operation::Download, ErrorKind::Malformed, message).with_delivery(Delivery::Answered)
}
