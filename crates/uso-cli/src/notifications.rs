//! Receiver of notifications: verifies each one, and gives it to the journal.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::net::TcpListener;
use uso::Config;
use uso::webhook::{
    FalKeys, KeySource as _, MemoryStore, Notification, Once, OnceError, Receiver, Rejection,
    Verifier, once,
};
use uso_journal::{Journal, Notified, Purchase};

use crate::failure::Failure;
use crate::serve::{Limits, listen, serve};

/// The longest wait for the head of a request, and again for its body. fal waits 15 s for a
/// response.
const WITHIN: Duration = Duration::from_secs(10);

/// Connections at once. No head proves a notification, so all of them are unproven, and each may
/// hold a body in memory.
const CONNECTIONS: usize = 128;

/// The largest body: the command never asks for pictures inside the result.
const MAX_BODY: usize = 1 << 20;

/// Is told what the receiver does.
pub(crate) trait Audience: Send + Sync + 'static {
    /// A notification was refused or cannot be handled now, or the keys are missing.
    fn warn(&self, message: &str);

    /// A notification came again that was handled already.
    fn repeated(&self, request_id: &str);

    /// A notification is in the journal. An error makes fal send it again.
    fn recorded(&self, notification: &Notification, notified: &Notified) -> Result<(), Failure>;
}

/// A receiver that listens and does not serve yet.
pub(crate) struct Notifications {
    listener: TcpListener,
    keys: FalKeys,
}

impl Notifications {
    pub(crate) fn listen(config: &Config, address: SocketAddr) -> Result<Self, Failure> {
        let keys = FalKeys::new(config)?;
        let listener = listen(address).map_err(|error| Failure::cannot_listen(address, &error))?;
        Ok(Self { listener, keys })
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Receives until `stop`.
    pub(crate) async fn receive(
        self,
        journal: Journal,
        audience: impl Audience,
        stop: impl Future<Output = ()>,
    ) {
        let verifier = Verifier::new().max_body(MAX_BODY);
        let desk = Arc::new(Desk {
            receiver: Receiver::new(self.keys.clone()).verifier(verifier),
            handled: MemoryStore::default(),
            journal,
            audience,
        });
        let early = async {
            if let Err(error) = self.keys.keys().await {
                desk.audience.warn(&format!(
                    "the public keys are not available yet: {error}; they are fetched again when a notification comes"
                ));
            }
            std::future::pending::<()>().await;
        };
        let stop = async {
            tokio::select! {
                () = early => {}
                () = stop => {}
            }
        };
        let handler = Arc::clone(&desk);
        let router = Router::new().fallback(move |request| {
            let desk = Arc::clone(&handler);
            async move { desk.respond(request).await }
        });
        let limits = Limits {
            unproven: CONNECTIONS,
            head_within: WITHIN,
            read_within: WITHIN,
            ..Limits::default()
        };
        serve(self.listener, router, limits, |_| false, stop).await;
    }
}

/// What it means that a purchase is recorded with another request id than a notification has.
pub(crate) fn contradiction(purchase: &Purchase, id: &str) -> String {
    format!(
        "this purchase is recorded as {}; it may have been bought twice: look in fal's dashboard, and collect this picture with: uso result {id}",
        purchase.request_id().unwrap_or("another request")
    )
}

/// Why a notification cannot be handled for the moment.
struct NotNow(String);

/// Handler of notifications.
struct Desk<A> {
    receiver: Receiver,
    handled: MemoryStore,
    journal: Journal,
    audience: A,
}

impl<A: Audience> Desk<A> {
    async fn respond(&self, request: Request<Body>) -> (StatusCode, String) {
        if *request.method() != Method::POST {
            let text = "notifications are sent with POST";
            return (StatusCode::METHOD_NOT_ALLOWED, text.to_owned());
        }
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
                self.audience.warn(&format!("refused: {rejection}"));
                return (rejection.status(), rejection.to_string());
            }
        };
        let id = notification.request_id();
        match once(&self.handled, &notification, || self.handle(&notification)).await {
            Ok(Once::First(())) => (StatusCode::OK, String::new()),
            Ok(again) => {
                self.audience.repeated(id);
                (again.status(), String::new())
            }
            Err(OnceError::Handler(NotNow(why))) => {
                self.audience.warn(&format!(
                    "{id}: {why}; fal is asked to send the notification again"
                ));
                (StatusCode::SERVICE_UNAVAILABLE, "later".to_owned())
            }
            Err(OnceError::Store(never)) => match never {},
        }
    }

    /// Records the purchase that the notification proves.
    async fn handle(&self, notification: &Notification) -> Result<(), NotNow> {
        let delivered = self.journal.deliver(notification).await;
        let notified = delivered.map_err(|error| NotNow(Failure::from(error).chain()))?;
        let recorded = self.audience.recorded(notification, &notified);
        recorded.map_err(|failure| NotNow(failure.chain()))
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
