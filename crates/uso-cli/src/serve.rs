//! Accept loop of every server of the command: HTTP/1.1 in clear text, bounded against peers that
//! are silent or slow.
//!
//! A connection is *unproven* until one of its requests has a head that the server's check accepts,
//! such as one with a valid token. Silent connections, half a head and requests that fail
//! authentication all stay unproven. There is room for few unproven connections, and a new one
//! closes the oldest, so that thousands of them keep no other caller waiting.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, oneshot};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use crate::printer::Printer;
use crate::signals::Signals;

/// Bytes of a request head; a browser's has some hundreds.
const HEAD: usize = 32 << 10;

/// Connections that the operating system holds for the loop to accept.
const BACKLOG: u32 = 4096;

/// The longest wait for open requests at the end. A submit takes a second or two.
const GRACE: Duration = Duration::from_secs(60);

/// Limits of the connections of a server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once. Further ones wait to be accepted.
    pub connections: usize,
    /// Unproven connections at once. A further one closes the oldest of them.
    pub unproven: usize,
    /// The longest wait for a request head, from the start of the connection or the end of the last
    /// response. It closes silent and idle connections.
    pub head_within: Duration,
    /// The longest wait for a peer that does not read.
    pub read_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            unproven: 256,
            head_within: Duration::from_secs(30),
            read_within: Duration::from_secs(30),
        }
    }
}

/// A listener for [`serve`], with a long queue of connections to accept.
///
/// # Errors
///
/// When the address is taken or is not one of this machine.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // As `TcpListener::bind` does: a restart need not wait for the old connections. On Windows the
    // option would let another process take the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves the router until `shutdown`, then closes the unproven connections, ends the requests of
/// the others, and returns.
///
/// `proves` decides by the head of a request whether its connection is proven. There is no limit on
/// the time that the requests take in the end: put one around this function.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    proves: impl Fn(&HeaderMap) -> bool + Clone + Send + Sync + 'static,
    shutdown: impl Future<Output = ()>,
) {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_buf_size(HEAD);
    let service = TowerToHyperService::new(router);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    let unproven = Arc::new(Unproven::new(limits.unproven));
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
            // Out of file descriptors, most likely; other connections free some soon.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Events are small and must leave at once.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(limits.read_within));
        let (entry, closed) = Unproven::enter(&unproven);
        let (service, proves) = (service.clone(), proves.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            if proves(request.headers()) {
                entry.leave();
            }
            service.call(request)
        });
        let connection = server.serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                // A connection that ends with an error needs no action.
                _ = connection => {}
                () = closed.cancelled() => {}
            }
            drop(place);
        });
    }
    drop(listener);
    unproven.close();
    graceful.shutdown().await;
}

/// Says who can reach a server at this address, and what stops it.
pub(crate) fn say_reach(address: SocketAddr, printer: &Printer) {
    if !address.ip().is_loopback() {
        printer.warn(
            "other machines can reach this address, in clear text: put a server with TLS in front of it",
        );
    }
    printer.say("Ctrl-C stops it");
}

/// Serves the router until a signal, says that it is stopping, runs `close`, and ends the open
/// requests. Returns whether all of them ended before a second signal and within a minute.
pub(crate) async fn serve_until_signal(
    listener: TcpListener,
    router: Router,
    proves: impl Fn(&HeaderMap) -> bool + Clone + Send + Sync + 'static,
    close: impl Future<Output = ()>,
    signals: &mut Signals,
    printer: &Printer,
    stopping: &str,
) -> bool {
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        // The sender is kept until then.
        let _ = stopped.await;
        close.await;
    };
    let serving = serve(listener, router, Limits::default(), proves, shutdown);
    let mut serving = std::pin::pin!(serving);
    // The server runs until it is told to stop.
    tokio::select! {
        () = &mut serving => return true,
        _ = signals.next() => {}
    }
    printer.say(stopping);
    let _ = stop.send(());
    tokio::select! {
        () = serving => true,
        _ = signals.next() => false,
        () = tokio::time::sleep(GRACE) => false,
    }
}

/// The unproven connections, oldest first.
struct Unproven {
    limit: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: BTreeMap<u64, CancellationToken>,
}

/// A connection's entry in the table of the unproven.
struct Entry {
    unproven: Arc<Unproven>,
    number: u64,
}

impl Unproven {
    fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            table: Mutex::default(),
        }
    }

    /// Enters a connection, and closes the oldest beyond the limit. The token tells the connection
    /// to close.
    fn enter(this: &Arc<Self>) -> (Entry, CancellationToken) {
        let mut table = this.table();
        let number = table.next;
        table.next += 1;
        let close = CancellationToken::new();
        table.open.insert(number, close.clone());
        if table.open.len() > this.limit
            && let Some((_, oldest)) = table.open.pop_first()
        {
            oldest.cancel();
        }
        let entry = Entry {
            unproven: Arc::clone(this),
            number,
        };
        (entry, close)
    }

    fn close(&self) {
        for close in std::mem::take(&mut self.table().open).into_values() {
            close.cancel();
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn leave(&self) {
        self.unproven.table().open.remove(&self.number);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.leave();
    }
}
