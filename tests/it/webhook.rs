//! Webhooks: what fal signs, who may believe it, and what it proves.

mod adopt;
mod cli;
mod deliver;
mod extract;
mod keys;
mod node;
mod once;
mod verify;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::http::StatusCode;
use bytes::Bytes;
use http::Request;
use tokio::sync::mpsc;
use uso::webhook::{Clock, FalKeys, Notification, Receiver, Rejection, Verifier};
use uso_emulator::{Emulator, EmulatorBuilder, Scenario, WebhookAttempt};
use uso_tests::rig::{Rig, config_for, until};

/// The parts of the notification that the documentation of the service's protocol signs by hand.
mod vector {
    pub(super) const JWKS: &str =
        r#"{"keys":[{"x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}]}"#;
    pub(super) const REQUEST_ID: &str = "3f1c9a52-7d0e-4c86-9a57-0f6b2f0c1d11";
    pub(super) const USER_ID: &str = "user-test-1";
    pub(super) const TIMESTAMP: &str = "1760000000";
    pub(super) const SIGNATURE: &str = "76c59ee7afe605e0f9759be8854186971caa863ae59d89ec7accb7dd941dfa325ce2e44c4ea701c1d69584d324d3f1757ef96c3694f2b6bfa5344063531f3e0b";
    pub(super) const BODY: &str = r#"{"request_id":"3f1c9a52-7d0e-4c86-9a57-0f6b2f0c1d11","gateway_request_id":"3f1c9a52-7d0e-4c86-9a57-0f6b2f0c1d11","status":"OK","payload":{"images":[],"seed":7,"has_nsfw_concepts":[],"prompt":"","timings":{}}}"#;

    /// The header names in the order of the signed lines, the signature last.
    pub(super) const HEADERS: [(&str, &str); 4] = [
        ("x-fal-webhook-request-id", REQUEST_ID),
        ("x-fal-webhook-user-id", USER_ID),
        ("x-fal-webhook-timestamp", TIMESTAMP),
        ("x-fal-webhook-signature", SIGNATURE),
    ];
}

/// A clock that stands still at this many seconds since 1970.
fn clock_at(seconds: u64) -> Clock {
    Clock::of(move || std::time::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// A server that keeps what it gets, and answers as it is told: 200 when nothing is left.
pub(crate) struct Hook {
    pub(crate) url: String,
    received: mpsc::UnboundedReceiver<Request<Bytes>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

/// An answer that never comes.
const NEVER: u16 = 0;

impl Hook {
    pub(crate) async fn start() -> Self {
        let (sender, received) = mpsc::unbounded_channel();
        let answers: Arc<Mutex<VecDeque<u16>>> = Arc::default();
        let next = Arc::clone(&answers);
        let take = move |request: axum::extract::Request| async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let status = next.lock().unwrap().pop_front().unwrap_or(200);
            let _ = sender.send(Request::from_parts(parts, body));
            if status == NEVER {
                std::future::pending::<()>().await;
            }
            StatusCode::from_u16(status).unwrap()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?tenant=7", listener.local_addr().unwrap());
        tokio::spawn(async move {
            axum::serve(listener, Router::new().fallback(take))
                .await
                .unwrap();
        });
        Self {
            url,
            received,
            answers,
        }
    }

    /// These answers come first.
    fn answer(&self, statuses: impl IntoIterator<Item = u16>) {
        self.answers.lock().unwrap().extend(statuses);
    }

    pub(crate) async fn next(&mut self) -> Request<Bytes> {
        let next = tokio::time::timeout(Duration::from_secs(30), self.received.recv());
        next.await.expect("a notification comes").unwrap()
    }

    fn is_empty(&mut self) -> bool {
        self.received.try_recv().is_err()
    }
}

/// An emulator with a client, a hook that it calls, and a receiver by the emulator's own clock.
struct Scene {
    rig: Arc<Rig>,
    hook: Hook,
    receiver: Receiver,
}

impl Scene {
    async fn new(scenario: Scenario) -> Self {
        Self::of(Rig::plain_builder().scenario(scenario)).await
    }

    async fn of(builder: EmulatorBuilder) -> Self {
        Self::configured(builder, |config| config).await
    }

    async fn configured(
        builder: EmulatorBuilder,
        configure: impl FnOnce(uso::Config) -> uso::Config,
    ) -> Self {
        let rig = Arc::new(Rig::configured(builder, configure).await);
        Self {
            hook: Hook::start().await,
            receiver: receiver(&rig),
            rig,
        }
    }

    fn emulator(&self) -> &Emulator {
        &self.rig.emulator
    }

    fn request(&self) -> uso::Request {
        let request = uso::Request::subject("https://example.org/a.png", "x");
        request.seed(7).webhook(&self.hook.url)
    }

    async fn submit(&self) -> uso::Job {
        self.rig.client.submit(self.request()).await.unwrap()
    }

    /// The next notification, verified.
    async fn notification(&mut self) -> Result<Notification, Rejection> {
        let request = self.hook.next().await;
        self.receiver.receive(request).await
    }

    /// How many attempts about a job have ended, once one about a later job has: an attempt that
    /// was due would have ended before it.
    async fn attempts_of(&self, id: &str) -> usize {
        let later = self.submit().await;
        let of = |id: &str| {
            let attempts = self.emulator().webhook_attempts();
            attempts
                .iter()
                .filter(|attempt| attempt.request_id == id)
                .count()
        };
        until("an attempt about the later job", || {
            of(later.ticket().request_id()) > 0
        })
        .await;
        of(id)
    }

    /// The attempts that have ended, once there are this many.
    async fn attempts(&self, count: usize) -> Vec<WebhookAttempt> {
        let attempts = || self.emulator().webhook_attempts();
        until(&format!("{count} attempts"), || attempts().len() >= count).await;
        attempts()
    }
}

fn clock(rig: &Arc<Rig>) -> Clock {
    let rig = Arc::clone(rig);
    Clock::of(move || rig.emulator.now())
}

fn receiver(rig: &Arc<Rig>) -> Receiver {
    let config = config_for(&rig.emulator.origin()).unwrap();
    let keys = FalKeys::with_clock(&config, clock(rig)).unwrap();
    Receiver::new(keys).verifier(Verifier::new().clock(clock(rig)))
}
