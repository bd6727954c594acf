//! Routes of a stand-alone proxy for callers with shared tokens.

use axum::Router;

use crate::proxy::Proxy;
use crate::shared_tokens::SharedTokens;

/// Path of the proxy in [`stand_alone`]; fal's own examples use it.
pub const PROXY_PATH: &str = "/api/fal/proxy";

/// Path of the sessions in [`stand_alone`].
pub const SESSION_PATH: &str = "/api/fal/session";

/// The routes of a stand-alone proxy for callers with shared tokens: [`PROXY_PATH`] and
/// [`SESSION_PATH`].
pub fn stand_alone(proxy: &Proxy, tokens: &SharedTokens) -> Router {
    Router::new()
        .nest_service(PROXY_PATH, proxy.router())
        .nest_service(SESSION_PATH, tokens.sessions(proxy))
}
