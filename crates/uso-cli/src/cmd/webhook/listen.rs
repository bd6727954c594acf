//! `uso webhook listen`: receives notifications until Ctrl-C.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::json;
use uso::Config;
use uso::webhook::{
    FalKeys, KeySource as _, MemoryStore, Notification, Once, OnceError, Receiver, Rejection,
    Verifier, once,
};
use uso_journal::{Journal, Notified};

use super::describe::{describe, to_json};
use crate::args::{Global, ListenArgs};
use crate::connection::base_urls;
use crate::failure::Failure;
use crate::journal;
use crate::printer::Printer;
use crate::serve::{Limits, listen, serve};
use crate::signals::Signals;

/// The longest wait for the head of a request, and again for its body. fal waits 15 s for a
/// response.
const WITHIN: Duration = Duration::from_secs(10);

/// Connections at once. No head proves a notification, so all of them are unproven, and each may
/// hold a body in memory.
const CONNECTIONS: usize = 128;

/// The largest body: the command never asks for pictures inside the result.
const MAX_BODY: usize = 1 << 20;

/// Why a notification cannot be handled for the moment.
struct NotNow(String);

/// Handler of notifications.
struct Desk {
    receiver: Receiver,
    handled: MemoryStore,
    journal: Journal,
    printer: Printer,
}

pub(super) async fn run(
    global: &Global,
    args: &ListenArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let config = Config::keyless(base_urls(global)?);
    let keys = FalKeys::new(&config)?;
    let journal = journal::connect(global).await?;
    let desk = Arc::new(Desk {
        receiver: Receiver::new(keys.clone()).verifier(Verifier::new().max_body(MAX_BODY)),
        handled: MemoryStore::default(),
        journal,
        printer: *printer,
    });
    let mut signals = Signals::listen().map_err(|error| Failure::other(error.to_string()))?;
    let listener = listen(args.listen).map_err(|error| {
        Failure::other(format!("cannot listen on {}: {error}", args.listen))
            .with_hint("give another address with --listen")
    })?;
    let address = listener.local_addr().unwrap_or(args.listen);
    printer.say(&format!(
        "listening on http://{address}/ for notifications to --webhook, at any path; Ctrl-C stops it"
    ));
    let router = Router::new().fallback(move |request| {
        let desk = Arc::clone(&desk);
        async move { desk.respond(request).await }
    });
    let limits = Limits {
        unproven: CONNECTIONS,
        head_within: WITHIN,
        read_within: WITHIN,
        ..Limits::default()
    };
    let early = async {
        if let Err(error) = keys.keys().await {
            printer.warn(&format!(
                "the public keys are not available yet: {error}; they are fetched again when a notification comes"
            ));
        }
        std::future::pending::<()>().await;
    };
    let stop = async {
        tokio::select! {
            () = early => {}
            _ = signals.next() => {}
        }
    };
    serve(listener, router, limits, |_| false, stop).await;
    Ok(ExitCode::SUCCESS)
}

impl Desk {
    async fn respond(&self, request: Request<Body>) -> (StatusCode, String) {
        if *request.method() != Method::POST {
            let text = "notifications are sent with POST";
            return (StatusCode::METHOD_NOT_ALLOWED, text.to_owned());
        }
        self.receive(request).await
    }

    async fn receive(&self, request: Request<Body>) -> (StatusCode, String) {
        let (parts, body) = request.into_parts();
        let received = match read(body, self.receiver.body_limit()).await {
            Ok(body) => {
                self.receiver
                    .receive(Request::from_parts(parts, body))
                    .await
            }
            Err(rejection) => Err(rejection),
        };
        let notification = match received {
            Ok(notification) => notification,
            Err(rejection) => {
                self.printer.warn(&format!("refused: {rejection}"));
                return (rejection.status(), rejection.to_string());
            }
        };
        let id = notification.request_id();
        match once(&self.handled, &notification, || self.handle(&notification)).await {
            Ok(Once::First(())) => (StatusCode::OK, String::new()),
            Ok(again) => {
                self.printer
                    .say(&format!("{id}: a repeated notification, handled already"));
                (again.status(), String::new())
            }
            Err(OnceError::Handler(NotNow(why))) => {
                self.printer.warn(&format!(
                    "{id}: {why}; fal is asked to send the notification again"
                ));
                (StatusCode::SERVICE_UNAVAILABLE, "later".to_owned())
            }
            Err(OnceError::Store(never)) => match never {},
        }
    }

    /// Records the purchase that the notification proves, and prints the notification.
    async fn handle(&self, notification: &Notification) -> Result<(), NotNow> {
        let id = notification.request_id();
        let delivered = self.journal.deliver(notification).await;
        let notified = delivered.map_err(|error| NotNow(Failure::from(error).chain()))?;
        let mut line = describe(notification);
        let word = match &notified {
            Notified::Known(_) => Some("recorded"),
            Notified::Adopted(_) => {
                line.push_str("; adopted, since the response to its submit was lost");
                Some("adopted")
            }
            Notified::Contradicts(_) => Some("contradicted"),
            _ => None,
        };
        let mut document = to_json(notification);
        if let Some(fields) = document.as_object_mut() {
            fields.insert("purchase".to_owned(), json!(word));
            let job = notified.purchase().map(|purchase| purchase.id);
            fields.insert("job".to_owned(), json!(job));
        }
        if let Err(failure) = self.printer.data(&document, &[line]) {
            return Err(NotNow(failure.chain()));
        }
        match notified {
            Notified::Adopted(_) => {
                self.printer.say(&format!("{id}: collect it with: uso resume {id}"));
            }
            Notified::Contradicts(purchase) => self.printer.warn(&format!(
                "{id}: this purchase is recorded as {}; it may have been bought twice: look in fal's dashboard, and collect this picture with: uso result {id}",
                purchase.request_id().unwrap_or("another request")
            )),
            _ => {}
        }
        Ok(())
    }
}

async fn read(body: Body, limit: usize) -> Result<Bytes, Rejection> {
    let reading = Limited::new(body, limit).collect();
    match tokio::time::timeout(WITHIN, reading).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Rejection::BodyTooLarge { limit }),
        _ => Err(Rejection::BodyUnreadable),
    }
}
