//! A server for a proxy that stands alone.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::proxy::Proxy;
use crate::stall::Reading;
use crate::token::SharedTokens;

/// Where a stand-alone proxy serves the proxy; the address that fal's own examples use.
pub const PROXY_PATH: &str = "/api/fal/proxy";

/// Where a stand-alone proxy serves sessions.
pub const SESSION_PATH: &str = "/api/fal/session";

/// Connections at once. Further ones wait to be accepted.
const CONNECTIONS: usize = 4096;

/// What a connection may fill with the head of a request, in bytes; a browser's has some hundreds.
const HEAD: usize = 32 << 10;

/// The routes of a stand-alone proxy for callers with shared tokens: [`PROXY_PATH`] and
/// [`SESSION_PATH`].
pub fn stand_alone(proxy: &Proxy, tokens: &SharedTokens) -> Router {
    Router::new()
        .nest_service(PROXY_PATH, proxy.router())
        .nest_service(SESSION_PATH, tokens.sessions(proxy))
}

/// Serves a router with a proxy in it until `shutdown`: in clear text, over HTTP/1.1, which is what
/// web servers speak to those behind them.
///
/// Then no connection is accepted and nothing more is sent to the service, status streams end,
/// requests that were sent have their answers, and purchases their outcomes; it returns when that
/// is done. It drops what a page does not read
/// ([`Settings::reading_within`](crate::Settings::reading_within)), and it has no limit of its own
/// for what the service takes: put one around it.
///
/// Put a server with TLS in front of it, unless only this machine can reach it.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    proxy: Proxy,
    shutdown: impl Future<Output = ()>,
) {
    let settings = &proxy.shared.settings;
    let mut server = http1::Builder::new();
    // The time for a head runs from the moment in which it is waited for, so that it ends silent
    // and idle connections as well.
    server
        .timer(TokioTimer::new())
        .header_read_timeout(settings.headers_within)
        .max_buf_size(HEAD);
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
        let stream = Reading::new(stream, settings.reading_within);
        let connection = server.serve_connection(TokioIo::new(stream), service.clone());
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // How a connection ended is of no use to anybody.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    // First of all, so that nothing begins on a connection that is about to end.
    proxy.shared.closing.cancel();
    graceful.shutdown().await;
    proxy.close().await;
}
