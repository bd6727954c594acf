//! Properties of every parser of foreign bytes: no input makes one panic, hang, buy twice or repeat
//! the key.
//!
//! Each function takes any bytes. The fuzz targets in `fuzz` search for bytes that break a property;
//! the test suite calls the same functions with random bytes and with the corpus that is kept.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a property that fails panics"
)]

mod service;

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use uso::webhook::{KeySet, Rejection, Verifier};
use uso::{ErrorKind, Reference, Request};
use uso_emulator::Scenario;
use uso_proxy::{Caller, PROXY_PATH, Proxy, Settings, SharedTokens};
use uso_transport::Transport;

use service::{KEY, Service};

/// A property: holds for any bytes, or panics.
pub type Property = fn(&[u8]);

/// The properties, by the names of their fuzz targets.
pub const ALL: [(&str, Property); 11] = [
    ("status", status),
    ("result", result),
    ("error_body", error_body),
    ("event_stream", event_stream),
    ("listing", listing),
    ("webhook", webhook),
    ("notification", notification),
    ("key_set", key_set),
    ("scenario", scenario),
    ("proxy", proxy),
    ("picture", picture),
];

/// The body of a status response.
pub fn status(body: &[u8]) {
    run(async {
        let service = Service::start(200, "application/json", body).await;
        let outcome = service.job().status().await;
        check(outcome.as_ref().err());
    });
}

/// The body of a result: what decodes has a picture.
pub fn result(body: &[u8]) {
    run(async {
        let service = Service::start(200, "application/json", body).await;
        let outcome = service.job().output().await;
        check(outcome.as_ref().err());
        if let Ok(output) = outcome {
            assert!(!output.images().is_empty(), "an output has a picture");
            assert_eq!(output.raw_body(), body);
        }
    });
}

/// The body of an error, after its status in two bytes: a submit is sent once, unless the service
/// provably refused the submit.
pub fn error_body(bytes: &[u8]) {
    let Some((head, body)) = bytes.split_at_checked(2) else {
        return;
    };
    let status = 200 + u16::from_le_bytes([head[0], head[1]]) % 400;
    run(async {
        let service = Service::start(status, "application/json", body).await;
        let request = Request::subject("https://example.org/a.png", "x");
        let outcome = service.client.submit(request).await;
        check(outcome.as_ref().err());
        let submits = service.submits();
        assert!(
            submits == 1 || status == 429,
            "{submits} submits after HTTP {status}"
        );
        if let Err(error) = &outcome {
            let is_lost = error.kind() == ErrorKind::OutcomeUnknown && error.intent().is_none();
            assert!(!is_lost, "a purchase of unknown outcome can be found again");
        }
    });
}

/// The body of a status stream.
pub fn event_stream(body: &[u8]) {
    run(async {
        let service = Service::start(200, "text/event-stream", body).await;
        let job = service.job();
        let mut events = job.events();
        while let Some(event) = events.next().await {
            check(event.as_ref().err());
        }
    });
}

/// The body of the account's list of requests.
pub fn listing(body: &[u8]) {
    run(async {
        let service = Service::start(200, "application/json", body).await;
        let request = Request::subject("https://example.org/a.png", "x");
        let prepared = service
            .client
            .prepare(request)
            .await
            .expect("nothing is sent");
        let found = service.client.recover(prepared.order().intent()).await;
        check(found.as_ref().err());
    });
}

/// A notification: header lines, an empty line, the body. Without the key of the service no bytes
/// are genuine.
pub fn webhook(bytes: &[u8]) {
    let blank = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = bytes.split_at(blank.unwrap_or(bytes.len()));
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = HeaderName::from_bytes(parts.next().unwrap_or_default());
        let value = HeaderValue::from_bytes(parts.next().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let keys =
        KeySet::from_jwks(br#"{"keys":[{"x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}]}"#);
    let keys = keys.expect("the documented key");
    let outcome = Verifier::new().verify(&keys, &headers, body.to_vec());
    let rejection = outcome.expect_err("a forged notification is refused");
    plain(&rejection.to_string());
}

/// The body of a notification with a valid signature: whatever becomes of the body, its words are
/// plain.
pub fn notification(body: &[u8]) {
    const ID: &str = "3f1c9a52-7d0e-4c86-9a57-0f6b2f0c1d11";
    let signer = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed of 32 bytes");
    let public = BASE64_URL_SAFE_NO_PAD.encode(signer.public_key());
    let keys = KeySet::from_jwks(format!(r#"{{"keys":[{{"x":"{public}"}}]}}"#).as_bytes());
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("a time after 1970").as_secs().to_string();
    let digest = hex(digest(&SHA256, body).as_ref());
    let message = [ID, "github|1", &now, &digest].join("\n");
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("request-id", ID),
        ("user-id", "github|1"),
        ("timestamp", &now),
        ("signature", &hex(signer.sign(message.as_bytes()).as_ref())),
    ] {
        let name = HeaderName::try_from(format!("x-fal-webhook-{name}")).expect("a header name");
        headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
    }
    let keys = keys.expect("a key set");
    match Verifier::new().verify(&keys, &headers, body.to_vec()) {
        Ok(notification) => {
            assert_eq!(notification.request_id(), ID);
            assert_eq!(notification.raw_body(), body);
            plain(&format!("{notification:?}"));
            if let Err(error) = notification.output() {
                plain(&error.to_string());
            }
        }
        Err(rejection) => {
            assert!(
                !matches!(rejection, Rejection::NoKeyFits),
                "the signature is genuine"
            );
            plain(&rejection.to_string());
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key set of the service.
pub fn key_set(bytes: &[u8]) {
    match KeySet::from_jwks(bytes) {
        Ok(keys) => assert!(keys.len() > 0, "a key set has a key"),
        Err(error) => plain(&error.to_string()),
    }
}

/// A scenario file of the emulator.
pub fn scenario(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Err(error) = Scenario::from_json(text) {
        plain(&error.to_string());
    }
}

/// A local picture: what is accepted is a picture that decodes, within the service's bounds.
pub fn picture(bytes: &[u8]) {
    run(async {
        let service = Service::start(503, "application/json", b"").await;
        let request = Request::subject(Reference::bytes(bytes.to_vec()), "x");
        let prepared = service.client.prepare(request).await;
        check(prepared.as_ref().err());
    });
}

/// A call of the proxy: the target on the first line, then the body. The proxy forwards to its own
/// endpoint alone, sends no submit twice, and keeps the caller's token to itself.
pub fn proxy(bytes: &[u8]) {
    const TOKEN: &str = "a-caller's-token-0123456789";
    let line = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    let (target, body) = bytes.split_at(line);
    if HeaderValue::from_bytes(target).is_err() {
        return;
    }
    run(async {
        let service = Service::start(200, "application/json", b"{\"request_id\":\"a1\"}").await;
        let tokens = SharedTokens::new([TOKEN]).expect("a token");
        let transport = Transport::new(service.config()).expect("a transport");
        let caller = |_: HeaderMap| std::future::ready(Some(Caller::new("alice")));
        let proxy = Proxy::new(transport, Settings::new(), caller);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let router = uso_proxy::stand_alone(&proxy, &tokens);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
            let _ = stopped.await;
        });
        let serving = tokio::spawn(serving.into_future());

        let mut call = format!(
            "POST {PROXY_PATH} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\
             x-fal-target-url: ",
            body.len()
        )
        .into_bytes();
        call.extend_from_slice(target);
        call.extend_from_slice(b"\r\n\r\n");
        call.extend_from_slice(body);
        let mut stream = TcpStream::connect(address)
            .await
            .expect("the proxy listens");
        stream.write_all(&call).await.expect("the proxy reads");
        let mut response = Vec::new();
        // The proxy may close a connection whose request it cannot read.
        let _ = stream.read_to_end(&mut response).await;
        let _ = stop.send(());
        serving
            .await
            .expect("the server ends")
            .expect("the server serves");
        proxy.close().await;

        let heads = service.heads();
        assert!(service.submits() <= 1, "{heads:?}");
        for head in &heads {
            let path = head.split(' ').nth(1).unwrap_or_default();
            assert!(path.contains("/fal-ai/uso"), "the proxy called {path}");
            assert!(
                !head.contains(&TOKEN.to_lowercase()),
                "the caller's token was sent on"
            );
        }
        let response = String::from_utf8_lossy(&response);
        assert!(
            !KEY.split(':').any(|part| response.contains(part)),
            "{response}"
        );
    });
}

/// Fails if a message has control characters or more than one line.
fn plain(message: &str) {
    let odd = message.chars().find(|c| c.is_control());
    assert!(odd.is_none(), "{message:?} has a control character");
}

fn check(error: Option<&uso::Error>) {
    let Some(error) = error else { return };
    plain(&error.to_string());
    let mut all = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        write!(all, " {cause} {cause:?}").expect("a text takes more text");
        source = cause.source();
    }
    for part in KEY.split(':') {
        assert!(!all.contains(part), "the key is in {all}");
    }
}

fn run(property: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime: Runtime = builder.enable_all().build().expect("a runtime starts");
    runtime.block_on(property);
}
