//! HTTP client: sends one request and says whether it left. This module and its children alone use `reqwest`.

mod clients;
mod guarded;
mod lanes;
mod tls;

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode, Version};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;
use url::{Position, Url};

use self::clients::Clients;
pub(crate) use self::guarded::{Guarded, Withheld};
use self::lanes::{Lanes, Place};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::kind::{Delivery, ErrorKind, Operation};
use crate::requests::Request;

/// HTTP client: a connection pool for each lane, shared by all clones of a transport.
pub(crate) struct Http {
    clients: Clients,
    lanes: Lanes,
}

/// Body of a request, and its length.
pub(crate) struct RequestBody {
    body: reqwest::Body,
    length: u64,
}

impl RequestBody {
    /// A body that is read while it is sent.
    pub(crate) fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error = io::Error> + Send + Sync + 'static,
    {
        Self {
            length: body.size_hint().lower(),
            body: reqwest::Body::wrap(body),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.length
    }
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self {
            length: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            body: bytes.into(),
        }
    }
}

/// A response whose body has yet to be read.
pub(crate) struct Incoming {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

impl Incoming {
    /// Length of the body, where the response tells it.
    pub(crate) fn told_length(&self) -> Option<u64> {
        self.headers
            .get(CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    }
}

/// Body of a response, which keeps its place in the lane until it is dropped.
pub(crate) struct Body {
    response: reqwest::Response,
    operation: Operation,
    _place: Place,
}

impl Body {
    /// The next chunk; `None` at the end. Dropping the future loses nothing.
    pub(crate) async fn next_chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        self.response.chunk().await.map_err(|error| {
            Failure::lost(self.operation, "the response ended too early")
                .caused_by(error.without_url())
        })
    }

    /// As [`Body::next_chunk`], for a chunk that has to come within `idle`.
    pub(crate) async fn chunk(&mut self, idle: Duration) -> Result<Option<Bytes>, Failure> {
        let operation = self.operation;
        timeout(idle, self.next_chunk()).await.unwrap_or_else(|_| {
            let why = format!("nothing came for {} s", idle.as_secs_f64());
            Err(Failure::lost(operation, &why))
        })
    }

    /// The whole body, if it is not longer than `limit`.
    pub(crate) async fn collect(mut self, limit: usize, idle: Duration) -> Result<Bytes, Failure> {
        let Some(first) = self.chunk(idle).await? else {
            return Ok(Bytes::new());
        };
        if first.len() > limit {
            return Err(self.too_long(limit));
        }
        let Some(second) = self.chunk(idle).await? else {
            return Ok(first);
        };
        let mut whole = BytesMut::from(first.as_ref());
        let mut next = Some(second);
        while let Some(chunk) = next {
            if whole.len() + chunk.len() > limit {
                return Err(self.too_long(limit));
            }
            whole.extend_from_slice(&chunk);
            next = self.chunk(idle).await?;
        }
        Ok(whole.freeze())
    }

    fn too_long(&self, limit: usize) -> Failure {
        let operation = self.operation;
        let (kind, delivery) = match operation.is_idempotent() {
            true => (ErrorKind::Malformed, Delivery::Answered),
            false => (ErrorKind::OutcomeUnknown, Delivery::Unknown),
        };
        let message = format!("the response to {operation} is larger than {limit} bytes");
        let error = Error::new(operation, kind, message)
            .with_delivery(delivery)
            .with_hint("the limit is the client's setting max_body: raise it where longer responses are expected, or ask for fewer or smaller pictures at once");
        Failure::lasting(error)
    }
}

impl Http {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        Ok(Self {
            clients: Clients::new(config)?,
            lanes: Lanes::default(),
        })
    }

    /// Whether there is room for a request whose response may take as long as a job.
    pub(crate) fn has_room_for_stream(&self, url: &Url) -> bool {
        self.lanes.has_room_for_stream(url)
    }

    /// Sends the request once and waits for the head of the response until `deadline`.
    pub(crate) async fn send(
        &self,
        operation: Operation,
        request: Request<RequestBody>,
        deadline: Instant,
    ) -> Result<Incoming, Failure> {
        let Request {
            method,
            url,
            headers,
            body,
        } = request;
        let place = self.lanes.place(&url);
        let is_secure = url.scheme() == "https";
        let client = self.clients.get(place.index(), is_secure);
        let client = client.map_err(Failure::lasting)?;
        let shown = url.clone();
        let host = &shown[Position::BeforeHost..Position::BeforePath];
        let at_host = |failure: Failure| failure.map(|error| error.with_host(host));
        // The path of a file is a credential: knowing it suffices to read or write the file.
        let path = match operation {
            Operation::Upload | Operation::Download => "",
            _ => shown.path(),
        };
        let mut request = reqwest::Request::new(method.clone(), url);
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.body);
        let opener = place.opener(deadline).await;
        let sent = timeout_at(deadline, client.execute(request)).await;
        let answered = match sent {
            Ok(Ok(response)) => {
                place.is_open(response.version() >= Version::HTTP_2);
                Ok(response)
            }
            Ok(Err(error)) => {
                if error.is_connect() {
                    place.is_closed();
                }
                Err(at_host(unanswered(operation, host, error.without_url())))
            }
            Err(_) => {
                let why = format!("{host} did not respond in time");
                Err(at_host(Failure::lost(operation, &why)))
            }
        };
        drop(opener);
        let status = answered
            .as_ref()
            .map_or(0, |response| response.status().as_u16());
        match status {
            0 => debug!(%operation, %method, host, path, "no response"),
            status => debug!(%operation, %method, host, path, status, "response"),
        }
        let mut response = answered?;
        Ok(Incoming {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: Body {
                response,
                operation,
                _place: place,
            },
        })
    }
}

/// What a failed attempt says about the delivery.
///
/// Only a connection that was never made proves that nothing was sent. A stream that the server
/// refuses over HTTP/2 is no proof for us: an informational response may have come before the
/// refusal, and the client library shows neither of them apart from the other.
fn unanswered(operation: Operation, host: &str, error: reqwest::Error) -> Failure {
    if error.is_builder() {
        return Failure::not_sent(operation, "the request could not be built").caused_by(error);
    }
    if !error.is_connect() {
        let why = format!("the connection to {host} broke before a response came");
        return Failure::lost(operation, &why).caused_by(error);
    }
    let why = match error.is_timeout() {
        true => format!("no connection to {host} was made in time"),
        false => format!("no connection to {host} could be made"),
    };
    let failure = Failure::not_sent(operation, &why);
    let distrusts = is_about_certificate(&error);
    failure.caused_by(error).map(|error| match distrusts {
        true => error.with_hint("the server's certificate is not trusted: add the authority that signed it to the root certificates (a PEM file that SSL_CERT_FILE names, or the client's settings), and check this machine's clock"),
        false => error,
    })
}

/// Whether TLS failed because the server's certificate is not trusted.
fn is_about_certificate(error: &(dyn StdError + 'static)) -> bool {
    let is_untrusted = |error: &rustls::Error| {
        matches!(
            error,
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented
        )
    };
    let mut cause = Some(error);
    while let Some(found) = cause {
        if found.downcast_ref().is_some_and(is_untrusted) {
            return true;
        }
        // An I/O error is not the source of what it wraps, which may be another I/O error.
        let wrapped = found
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => found.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use rustls::{CertificateError, Error};

    use super::*;

    #[test]
    fn an_untrusted_certificate_is_seen_through_every_error_around_it() {
        let untrusted = || Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert!(is_about_certificate(&untrusted()));
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, untrusted()));
        assert!(is_about_certificate(&wrapped));
        let other = io::Error::other(io::Error::other(Error::DecryptError));
        assert!(!is_about_certificate(&other));
    }
}
