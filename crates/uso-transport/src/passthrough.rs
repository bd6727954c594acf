//! Pass-through: a caller's request sent on with the key, as a proxy needs it.

use std::fmt;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, ORIGIN, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use crate::base_urls::BaseUrls;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::exchange::Exchange;
use crate::http::{Body, Guarded, RequestBody, Withheld};
use crate::kind::{Delivery, ErrorKind, Operation};
use crate::order::Guard;
use crate::requests::{Request, extend};

/// Headers of one connection or of one hop's credentials, which are never passed on.
const NEVER_PASSED_ON: [HeaderName; 12] = [
    AUTHORIZATION,
    CONNECTION,
    CONTENT_LENGTH,
    COOKIE,
    EXPECT,
    HOST,
    ORIGIN,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Service that may be sent the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// The synchronous run.
    Run,
    /// The queue.
    Queue,
    /// Uploads.
    Rest,
    /// The account's requests and prices.
    Platform,
}

impl Service {
    /// Base URL of the service.
    pub fn base(self, urls: &BaseUrls) -> &Url {
        match self {
            Self::Run => urls.run(),
            Self::Queue => urls.queue(),
            Self::Rest => urls.rest(),
            Self::Platform => urls.platform(),
        }
    }
}

/// A request to pass on with [`Transport::forward`](crate::Transport::forward).
///
/// A forward names a service and not a URL, so that the key cannot go anywhere but to a configured origin.
#[derive(Clone)]
pub struct Forward {
    /// Operation, which decides the deadline and is named in errors.
    pub operation: Operation,
    /// Service that gets the request.
    pub service: Service,
    /// HTTP method.
    pub method: Method,
    /// The path below the service's base URL, segment by segment; they are encoded as needed.
    pub path: Vec<String>,
    /// The query's names and values; they are encoded as needed.
    pub query: Vec<(String, String)>,
    /// Its headers. The key is added, and those of one connection are left out, `Authorization`,
    /// `Cookie` and `Host` among them.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers hold credentials, and the body prompts and pictures.
        f.debug_struct("Forward")
            .field("operation", &self.operation)
            .field("service", &self.service)
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// The response to a [`Forward`], whatever its status, with its body still to come.
#[derive(Debug)]
pub struct Forwarded {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers as they came.
    pub headers: HeaderMap,
    /// The body as it comes: nothing is decoded.
    pub body: ForwardedBody,
}

/// A body that is read as it comes. Dropping it ends the request.
pub struct ForwardedBody {
    body: Body,
    operation: Operation,
    idle: std::time::Duration,
}

impl fmt::Debug for ForwardedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardedBody")
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

impl ForwardedBody {
    /// The next piece; `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no piece: the next call waits for the same one, for the whole time again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unreachable`] when the response ends too early, or when nothing comes for longer
    /// than [`Config::stream_idle`](crate::Config::stream_idle).
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.body.chunk(self.idle).await.map_err(|failure| {
            let message = format!("{} was answered, but its body broke off", self.operation);
            Error::new(self.operation, ErrorKind::Unreachable, message)
                .with_delivery(Delivery::Answered)
                .with_source(failure.error)
        })
    }
}

/// Passing on of requests.
pub(crate) struct Passthrough<'a>(pub(crate) &'a Exchange);

impl Passthrough<'_> {
    /// Sends a request once, and only while its guard allows it.
    pub(crate) async fn send(&self, forward: Forward, guard: Option<Guard>) -> Result<Forwarded> {
        let operation = forward.operation;
        let started = Instant::now();
        let withheld = Withheld::default();
        let request = with_key(self.0.config(), forward).map(|body| match guard {
            Some(guard) => RequestBody::stream(Guarded::new(body, guard, withheld.clone())),
            None => body.into(),
        });
        let sent = self.0.open(operation, request).await;
        let incoming = sent.map_err(|failure| {
            let error = match withheld.happened() {
                true => Withheld::error(operation),
                false => failure.error,
            };
            error.with_attempts(1, started.elapsed())
        })?;
        Ok(Forwarded {
            status: incoming.status,
            headers: incoming.headers,
            body: ForwardedBody {
                body: incoming.body,
                operation,
                idle: self.0.config().stream_idle,
            },
        })
    }
}

fn with_key(config: &Config, forward: Forward) -> Request<Bytes> {
    let base = forward.service.base(config.base_urls());
    let mut url = extend(base, forward.path.iter().map(String::as_str));
    if !forward.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&forward.query);
    }
    let mut headers = forward.headers;
    for name in &NEVER_PASSED_ON {
        headers.remove(name);
    }
    if let Some(key) = config.key.header() {
        headers.insert(AUTHORIZATION, key);
    }
    Request {
        method: forward.method,
        url,
        headers,
        body: forward.body,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::key::ApiKey;

    #[test]
    fn the_key_goes_to_the_named_service_and_no_foreign_credential_with_it() {
        let config = Config::new(ApiKey::new("id:secret").unwrap(), BaseUrls::fal().unwrap());
        let foreign = [
            (AUTHORIZATION, "Key other:key"),
            (COOKIE, "session=1"),
            (HOST, "evil.example"),
            (CONTENT_LENGTH, "7"),
            (TRANSFER_ENCODING, "chunked"),
        ];
        let kept = (
            HeaderName::from_static("x-fal-queue-priority"),
            HeaderValue::from_static("low"),
        );
        let foreign = foreign.map(|(name, value)| (name, HeaderValue::from_static(value)));
        let request = with_key(
            &config,
            Forward {
                operation: Operation::Submit,
                service: Service::Queue,
                method: Method::POST,
                path: ["fal-ai", "..", "a/b?c", "uso"].map(str::to_owned).to_vec(),
                query: vec![("fal_max_queue_length".to_owned(), "1&x=2".to_owned())],
                headers: foreign.into_iter().chain([kept]).collect(),
                body: Bytes::new(),
            },
        );
        assert_eq!(
            request.url.as_str(),
            "https://queue.fal.run/fal-ai/a%2Fb%3Fc/uso?fal_max_queue_length=1%26x%3D2"
        );
        let mut names: Vec<&str> = request.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["authorization", "x-fal-queue-priority"]);
        assert_eq!(request.headers[AUTHORIZATION], "Key id:secret");
        assert!(request.headers[AUTHORIZATION].is_sensitive());
    }
}
