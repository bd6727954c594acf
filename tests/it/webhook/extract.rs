//! The axum extractor: statuses, and bodies that are refused while they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::{FromRequest as _, Request};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use uso::webhook::{KeySet, Notification, Receiver, Rejection, Verifier};

use super::{clock_at, vector};

fn receiver(limit: usize) -> Receiver {
    let keys = KeySet::from_jwks(vector::JWKS.as_bytes()).unwrap();
    let verifier = Verifier::new().clock(clock_at(1_760_000_000));
    Receiver::new(keys).verifier(verifier.max_body(limit))
}

fn request(body: impl Into<Body>) -> Request {
    let mut request = Request::post("/hooks/an-attempt?a=b");
    for (name, value) in vector::HEADERS {
        request = request.header(name, value);
    }
    request.body(body.into()).unwrap()
}

async fn extract(request: Request) -> Result<Notification, Rejection> {
    Notification::from_request(request, &receiver(1 << 20)).await
}

#[tokio::test]
async fn a_verified_notification_keeps_its_path_and_raw_body() {
    let notification = extract(request(vector::BODY)).await.unwrap();
    assert_eq!(notification.raw_body(), vector::BODY);
    assert_eq!(notification.attempt_id(), Some("an-attempt"));
}

#[tokio::test]
async fn each_refusal_has_its_status() {
    let mut unsigned = request(vector::BODY);
    unsigned.headers_mut().remove("x-fal-webhook-signature");
    let broken = stream::iter([
        Ok(Bytes::from_static(b"{")),
        Err(std::io::Error::other("the line broke")),
    ]);
    for (request, status) in [
        (request("{}"), StatusCode::UNAUTHORIZED),
        (unsigned, StatusCode::BAD_REQUEST),
        (request(Body::from_stream(broken)), StatusCode::BAD_REQUEST),
        (request("x".repeat(2 << 20)), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let rejection = extract(request).await.unwrap_err();
        assert_eq!(rejection.status(), status, "{rejection}");
        assert_eq!(rejection.into_response().status(), status);
    }
}

#[tokio::test]
async fn an_oversized_body_is_refused_without_being_held() {
    const PIECE: usize = 64 << 10;
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    // A body without end: to read it whole would never return.
    let endless = stream::repeat_with(move || {
        counter.fetch_add(PIECE, Ordering::SeqCst);
        Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; PIECE]))
    });
    let rejection = extract(request(Body::from_stream(endless))).await;
    let limit = 1 << 20;
    assert_eq!(rejection.unwrap_err(), Rejection::BodyTooLarge { limit });
    assert!(read.load(Ordering::SeqCst) <= limit + PIECE);
}

#[tokio::test]
async fn a_body_is_not_waited_for_when_its_headers_are_no_notifications() {
    let mut old = request(Body::from_stream(stream::pending::<
        Result<Bytes, std::io::Error>,
    >()));
    old.headers_mut()
        .insert("x-fal-webhook-timestamp", "1000".parse().unwrap());
    let rejection = extract(old).await.unwrap_err();
    assert_eq!(rejection.as_str(), "too_old");
}
