//! A server for a proxy that stands alone.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::proxy::Proxy;
use crate::token::SharedTokens;

/// Where a stand-alone proxy serves the proxy; the address that fal's own examples use.
pub const PROXY_PATH: &str = "/api/fal/proxy";

/// Where a stand-alone proxy serves sessions.
pub const SESSION_PATH: &str = "/api/fal/session";

/// Connections at once. Further ones wait to be accepted.
const CONNECTIONS: usize = 4096;

/// A connection that takes longer to say what it wants is closed.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);

/// The routes of a stand-alone proxy for callers with shared tokens: [`PROXY_PATH`] and
/// [`SESSION_PATH`].
pub fn stand_alone(proxy: &Proxy, tokens: &SharedTokens) -> Router {
    Router::new()
        .nest_service(PROXY_PATH, proxy.router())
        .nest_service(SESSION_PATH, tokens.sessions(proxy))
}

/// Serves a router with a proxy in it, in clear text, over HTTP/1.1 and HTTP/2, until `shutdown`.
/// Then no connection is accepted, status streams end, requests that are under way have their
/// answers, and purchases their outcomes; it returns when that is done.
///
/// Put a server with TLS in front of it, unless only this machine can reach it.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    proxy: Proxy,
    shutdown: impl Future<Output = ()>,
) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20));
    let service = TowerToHyperService::new(router);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut shutdown => break,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: others will be closed in a moment.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Events are small and must leave at once.
        let _ = stream.set_nodelay(true);
        let connection = server
            .serve_connection(TokioIo::new(stream), service.clone())
            .into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // How a connection ended is of no use to anybody.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    tokio::join!(graceful.shutdown(), proxy.close());
}
