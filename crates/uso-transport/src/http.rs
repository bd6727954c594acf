//! The one place that touches the socket: sends a request and says whether it left.
//!
//! HTTP/2 shares a connection among many requests, up to a number of streams that the server sets
//! (often 100 to 128), and the client library opens a connection for every request that comes
//! before the first one is through. So connections are opened on purpose here: the requests of one
//! origin are spread over lanes, each with a connection pool of its own. A further lane is opened
//! when the ones before it are full, and its first request goes alone.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::io::BufReader;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, Version};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::{Instant, timeout};

use crate::config::Config;
use crate::error::{Delivery, Error, ErrorKind, Operation, Result};
use crate::storage::{Piece, Watched};

/// Requests that share one HTTP/2 connection; servers allow 100 streams or more.
const STREAMS_PER_LANE: usize = 90;

/// Connections to one HTTP/2 origin at the most. Beyond it, requests wait inside the connection.
const LANES: usize = 8;

/// How long requests wait for the first one of a lane, before they go ahead with connections of
/// their own.
const OPENING_PATIENCE: Duration = Duration::from_secs(1);

/// A connection that was idle for longer is not used again: a server that closed it meanwhile
/// would leave a submit with an unknown outcome.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);

/// The HTTP client: a few pools, made once and shared by all clones of a transport.
pub(crate) struct Http {
    clients: Vec<reqwest::Client>,
    origins: Mutex<HashMap<String, Arc<Origin>>>,
}

#[derive(Default)]
struct Origin {
    lanes: [Lane; LANES],
    /// The server speaks HTTP/1.1, where one pool opens a connection for each request anyway.
    single_requests: AtomicBool,
}

#[derive(Default)]
struct Lane {
    in_flight: AtomicUsize,
    is_open: AtomicBool,
    /// When its last request ended; its connection is closed some time after.
    empty_since: Mutex<Option<Instant>>,
    opening: Arc<tokio::sync::Mutex<()>>,
}

/// A place in a lane, given back when the answer's body is dropped.
struct Place {
    origin: Arc<Origin>,
    lane: usize,
}

impl Place {
    fn take(origin: &Arc<Origin>) -> Self {
        let load = |lane: &Lane| lane.in_flight.load(Ordering::Relaxed);
        let single = origin.single_requests.load(Ordering::Relaxed);
        let roomy = origin
            .lanes
            .iter()
            .position(|lane| single || load(lane) < STREAMS_PER_LANE);
        let lane = roomy.unwrap_or_else(|| {
            let least = origin
                .lanes
                .iter()
                .enumerate()
                .min_by_key(|(_, lane)| load(lane));
            least.map_or(0, |(index, _)| index)
        });
        let place = Self {
            origin: Arc::clone(origin),
            lane,
        };
        if let Some(lane) = place.lane() {
            let was_empty = lane.in_flight.fetch_add(1, Ordering::Relaxed) == 0;
            let since = *lane
                .empty_since
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if was_empty && since.is_some_and(|since| since.elapsed() >= IDLE_CONNECTION) {
                lane.is_open.store(false, Ordering::Release);
            }
        }
        place
    }

    fn lane(&self) -> Option<&Lane> {
        self.origin.lanes.get(self.lane)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(lane) = self.lane()
            && lane.in_flight.fetch_sub(1, Ordering::Relaxed) == 1
        {
            let mut since = lane
                .empty_since
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *since = Some(Instant::now());
        }
    }
}

/// The body of a request: in memory, or a piece of a file that is read while it is sent.
pub(crate) enum Outgoing {
    Bytes(Bytes),
    Piece(Piece),
}

impl Outgoing {
    /// Its length in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::Piece(piece) => piece.len(),
        }
    }

    pub(crate) fn watched(&self) -> Option<Watched> {
        match self {
            Self::Bytes(_) => None,
            Self::Piece(piece) => Some(piece.watched()),
        }
    }
}

impl From<Bytes> for Outgoing {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Piece> for Outgoing {
    fn from(piece: Piece) -> Self {
        Self::Piece(piece)
    }
}

impl From<Outgoing> for reqwest::Body {
    fn from(body: Outgoing) -> Self {
        match body {
            Outgoing::Bytes(bytes) => bytes.into(),
            Outgoing::Piece(piece) => Self::wrap(piece),
        }
    }
}

/// A request that got no answer.
pub(crate) struct Unanswered {
    pub(crate) delivery: Delivery,
    pub(crate) why: String,
    pub(crate) source: Option<Box<dyn StdError + Send + Sync>>,
}

impl fmt::Debug for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.why, self.delivery)
    }
}

/// An answer whose body has yet to be read.
pub(crate) struct Incoming {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

/// The body of an answer, which keeps its place in the lane until it is dropped.
pub(crate) struct Body {
    response: reqwest::Response,
    _place: Place,
}

/// Why a body could not be read to its end.
pub(crate) enum BodyProblem {
    /// It is longer than the limit.
    TooLong,
    /// It ended too early, or nothing came for too long.
    Broken(Unanswered),
}

impl Body {
    /// The next piece; `None` at the end.
    pub(crate) async fn chunk(&mut self, idle: Duration) -> Result<Option<Bytes>, Unanswered> {
        match timeout(idle, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(Unanswered {
                delivery: Delivery::Unknown,
                why: "the answer ended too early".to_owned(),
                source: Some(Box::new(error.without_url())),
            }),
            Err(_) => Err(Unanswered {
                delivery: Delivery::Unknown,
                why: format!("nothing came for {} s", idle.as_secs_f64()),
                source: None,
            }),
        }
    }

    /// The whole body, if it is not longer than `limit`.
    pub(crate) async fn collect(
        mut self,
        limit: usize,
        idle: Duration,
    ) -> Result<Bytes, BodyProblem> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.chunk(idle).await.map_err(BodyProblem::Broken)? {
            if whole.len() + chunk.len() > limit {
                return Err(BodyProblem::TooLong);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}

impl Http {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let tls = tls_config(config)?;
        let stays_here = config
            .base_urls
            .all()
            .iter()
            .all(|url| url.scheme() == "http");
        let client = || {
            let mut builder = reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .connect_timeout(config.connect_within)
                .pool_idle_timeout(IDLE_CONNECTION)
                .http2_keep_alive_interval(Duration::from_secs(20))
                .http2_keep_alive_timeout(Duration::from_secs(10))
                .redirect(reqwest::redirect::Policy::none())
                // The retries are ours: only `decide` may send a purchase again.
                .retry(reqwest::retry::never())
                .referer(false)
                .user_agent(concat!("uso/", env!("CARGO_PKG_VERSION")));
            if stays_here {
                // Clear text is for this machine only, so a proxy could not reach it.
                builder = builder.no_proxy();
            }
            builder.build().map_err(|error| {
                Error::new(
                    Operation::Configure,
                    ErrorKind::Config,
                    "the HTTP client could not be made",
                )
                .with_source(error)
            })
        };
        let clients = (0..LANES).map(|_| client()).collect::<Result<_>>()?;
        Ok(Self {
            clients,
            origins: Mutex::default(),
        })
    }

    fn origin<B>(&self, request: &Request<B>) -> Arc<Origin> {
        let uri = request.uri();
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            origins
                .entry(format!("{scheme}://{authority}"))
                .or_default(),
        )
    }

    /// Sends the request once and waits for the head of the answer until `deadline`.
    pub(crate) async fn send(
        &self,
        request: Request<impl Into<Outgoing>>,
        deadline: Instant,
    ) -> Result<Incoming, Unanswered> {
        let origin = self.origin(&request);
        let place = Place::take(&origin);
        let index = place.lane;
        let (Some(client), Some(lane)) = (self.clients.get(index), origin.lanes.get(index)) else {
            return Err(Unanswered {
                delivery: Delivery::NotSent,
                why: "there is no connection lane".to_owned(),
                source: None,
            });
        };
        let mut opener = None;
        if !lane.is_open.load(Ordering::Acquire) {
            let turn = Arc::clone(&lane.opening).lock_owned();
            let patience = OPENING_PATIENCE.min(deadline.saturating_duration_since(Instant::now()));
            opener = timeout(patience, turn).await.ok();
            if lane.is_open.load(Ordering::Acquire) {
                opener = None;
            }
        }
        let request = reqwest::Request::try_from(request.map(Into::<Outgoing>::into))
            .map_err(|error| unanswered(&error.without_url()))?;
        let sent = tokio::time::timeout_at(deadline, client.execute(request)).await;
        let answered = match sent {
            Ok(Ok(response)) => {
                origin
                    .single_requests
                    .store(response.version() < Version::HTTP_2, Ordering::Relaxed);
                lane.is_open.store(true, Ordering::Release);
                Ok(response)
            }
            Ok(Err(error)) => {
                let error = error.without_url();
                let failure = unanswered(&error);
                if failure.delivery == Delivery::NotSent {
                    lane.is_open.store(false, Ordering::Release);
                }
                Err(Unanswered {
                    source: Some(Box::new(error)),
                    ..failure
                })
            }
            Err(_) => Err(Unanswered {
                delivery: Delivery::Unknown,
                why: "no answer came in time".to_owned(),
                source: None,
            }),
        };
        drop(opener);
        let response = answered?;
        Ok(Incoming {
            status: response.status(),
            headers: response.headers().clone(),
            body: Body {
                response,
                _place: place,
            },
        })
    }
}

/// What a failed attempt says of the delivery. Nothing was sent when no connection came about, and
/// nothing was worked on when the server says so in HTTP/2's own words; everything else may have
/// arrived, a connection from the pool that dies under a request included.
fn unanswered(error: &reqwest::Error) -> Unanswered {
    let (delivery, why) = if error.is_builder() {
        (Delivery::NotSent, "the request could not be built")
    } else if error.is_connect() && error.is_timeout() {
        (Delivery::NotSent, "no connection came about in time")
    } else if error.is_connect() {
        (Delivery::NotSent, "no connection came about")
    } else if is_refused_by_http2(error) {
        (Delivery::NotSent, "the server refused the request unread")
    } else {
        (
            Delivery::Unknown,
            "the connection broke before the answer came",
        )
    };
    Unanswered {
        delivery,
        why: why.to_owned(),
        source: None,
    }
}

/// A stream reset with `REFUSED_STREAM` was not processed (RFC 9113, 8.7), nor was one above the
/// last stream of a graceful GOAWAY (6.8); for the ones below it the client library reports no
/// GOAWAY but lets them run to their end.
fn is_refused_by_http2(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(found) = cause {
        if let Some(error) = found.downcast_ref::<h2::Error>() {
            let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
            let gone = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
            return error.is_remote() && (refused || gone);
        }
        cause = found.source();
    }
    false
}

/// TLS with the system's certificates, those of `SSL_CERT_FILE` in their place when it is set, and
/// the ones that the settings add.
fn tls_config(config: &Config) -> Result<rustls::ClientConfig> {
    let refuse = |message: String| Error::new(Operation::Configure, ErrorKind::Config, message);
    let mut roots = rustls::RootCertStore::empty();
    for pem in &config.root_certificates {
        let mut found = false;
        for certificate in CertificateDer::pem_reader_iter(BufReader::new(pem.as_slice())) {
            let certificate = certificate.map_err(|error| {
                refuse("a root certificate is not valid PEM".to_owned()).with_source(error)
            })?;
            roots.add(certificate).map_err(|error| {
                refuse("a root certificate cannot be used".to_owned()).with_source(error)
            })?;
            found = true;
        }
        if !found {
            return Err(refuse(
                "there is no certificate in the PEM of the root certificates".to_owned(),
            ));
        }
    }
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    let needs_tls = config
        .base_urls
        .all()
        .iter()
        .any(|url| url.scheme() == "https");
    if roots.is_empty() && needs_tls {
        let mut error = refuse("there are no root certificates to check the service's identity with".to_owned())
            .with_hint("install the system's CA bundle (package ca-certificates), or name one with SSL_CERT_FILE");
        if let Some(cause) = system.errors.into_iter().next() {
            error = error.with_source(cause);
        }
        return Err(error);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse("TLS could not be set up".to_owned()).with_source(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}
