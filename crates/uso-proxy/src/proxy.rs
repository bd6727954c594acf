//! The way of a request: may this page, may this caller, may this target; then on to the service.

mod body;
mod order;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uso_transport::{Forward, Operation, Ticket, Transport};

use self::body::input;
use crate::caller::Caller;
use crate::flights::{Flight, Flights};
use crate::headers::{self, TARGET_URL, passed_on, single};
use crate::limits::Limits;
use crate::origins;
use crate::owners::Owners;
use crate::price::Price;
use crate::refusal::Refusal;
use crate::relay;
use crate::repeats::{Repeats, Sameness};
use crate::settings::{Pricing, Settings};
use crate::target::Target;

/// The largest body that begins an upload: a content type and a file name.
const UPLOAD_BODY: usize = 16 << 10;

/// How long to wait for what is over in a moment.
const MOMENT: Duration = Duration::from_secs(1);

type Check = Arc<dyn Fn(HeaderMap) -> BoxFuture<'static, Option<Caller>> + Send + Sync>;

/// The proxy. Clones share everything.
///
/// ```
/// use axum::Router;
/// use http::HeaderMap;
/// use uso_proxy::{Caller, Proxy, Settings};
/// use uso_transport::{ApiKey, BaseUrls, Config, Transport};
///
/// # async fn account_of(_: &HeaderMap) -> Option<String> { None }
/// let transport = Transport::new(Config::new(ApiKey::new("id:secret")?, BaseUrls::fal()?))?;
/// let settings = Settings::new().allow_origin("https://app.example")?;
/// let proxy = Proxy::new(transport, settings, |headers: HeaderMap| async move {
///     let account = account_of(&headers).await?; // your own session, JWT, ...
///     Some(Caller::new(account))
/// });
/// let app: Router = Router::new().nest_service("/api/fal/proxy", proxy.router());
/// # Ok::<(), uso_transport::Error>(())
/// ```
#[derive(Clone)]
pub struct Proxy {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) transport: Transport,
    pub(crate) settings: Settings,
    check: Check,
    pub(crate) limits: Limits,
    flights: Arc<Flights>,
    owners: Arc<Owners>,
    repeats: Arc<Repeats>,
    /// What the end waits for: requests that are being looked at, and purchases until they are
    /// recorded.
    pub(crate) tasks: TaskTracker,
    pub(crate) closing: CancellationToken,
    pub(crate) given_up: CancellationToken,
    buys_nothing: AtomicBool,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("transport", &self.shared.transport)
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy that passes requests on through this transport, with its key and its hosts.
    ///
    /// `check` gets a request's headers and says who calls; `None` is answered with 401. It is
    /// asked for every request but a browser's preflight, there is no default, and what it lets in
    /// can spend money. For one shared token, see [`SharedTokens`](crate::SharedTokens).
    pub fn new<F, R>(transport: Transport, settings: Settings, check: F) -> Self
    where
        F: Fn(HeaderMap) -> R + Send + Sync + 'static,
        R: Future<Output = Option<Caller>> + Send + 'static,
    {
        let limits = Limits::new(
            settings.requests_per_minute,
            settings.spending_per_day,
            Instant::now(),
        );
        let flights = Flights::new(settings.requests_at_once, settings.max_body);
        let owners = Owners::new(
            settings.requests_kept,
            settings.requests_kept_each,
            settings.requests_kept_for,
        );
        Self {
            shared: Arc::new(Shared {
                transport,
                settings,
                check: Arc::new(move |headers| Box::pin(check(headers))),
                limits,
                flights: Arc::new(flights),
                owners: Arc::new(owners),
                repeats: Arc::default(),
                tasks: TaskTracker::new(),
                closing: CancellationToken::new(),
                given_up: CancellationToken::new(),
                buys_nothing: AtomicBool::new(false),
            }),
        }
    }

    /// The router that serves the proxy at its root, to be nested where the pages look for it:
    /// `Router::new().nest_service("/api/fal/proxy", proxy.router())`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", axum::routing::any(answer))
            .with_state(self.clone())
    }

    /// Lets a caller ask for a request that was submitted elsewhere, or before this process began:
    /// the proxy itself forgets at its end which request is whose.
    pub fn adopt(&self, caller: &Caller, ticket: &Ticket) {
        let (app, id) = (ticket.endpoint().app(), ticket.request_id());
        self.shared.owners.bind(caller, app, id, Instant::now());
    }

    /// Takes no more requests (503), ends the status streams, and waits until every purchase that
    /// was sent has its outcome and its record. The pages may still be reading their answers then:
    /// that is for the server to wait for, as [`serve`](crate::serve()) does.
    pub async fn close(&self) {
        self.shared.closing.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Closes it without waiting for the service: what is under way is dropped, and each purchase
    /// among it is recorded with an unknown outcome.
    pub async fn give_up(&self) {
        self.shared.given_up.cancel();
        self.close().await;
    }

    /// Sends no more purchases (503), for when they could not be recorded; what was bought can still
    /// be asked for and collected.
    pub fn stop_buying(&self) {
        self.shared.buys_nothing.store(true, Ordering::Relaxed);
    }
}

async fn answer(State(proxy): State<Proxy>, request: Request) -> Response {
    let shared = &proxy.shared;
    let (parts, body) = request.into_parts();
    let origin = match shared.settings.origins.of(&parts.headers) {
        Ok(origin) => origin,
        Err(refusal) => {
            let mut response = refusal.into_response();
            origins::open(&mut response, None);
            return response;
        }
    };
    let mut response = match origins::preflight(&parts.method, &parts.headers) {
        Some(response) => response,
        None => {
            let passing = shared.pass(&parts, body);
            let passed = shared.given_up.run_until_cancelled(passing).await;
            let passed = passed.unwrap_or_else(|| Err(Refusal::lost()));
            passed.unwrap_or_else(|refusal| {
                tracing::debug!(?refusal, "refused");
                refusal.into_response()
            })
        }
    };
    origins::open(&mut response, origin);
    response
}

impl Shared {
    async fn pass(self: &Arc<Self>, parts: &Parts, body: Body) -> Result<Response, Refusal> {
        // Taken before the look, so that what is let through here is waited for.
        let _tracked = self.tasks.token();
        self.is_open()?;
        let target = self.target(parts)?;
        let caller = self.caller(&parts.headers).await?;
        let mut flight = self.flight(&caller)?;
        let headers = passed_on(&parts.headers).map_err(|problem| match problem {
            headers::Problem::Reserved(name) => Refusal::invalid(&format!(
                "the header {name} is the account's to decide and may not be set by a page"
            )),
            headers::Problem::Repeated(name) => {
                Refusal::invalid(&format!("the header {name} is given more than once"))
            }
        })?;
        match &target {
            Target::FollowUp {
                operation, ticket, ..
            } => {
                let (app, id) = (ticket.endpoint().app(), ticket.request_id());
                if !self.owners.owns(&caller, app, id, Instant::now()) {
                    return Err(Refusal::not_found(*operation));
                }
                if *operation == Operation::Stream && !flight.streams() {
                    let text = "as many status streams are open as the proxy has room for; ask for the status instead";
                    return Err(Refusal::busy(text, MOMENT));
                }
                let forward = self.forward(parts, &target, headers, Bytes::new());
                relay::pass(self, flight, forward).await
            }
            Target::Upload { .. } => {
                let body = self.body(&mut flight, parts, body, UPLOAD_BODY).await?;
                input(&body)?;
                let forward = self.forward(parts, &target, headers, body);
                relay::pass(self, flight, forward).await
            }
            Target::Purchase {
                operation,
                endpoint,
                ..
            } => {
                let limit = self.settings.max_body;
                let body = self.body(&mut flight, parts, body, limit).await?;
                let price = match endpoint.price {
                    Pricing::OfUso => input(&body)?.price().map_err(Refusal::invalid)?,
                    Pricing::Each(price) => input(&body).map(|_| Price::flat(price))?,
                };
                let sameness =
                    Sameness::of(&caller, operation.as_str(), endpoint.id.as_str(), &body);
                let forward = self.forward(parts, &target, headers, body);
                // The body may have taken its time.
                self.is_open()?;
                if self.buys_nothing.load(Ordering::Relaxed) {
                    let text = "purchases cannot be recorded, so nothing is bought until the proxy's operator has mended that";
                    return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text));
                }
                let order = self.order(caller, flight, endpoint, price, sameness, forward)?;
                order.place(self).await
            }
        }
    }

    fn is_open(&self) -> Result<(), Refusal> {
        if self.closing.is_cancelled() {
            return Err(Refusal::closing());
        }
        Ok(())
    }

    fn target<'a>(&'a self, parts: &Parts) -> Result<Target<'a>, Refusal> {
        if !parts.headers.contains_key(&TARGET_URL) {
            return Err(Refusal::invalid("the header x-fal-target-url is missing"));
        }
        let text = single(&parts.headers, &TARGET_URL).and_then(|value| value.to_str().ok());
        let text = text.ok_or_else(|| Refusal::invalid("x-fal-target-url is not one URL"))?;
        let bases = self.transport.config().base_urls();
        let target = Target::read(&parts.method, text, &self.settings.endpoints, bases);
        let target = target.map_err(Refusal::invalid)?;
        if target.operation() == Operation::Run && !self.settings.allow_run {
            let text = "runs are closed here, since what they make is lost with their answer: use the queue, as the client's subscribe does";
            return Err(Refusal::invalid(text));
        }
        Ok(target)
    }

    /// Who calls, unless it is nobody or too often.
    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let caller = (self.check)(headers.clone()).await;
        let caller = caller.ok_or_else(Refusal::unauthorized)?;
        let counted = self.limits.request(&caller, Instant::now());
        counted.map_err(|wait| {
            let limit = self.limits.requests_per_minute();
            let why = format!("more than {limit} requests a minute of one caller");
            Refusal::too_much(why, wait)
        })?;
        Ok(caller)
    }

    fn flight(&self, caller: &Caller) -> Result<Flight, Refusal> {
        self.flights.begin(caller).ok_or_else(|| {
            let limit = self.flights.requests_at_once();
            let why = format!("more than {limit} requests of one caller at once");
            Refusal::too_much(why, MOMENT)
        })
    }

    fn forward(
        &self,
        parts: &Parts,
        target: &Target<'_>,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Forward {
        if !body.is_empty() {
            // It was read as JSON here, so it is said to be JSON there.
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Forward {
            operation: target.operation(),
            service: target.service(),
            method: parts.method.clone(),
            path: target.path(),
            query: target.query(),
            headers,
            body,
        }
    }
}
