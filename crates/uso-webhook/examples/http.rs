//! A receiver for any server that speaks in `http` types: `cargo run -p uso-webhook --example http`.

use std::time::{Duration, UNIX_EPOCH};

use http::{Request, Response, StatusCode};
use uso_webhook::{Clock, KeySet, MemoryStore, Once, Receiver, Verifier, once};

/// What a server calls with a request whose body it has read, up to [`Receiver::body_limit`].
async fn hook(
    receiver: &Receiver,
    handled: &MemoryStore,
    request: Request<Vec<u8>>,
) -> Response<String> {
    let answer = |status: StatusCode, text: String| {
        let mut response = Response::new(text);
        *response.status_mut() = status;
        response
    };
    let notification = match receiver.receive(request).await {
        Ok(notification) => notification,
        Err(rejection) => return answer(rejection.status(), rejection.to_string()),
    };
    let keep = || async {
        println!("{}: kept", notification.request_id());
        Ok::<_, std::io::Error>(())
    };
    match once(handled, &notification, keep).await {
        Ok(Once::First(())) => answer(StatusCode::OK, "thank you".to_owned()),
        Ok(other) => answer(other.status(), String::new()),
        Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A notification that was signed with a key made for this purpose, at a time long past.
    let jwks = br#"{"keys":[{"x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}]}"#;
    let at = UNIX_EPOCH + Duration::from_secs(1_760_000_000);
    let receiver = Receiver::new(KeySet::from_jwks(jwks)?)
        .verifier(Verifier::new().clock(Clock::of(move || at)));
    let handled = MemoryStore::default();
    let notification = |body: &str| {
        Request::post("/hook")
            .header("X-Fal-Webhook-Request-Id", "3f1c9a52-7d0e-4c86-9a57-0f6b2f0c1d11")
            .header("X-Fal-Webhook-User-Id", "user-test-1")
            .header("X-Fal-Webhook-Timestamp", "1760000000")
            .header("X-Fal-Webhook-Signature", "76c59ee7afe605e0f9759be8854186971caa863ae59d89ec7accb7dd941dfa325ce2e44c4ea701c1d69584d324d3f1757ef96c3694f2b6bfa5344063531f3e0b")
            .body(body.as_bytes().to_vec())
    };
    let body = r#"{"request_id":"3f1c9a52-7d0e-4c86-9a57-0f6b2f0c1d11","gateway_request_id":"3f1c9a52-7d0e-4c86-9a57-0f6b2f0c1d11","status":"OK","payload":{"images":[],"seed":7,"has_nsfw_concepts":[],"prompt":"","timings":{}}}"#;
    for body in [body, body, "{}"] {
        let answer = hook(&receiver, &handled, notification(body)?).await;
        println!("{} {}", answer.status(), answer.body());
    }
    Ok(())
}
