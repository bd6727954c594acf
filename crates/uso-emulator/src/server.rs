//! TCP listener and connections.

pub(crate) mod address;
pub(crate) mod admission;
pub(crate) mod connection;
pub(crate) mod query;
pub(crate) mod request;
pub(crate) mod respond;
pub(crate) mod route;
pub(crate) mod service;
pub(crate) mod tls;
mod trickle;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::state::State;
use connection::Connection;
use trickle::Trickle;

/// Streams that one HTTP/2 connection carries; a common limit of load balancers, chosen here.
const MAX_STREAMS: u32 = 128;

/// Accepts connections until the task is dropped, which ends them all.
pub(crate) async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others will be closed in a moment.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        number += 1;
        connections.spawn(handshake(stream, number, tls.clone(), Arc::clone(&state)));
    }
}

async fn handshake(stream: TcpStream, number: u64, tls: Option<TlsAcceptor>, state: Arc<State>) {
    // Events are small and must leave at once.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve(stream, number, false, state).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, number, true, state).await;
            }
        }
    }
}

async fn serve<S>(stream: S, number: u64, tls: bool, state: Arc<State>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let slow = Arc::new(AtomicBool::new(false));
    let stream = Trickle::new(stream, Arc::clone(&slow));
    let connection = Arc::new(Connection {
        number,
        tls,
        cut: Notify::new(),
        slow,
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS);
    let service =
        service_fn(|request| service::serve(Arc::clone(&state), Arc::clone(&connection), request));
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = serving => {}
        () = connection.cut.notified() => {}
    }
}
