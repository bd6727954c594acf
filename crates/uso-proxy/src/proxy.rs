//! The proxy: the face of the crate.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use http::HeaderMap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uso_transport::{Ticket, Transport};

use crate::caller::Caller;
use crate::handler::respond;
use crate::records::RecordsError;
use crate::settings::Settings;
use crate::shared_state::Shared;
use crate::traffic::Traffic;
use crate::unrecorded::Unrecorded;

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
    /// `check` gets the headers of a request and names the caller; `None` is refused with 401. It
    /// is asked for every request but a browser's preflight, there is no default, and its callers
    /// can spend money. For shared tokens, see [`SharedTokens`](crate::SharedTokens).
    pub fn new<F, R>(transport: Transport, settings: Settings, check: F) -> Self
    where
        F: Fn(HeaderMap) -> R + Send + Sync + 'static,
        R: Future<Output = Option<Caller>> + Send + 'static,
    {
        let traffic = Traffic::new(
            settings.requests_per_minute,
            settings.requests_at_once,
            settings.max_body,
        );
        Self {
            shared: Arc::new(Shared {
                transport,
                settings,
                check: Box::new(move |headers| Box::pin(check(headers))),
                traffic: Arc::new(traffic),
                unrecorded: Unrecorded::default(),
                tasks: TaskTracker::new(),
                closing: CancellationToken::new(),
                given_up: CancellationToken::new(),
            }),
        }
    }

    /// The router that serves the proxy at its root, to be nested at the path that the pages call:
    /// `Router::new().nest_service("/api/fal/proxy", proxy.router())`.
    ///
    /// The proxy limits callers, not connections that send no credentials: the server around it
    /// should close connections that send no request.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", any(respond))
            .with_state(Arc::clone(&self.shared))
    }

    /// Lets a caller reach a request that was submitted elsewhere, or before this process began. The
    /// first owner of a request stays.
    ///
    /// # Errors
    ///
    /// When the records are not available.
    pub async fn adopt(&self, caller: &Caller, ticket: &Ticket) -> Result<(), RecordsError> {
        let settings = &self.shared.settings;
        let adopted = settings.records.adopt(caller, ticket, &settings.limits);
        adopted.await
    }

    /// Refuses further requests (503), ends the status streams, and waits until every purchase that
    /// was sent has its outcome and its record. Pages may still read their responses then, so close
    /// the server after it. While the records are not available, [`Proxy::give_up`] ends the wait.
    pub async fn close(&self) {
        self.shared.closing.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Closes the proxy without waiting for the service or for records that are not available:
    /// requests are dropped, and each purchase among them is recorded with an unknown outcome.
    pub async fn give_up(&self) {
        self.shared.given_up.cancel();
        self.close().await;
    }
}
