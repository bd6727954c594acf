//! Where the public keys come from: fetched without the API key, kept, and replaced in time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use http::{HeaderMap, StatusCode};
use uso::webhook::{FalKeys, KeySource as _, Rejection};
use uso::{Config, ErrorKind};
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Rig, config_for};

use super::{Scene, receiver, vector};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// A scene whose results are kept for a month, so that they can be announced again and again.
async fn scene(scenario: Scenario) -> (Scene, String) {
    let builder = Rig::plain_builder()
        .scenario(scenario)
        .payload_storage(HOUR * 24 * 30);
    let mut scene = Scene::of(builder).await;
    let job = scene.submit().await;
    scene.hook.next().await;
    scene.attempts(1).await;
    (scene, job.ticket().request_id().to_owned())
}

/// Announces the request again, and says what the receiver makes of it.
async fn again(scene: &mut Scene, id: &str) -> Result<(), Rejection> {
    let ended = scene.emulator().webhook_attempts().len();
    assert!(scene.emulator().resend_webhook(id));
    let outcome = scene.notification().await.map(drop);
    scene.attempts(ended + 1).await;
    outcome
}

fn fetched(scene: &Scene) -> usize {
    let operations = scene.rig.operations();
    operations.iter().filter(|seen| *seen == "jwks").count()
}

/// Waits for the fetches in the background.
async fn fetches(scene: &Scene, count: usize) {
    let ended = || {
        let requests = scene.emulator().requests();
        let fetches = requests
            .iter()
            .filter(|request| request.operation == "jwks");
        fetches.filter(|request| request.status.is_some()).count()
    };
    let all = async {
        while ended() < count {
            tokio::task::yield_now().await;
        }
        // The answer is on its way to the one who fetches.
        for _ in 0..500 {
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, all).await.unwrap();
    assert_eq!(ended(), count);
}

#[tokio::test]
async fn a_caller_that_hangs_up_uses_up_no_fetch() {
    let minute = Fault::Delay(MINUTE);
    let scenario = Scenario::new().on(Operation::Jwks, minute).after(1);
    let (scene, _) = scene(scenario).await;
    let keys = FalKeys::new(scene.rig.client.config()).unwrap();
    let old = keys.keys().await.unwrap();
    scene.emulator().rotate_webhook_key().unwrap();
    scene.emulator().rotate_webhook_key().unwrap();
    let asked = async {
        while fetched(&scene) < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = keys.newer(&old) => panic!("the answer is held back"),
        () = asked => {}
    }
    scene.emulator().advance(MINUTE);
    assert!(keys.newer(&old).await.is_some(), "the fetch went on");
    assert_eq!(fetched(&scene), 2);
}

#[tokio::test]
async fn public_keys_are_fetched_once_and_without_the_api_key() {
    let seen: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let answer = move |headers: HeaderMap, uri: http::Uri| async move {
        kept.lock().unwrap().push(headers);
        let known = uri.path() == "/rest/.well-known/jwks.json";
        match known {
            true => (StatusCode::OK, vector::JWKS),
            false => (StatusCode::NOT_FOUND, ""),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });

    let keys = FalKeys::new(&config_for(&origin).unwrap()).unwrap();
    for _ in 0..3 {
        assert_eq!(keys.keys().await.unwrap().len(), 1);
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    assert!(!seen[0].contains_key("authorization"), "{:?}", seen[0]);
    let shown = format!("{:?} {:?}", seen[0], keys);
    assert!(!shown.contains("test-secret"));
}

#[tokio::test]
async fn a_rotated_key_set_is_fetched_and_a_retired_key_is_refused() {
    let (mut scene, id) = scene(Scenario::new()).await;
    again(&mut scene, &id).await.unwrap();
    again(&mut scene, &id).await.unwrap();
    assert_eq!(fetched(&scene), 1);

    scene.emulator().rotate_webhook_key().unwrap();
    again(&mut scene, &id).await.unwrap();
    assert_eq!(
        fetched(&scene),
        2,
        "no key fitted, and they were fetched anew"
    );
    again(&mut scene, &id).await.unwrap();
    assert_eq!(fetched(&scene), 2);
}

#[tokio::test]
async fn wrong_signatures_make_it_fetch_once_a_minute_at_the_most() {
    let retired = Scenario::new().on(Operation::Webhook, Fault::RetiredKey);
    let (mut scene, id) = scene(retired.after(2).always()).await;
    again(&mut scene, &id).await.unwrap();
    assert_eq!(fetched(&scene), 1);
    scene.emulator().rotate_webhook_key().unwrap();
    // The retired key is the one that is still kept here, until something does not fit it.
    again(&mut scene, &id).await.unwrap();
    scene.emulator().rotate_webhook_key().unwrap();
    for _ in 0..3 {
        assert_eq!(again(&mut scene, &id).await, Err(Rejection::NoKeyFits));
        assert_eq!(fetched(&scene), 2);
    }
    scene.emulator().advance(MINUTE);
    assert_eq!(again(&mut scene, &id).await, Err(Rejection::NoKeyFits));
    assert_eq!(fetched(&scene), 3);
}

#[tokio::test]
async fn while_the_source_is_down_the_keys_are_kept_for_a_day() {
    let down = Fault::Status(503);
    let scenario = Scenario::new().on(Operation::Jwks, down).after(1).times(3);
    let (mut scene, id) = scene(scenario).await;
    again(&mut scene, &id).await.unwrap();
    assert_eq!(fetched(&scene), 1);
    scene.emulator().advance(HOUR * 5);
    again(&mut scene, &id).await.unwrap();
    assert_eq!(fetched(&scene), 1, "they are fresh");
    scene.emulator().advance(HOUR * 2);
    again(&mut scene, &id).await.unwrap();
    fetches(&scene, 2).await;
    scene.emulator().advance(HOUR * 16);
    again(&mut scene, &id).await.unwrap();
    fetches(&scene, 3).await;
    scene.emulator().advance(HOUR);
    let refused = again(&mut scene, &id).await.unwrap_err();
    assert_eq!(refused.as_str(), "keys_unavailable", "{refused}");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(fetched(&scene), 4);
    let refused = again(&mut scene, &id).await.unwrap_err();
    assert_eq!(refused.as_str(), "keys_unavailable");
    assert_eq!(fetched(&scene), 4, "it was tried a moment ago");
    scene.emulator().advance(MINUTE);
    again(&mut scene, &id).await.unwrap();
    assert_eq!(fetched(&scene), 5);
}

#[tokio::test]
async fn a_response_that_is_no_key_set_is_reported_and_replaces_nothing() {
    let scenario = Scenario::new().on(Operation::Jwks, Fault::Body(r#"{"keys":[]}"#.to_owned()));
    let (mut scene, id) = scene(scenario.after(1).always()).await;
    again(&mut scene, &id).await.unwrap();
    scene.emulator().advance(HOUR * 7);
    again(&mut scene, &id).await.unwrap();
    fetches(&scene, 2).await;
    // A receiver that has none yet.
    scene.receiver = receiver(&scene.rig);
    let refused = again(&mut scene, &id).await.unwrap_err();
    assert!(
        refused.to_string().contains("no usable Ed25519 key"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_address_without_https_is_refused() {
    let config = Config::keyless(uso::BaseUrls::fal().unwrap());
    for url in ["http://example.org/jwks.json", "ftp://127.0.0.1/", "jwks"] {
        let keys = FalKeys::at(&config, url).unwrap();
        let error = keys.fetch().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error}");
    }
}

#[tokio::test]
async fn a_client_without_a_key_is_refused_by_the_service_and_not_by_us() {
    let rig = Rig::plain().await;
    let config = Config::keyless(uso::BaseUrls::single_origin(&rig.emulator.origin()).unwrap());
    let client = uso::Client::new(config).unwrap();
    let request = uso::Request::subject("https://example.org/a.png", "x");
    let error = client.submit(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(rig.emulator.ledger().purchases().is_empty());
}
