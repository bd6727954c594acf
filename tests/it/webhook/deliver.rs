//! The emulator's notifications: their shape, their patience, and how they go wrong.

use std::time::Duration;

use serde_json::{Value, json};
use uso::webhook::{NoOutput, NotificationStatus, Rejection};
use uso_emulator::{AttemptOutcome, Fault, OddResult, Operation, Scenario, WebhookPolicy};
use uso_tests::rig::Rig;

use super::{NEVER, Scene};

fn on(fault: Fault) -> Scenario {
    Scenario::new().on(Operation::Webhook, fault)
}

#[tokio::test]
async fn a_success_is_announced_once_with_the_whole_output() {
    let mut scene = Scene::new(Scenario::new()).await;
    let job = scene.submit().await;
    let notification = scene.notification().await.unwrap();
    let output = scene.rig.client.output_of(&notification).unwrap();
    assert_eq!(output.request_id(), Some(notification.request_id()));
    assert!(!output.images()[0].bytes().await.unwrap().is_empty());
    assert_eq!(notification.request_id(), job.ticket().request_id());
    assert_eq!(notification.user_id(), "user-test-id");
    assert_eq!(*notification.status(), NotificationStatus::Ok);
    assert_eq!(
        notification.gateway_request_id(),
        Some(notification.request_id())
    );
    let output = notification.output().unwrap();
    assert_eq!(output.seed, Some(7));
    let fetched = job.wait().await.unwrap();
    let url = fetched.images()[0].url();
    assert_eq!(output.images.unwrap()[0].url, url);
    let attempts = scene.attempts(1).await;
    assert_eq!(attempts[0].outcome, AttemptOutcome::Answered(200));
    assert!(scene.hook.is_empty());
}

#[tokio::test]
async fn a_failure_is_announced_with_what_was_said() {
    let model = Fault::ModelAnswers {
        status: 422,
        body: json!({ "detail": [{ "loc": ["body"], "msg": "no", "type": "value_error" }] }),
    };
    let platform = Fault::FailsWith {
        status: 503,
        error_type: "runner_disconnected".to_owned(),
    };
    for (fault, error) in [
        (model, "Invalid status code: 422"),
        (platform, "runner disconnected"),
    ] {
        let mut scene = Scene::new(Scenario::new().on(Operation::Submit, fault)).await;
        scene.submit().await;
        let notification = scene.notification().await.unwrap();
        assert_eq!(*notification.status(), NotificationStatus::Error);
        assert_eq!(notification.error(), Some(&error.into()));
        assert!(notification.payload().unwrap()["detail"].is_array() || error.starts_with('r'));
        let error = Some(error.to_owned());
        assert_eq!(notification.output(), Err(NoOutput::Failed { error }));
        let failed = scene.rig.client.output_of(&notification).unwrap_err();
        assert_eq!(failed.kind(), uso::ErrorKind::Failed);
        let ticket = failed.ticket().unwrap();
        assert_eq!(ticket.request_id(), notification.request_id());
    }
}

#[tokio::test]
async fn an_odd_field_of_a_payload_hides_no_picture() {
    for odd in OddResult::ALL {
        let mut scene = Scene::new(on(Fault::OddResult(odd))).await;
        scene.submit().await;
        let notification = scene.notification().await;
        let notification = notification.unwrap_or_else(|why| panic!("{odd:?}: {why}"));
        let output = scene.rig.client.output_of(&notification).unwrap();
        assert_eq!(output.images().len(), 1, "{odd:?}");
        assert!(!output.images()[0].bytes().await.unwrap().is_empty());
        // A size that is written as 8.0 is read; everything else is named.
        let is_read = matches!(odd, OddResult::FloatSize);
        assert_eq!(output.warnings().is_empty(), is_read, "{odd:?}: {output:?}");
        let broken = notification.raw_body();
        let is_strict = serde_json::from_slice::<Value>(broken).is_ok();
        assert_eq!(notification.is_repaired(), !is_strict, "{odd:?}");
    }
}

#[tokio::test]
async fn a_payload_that_is_missing_says_so() {
    let mut scene = Scene::new(on(Fault::NullPayload)).await;
    scene.submit().await;
    let notification = scene.notification().await.unwrap();
    let why = notification.output().unwrap_err();
    assert!(matches!(why, NoOutput::Withheld { why: Some(_) }));
    assert!(why.is_worth_fetching());
    let missing = scene.rig.client.output_of(&notification).unwrap_err();
    assert_eq!(missing.kind(), uso::ErrorKind::Malformed, "not failed");
    assert!(missing.ticket().is_some());
}

#[tokio::test]
async fn a_lost_runner_changes_the_gateways_id_and_not_the_requests() {
    let mut scene = Scene::new(Scenario::new().on(Operation::Submit, Fault::Requeue)).await;
    let job = scene.submit().await;
    let notification = scene.notification().await.unwrap();
    assert_eq!(notification.request_id(), job.ticket().request_id());
    let gateway = notification.gateway_request_id().unwrap();
    assert_ne!(gateway, notification.request_id());
}

/// A submit without our client, whose answer and whose log are looked at.
async fn plain_submit(scene: &Scene, webhook: &str) -> (u16, Value) {
    let answer = reqwest_plain(scene, &format!("?fal_webhook={webhook}")).await;
    (answer.0, serde_json::from_slice(&answer.1).unwrap())
}

async fn reqwest_plain(scene: &Scene, query: &str) -> (u16, Vec<u8>) {
    let url = format!("{}/queue/fal-ai/uso{query}", scene.emulator().origin());
    let input = json!({ "input_image_urls": ["https://example.org/a.png"], "prompt": "x" });
    let answer = http_client()
        .post(url)
        .header("authorization", "Key a:b")
        .body(input.to_string())
        .send()
        .await
        .unwrap();
    (
        answer.status().as_u16(),
        answer.bytes().await.unwrap().to_vec(),
    )
}

fn http_client() -> reqwest::Client {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_submit_tells_the_gateways_id_and_the_log_masks_the_address() {
    let scene = Scene::new(Scenario::new()).await;
    let (status, with) = plain_submit(&scene, "http%3A%2F%2F127.0.0.1%3A9%2Fsecret").await;
    assert_eq!(status, 200);
    assert_eq!(with["gateway_request_id"], with["request_id"]);
    let (_, without) = reqwest_plain(&scene, "").await;
    let without: Value = serde_json::from_slice(&without).unwrap();
    assert!(without.get("gateway_request_id").is_none());
    let (status, refused) = plain_submit(&scene, "not-a-url").await;
    assert_eq!(
        (status, &refused["error_type"]),
        (400, &json!("bad_request"))
    );
    let log = scene.emulator().requests();
    assert_eq!(log[0].query, "fal_webhook=...");
}

#[tokio::test]
async fn other_machines_are_never_called() {
    let scene = Scene::new(Scenario::new()).await;
    for address in ["https%3A%2F%2Fexample.org%2Fx", "http%3A%2F%2F10.0.0.1%2Fx"] {
        plain_submit(&scene, address).await;
    }
    for attempt in scene.attempts(2).await {
        assert_eq!(attempt.outcome, AttemptOutcome::NotLocal);
    }
}

#[tokio::test]
async fn a_failed_notification_is_repeated_with_growing_pauses_and_signed_anew() {
    let mut scene = Scene::new(Scenario::new()).await;
    scene.hook.answer([500, 404, 401]);
    let job = scene.submit().await;
    let id = job.ticket().request_id().to_owned();
    let mut pause = Duration::from_secs(5);
    for number in 1..=4_u32 {
        let notification = scene.notification().await.unwrap();
        assert_eq!(notification.request_id(), id);
        let attempts = scene.attempts(number as usize).await;
        assert_eq!(attempts.last().unwrap().number, number);
        scene.emulator().advance(pause);
        pause *= 2;
    }
    let outcomes: Vec<_> = scene
        .attempts(4)
        .await
        .into_iter()
        .map(|attempt| attempt.outcome)
        .collect();
    let answered = [500, 404, 401, 200].map(AttemptOutcome::Answered);
    assert_eq!(outcomes, answered);
    assert!(scene.hook.is_empty());
}

#[tokio::test]
async fn a_repetition_that_is_late_still_verifies() {
    let policy = WebhookPolicy {
        first_pause: Duration::from_secs(900),
        longest_pause: Duration::from_secs(900),
        ..WebhookPolicy::default()
    };
    let mut scene = Scene::of(Rig::plain_builder().webhooks(policy)).await;
    scene.hook.answer([503]);
    scene.submit().await;
    let first = scene.hook.next().await;
    scene.attempts(1).await;
    scene.emulator().advance(Duration::from_secs(900));
    let second = scene.hook.next().await;
    assert!(scene.receiver.receive(second).await.is_ok());
    let replayed = scene.receiver.receive(first).await.unwrap_err();
    assert_eq!(replayed.as_str(), "too_old");
}

#[tokio::test]
async fn the_first_attempt_waits_15_seconds_and_others_120() {
    let mut scene = Scene::new(Scenario::new()).await;
    scene.hook.answer([NEVER, NEVER]);
    let job = scene.submit().await;
    let id = job.ticket().request_id();
    scene.hook.next().await;
    scene.emulator().advance(Duration::from_secs(15));
    let attempts = scene.attempts(1).await;
    assert_eq!(attempts[0].outcome, AttemptOutcome::TimedOut);
    scene.emulator().advance(Duration::from_secs(5));
    scene.hook.next().await;
    scene.emulator().advance(Duration::from_secs(119));
    assert_eq!(scene.attempts_of(id).await, 1);
    scene.emulator().advance(Duration::from_secs(1));
    // Of three, one is about another job.
    let mut attempts = scene.attempts(3).await;
    attempts.retain(|attempt| attempt.request_id == id);
    assert_eq!(attempts[1].outcome, AttemptOutcome::TimedOut);
    scene.emulator().advance(Duration::from_secs(10));
    assert!(scene.notification().await.is_ok());
}

#[tokio::test]
async fn there_are_31_repetitions_at_the_most() {
    let scene = Scene::new(Scenario::new()).await;
    scene.hook.answer([500; 40]);
    let job = scene.submit().await;
    let id = job.ticket().request_id();
    let mut pause = 5;
    for count in 1..=32 {
        let attempts = scene.attempts(count).await;
        assert_eq!(attempts.len(), count);
        scene.emulator().advance(Duration::from_secs(pause));
        pause = (pause * 2).min(120);
    }
    scene.emulator().advance(Duration::from_secs(600));
    assert_eq!(scene.attempts_of(id).await, 32);
}

#[tokio::test]
async fn the_repetitions_end_with_the_result() {
    let large = Fault::ModelAnswers {
        status: 200,
        body: json!({ "images": [], "prompt": "x".repeat(20_000) }),
    };
    let scene = Scene::new(Scenario::new().on(Operation::Submit, large)).await;
    scene.hook.answer([500; 40]);
    let job = scene.submit().await;
    scene.attempts(1).await;
    // Six minutes, for a result of 10 KB and more.
    scene.emulator().advance(Duration::from_secs(360));
    let id = job.ticket().request_id();
    assert!(!scene.emulator().resend_webhook(id), "it is forgotten");
    scene.emulator().advance(Duration::from_secs(3600));
    assert_eq!(scene.attempts_of(id).await, 1);
}

#[tokio::test]
async fn a_redirect_is_a_failure_for_good() {
    let mut scene = Scene::new(Scenario::new()).await;
    scene.hook.answer([307]);
    scene.submit().await;
    scene.hook.next().await;
    let attempts = scene.attempts(1).await;
    assert_eq!(attempts[0].outcome, AttemptOutcome::Answered(307));
    scene.emulator().advance(Duration::from_secs(3000));
    assert_eq!(scene.attempts_of(&attempts[0].request_id).await, 1);
}

#[tokio::test]
async fn a_delay_lets_a_later_request_be_announced_first() {
    let delay = Duration::from_secs(600);
    let mut scene = Scene::new(on(Fault::Delay(delay))).await;
    let first = scene.submit().await;
    first.wait().await.unwrap();
    let second = scene.submit().await;
    let notification = scene.notification().await.unwrap();
    assert_eq!(notification.request_id(), second.ticket().request_id());
    scene.attempts(1).await;
    scene.emulator().advance(delay);
    let notification = scene.notification().await.unwrap();
    assert_eq!(notification.request_id(), first.ticket().request_id());
}

#[tokio::test]
async fn a_notification_is_withheld_doubled_altered_and_sent_again() {
    let scenario = on(Fault::Withhold)
        .on(Operation::Webhook, Fault::Duplicate)
        .on(Operation::Webhook, Fault::Tamper);
    let mut scene = Scene::new(scenario).await;
    let withheld = scene.submit().await;
    let attempts = scene.attempts(1).await;
    assert_eq!(attempts[0].outcome, AttemptOutcome::Withheld);
    assert!(scene.hook.is_empty());

    let doubled = scene.submit().await;
    for _ in 0..2 {
        let notification = scene.notification().await.unwrap();
        assert_eq!(notification.request_id(), doubled.ticket().request_id());
    }
    scene.attempts(2).await;

    scene.submit().await;
    let refused = scene.notification().await.unwrap_err();
    assert_eq!(refused, Rejection::NoKeyFits);
    scene.attempts(3).await;

    let id = withheld.ticket().request_id();
    assert!(scene.emulator().resend_webhook(id));
    assert_eq!(scene.notification().await.unwrap().request_id(), id);
    assert!(!scene.emulator().resend_webhook("no-such-request"));
}

#[tokio::test]
async fn a_job_that_never_ran_is_announced_too() {
    let busy = Rig::plain_builder()
        .concurrency(1)
        .inference_time(Duration::from_secs(6000));
    let mut scene = Scene::of(busy).await;
    scene.submit().await;
    let cancelled = scene.submit().await;
    cancelled.cancel().await.unwrap();
    let notification = scene.notification().await.unwrap();
    assert_eq!(notification.request_id(), cancelled.ticket().request_id());
    assert_eq!(*notification.status(), NotificationStatus::Error);

    let late = scene.submit().await;
    scene.emulator().advance(Duration::from_secs(601));
    let notification = scene.notification().await.unwrap();
    assert_eq!(notification.request_id(), late.ticket().request_id());
    assert_eq!(*notification.status(), NotificationStatus::Error);
}

#[tokio::test]
async fn a_scenario_file_has_the_same_faults() {
    let text = r#"{ "rules": [
        { "on": "webhook", "fault": "tamper" },
        { "on": "webhook", "fault": "retired-key", "after": 1 },
        { "on": "webhook", "fault": { "delay": 30 }, "times": "always" }
    ] }"#;
    assert!(Scenario::from_json(text).is_ok());
    for misfit in ["drop", "accept-then-drop", "truncated-json"] {
        let text = format!(r#"{{ "rules": [{{ "on": "webhook", "fault": "{misfit}" }}] }}"#);
        assert!(Scenario::from_json(&text).is_err(), "{misfit}");
    }
    let text = r#"{ "rules": [{ "on": "submit", "fault": "tamper" }] }"#;
    assert!(Scenario::from_json(text).is_err());
}
