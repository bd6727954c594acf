//! `uso webhook listen`: receives deliveries until Ctrl-C.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uso::webhook::{
    Delivery, FalKeys, KeySource as _, MemoryStore, Once, OnceError, Receiver, Rejection, Verifier,
    once,
};
use uso::{Client, Config};

use super::adopt::{NotNow, Notes, Purchase};
use super::{describe, to_json};
use crate::args::{Global, ListenArgs};
use crate::cmd::connect::{base_urls, origin};
use crate::exit::Failure;
use crate::output::Printer;
use crate::signals::Signals;
use crate::state::State;

/// How long a caller may take over its headers, and again over its body.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a connection may last, with its one delivery and the answer.
const CONNECTION: Duration = Duration::from_secs(60);

/// Connections at the same time; the body of each may be held in memory.
const CONNECTIONS: usize = 64;

/// The largest body: the command never asks for pictures inside the answer.
const MAX_BODY: usize = 1 << 20;

/// What answers deliveries.
struct Desk {
    receiver: Receiver,
    handled: MemoryStore,
    notes: Notes,
    printer: Printer,
}

pub(super) async fn run(
    global: &Global,
    args: &ListenArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let config = Config::keyless(base_urls(global)?);
    let keys = FalKeys::new(&config)?;
    let client = Client::new(config)?;
    let desk = Arc::new(Desk {
        receiver: Receiver::new(keys.clone()).verifier(Verifier::new().max_body(MAX_BODY)),
        handled: MemoryStore::default(),
        notes: Notes {
            origin: origin(&client),
            state: State::locate()?,
            client,
            printer: *printer,
        },
        printer: *printer,
    });
    let mut signals = Signals::listen().map_err(|error| Failure::other(error.to_string()))?;
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.map_err(|error| {
        Failure::other(format!("cannot listen on {}: {error}", args.listen))
            .with_hint("give another address with --listen")
    })?;
    let address = listener.local_addr().unwrap_or(args.listen);
    printer.say(&format!(
        "listening on http://{address}/ for deliveries to --webhook, at any path; Ctrl-C stops it"
    ));
    let serving = tokio::spawn(serve(listener, desk));
    let waiting = async {
        if let Err(error) = keys.keys().await {
            printer.warn(&format!(
                "the public keys cannot be had yet: {error}; they are fetched again when a delivery comes"
            ));
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = waiting => {}
        () = signals.next() => {}
    }
    serving.abort();
    Ok(ExitCode::SUCCESS)
}

/// Accepts connections until the task is dropped, which ends them all.
async fn serve(listener: TcpListener, desk: Arc<Desk>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others will be closed in a moment.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let desk = Arc::clone(&desk);
        connections.spawn(async move {
            connection(stream, desk).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, desk: Arc<Desk>) {
    let service = service_fn(|request| {
        let desk = Arc::clone(&desk);
        async move { desk.answer(request).await }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // What went wrong with a connection is the caller's to know.
    let _ = tokio::time::timeout(CONNECTION, serving).await;
}

impl Desk {
    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, http::Error> {
        let (status, text) = match *request.method() {
            Method::POST => self.receive(request).await,
            _ => (
                StatusCode::METHOD_NOT_ALLOWED,
                "deliveries are POSTs".to_owned(),
            ),
        };
        Response::builder().status(status).body(Full::from(text))
    }

    async fn receive(&self, request: Request<Incoming>) -> (StatusCode, String) {
        let (parts, body) = request.into_parts();
        let received = match read(body, self.receiver.body_limit()).await {
            Ok(body) => {
                self.receiver
                    .receive(Request::from_parts(parts, body))
                    .await
            }
            Err(rejection) => Err(rejection),
        };
        let delivery = match received {
            Ok(delivery) => delivery,
            Err(rejection) => {
                self.printer.warn(&format!("refused: {rejection}"));
                return (rejection.status(), rejection.to_string());
            }
        };
        let id = delivery.request_id();
        match once(&self.handled, &delivery, || self.handle(&delivery)).await {
            Ok(Once::First(())) => (StatusCode::OK, String::new()),
            Ok(again) => {
                self.printer.say(&format!("{id}: delivered again"));
                (again.status(), String::new())
            }
            Err(OnceError::Handler(NotNow(why))) => {
                self.printer.warn(&format!(
                    "{id}: {why}; the delivery was asked to come again"
                ));
                (StatusCode::SERVICE_UNAVAILABLE, "later".to_owned())
            }
            Err(OnceError::Store(never)) => match never {},
        }
    }

    /// Notes what the delivery proves, and tells of it.
    async fn handle(&self, delivery: &Delivery) -> Result<(), NotNow> {
        let id = delivery.request_id();
        let purchase = self.notes.adopt(delivery).await?;
        let mut line = describe(delivery);
        let word = match &purchase {
            Purchase::Unknown => None,
            Purchase::Noted => Some("noted"),
            Purchase::Adopted => {
                line.push_str("; adopted, since the answer to its submit was lost");
                Some("adopted")
            }
            Purchase::Contradicted { .. } => Some("contradicted"),
        };
        let mut document = to_json(delivery);
        if let Some(fields) = document.as_object_mut() {
            fields.insert("purchase".to_owned(), json!(word));
        }
        self.printer.data(&document, &[line]);
        match purchase {
            Purchase::Adopted => {
                self.printer.say(&format!("{id}: collect it with: uso resume {id}"));
            }
            Purchase::Contradicted { noted_as } => self.printer.warn(&format!(
                "{id}: this purchase is noted as {noted_as}; it may have been bought twice: look in fal's dashboard, and collect this one with: uso result {id}"
            )),
            _ => {}
        }
        Ok(())
    }
}

async fn read(body: Incoming, limit: usize) -> Result<Bytes, Rejection> {
    let reading = Limited::new(body, limit).collect();
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Rejection::BodyTooLarge { limit }),
        _ => Err(Rejection::BodyUnreadable),
    }
}
