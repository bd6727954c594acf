//! Answers as the service is known to give them, and as it should not: what decodes, and what is
//! kept of the rest.

use serde_json::json;
use uso::{ErrorKind, Event, Request};
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::Rig;

fn request() -> Request {
    Request::subject("https://example.org/a.png", "x")
}

async fn rig(scenario: Scenario) -> Rig {
    Rig::of(Rig::plain_builder().scenario(scenario)).await
}

async fn result_of(body: serde_json::Value) -> uso::Result<uso::Output> {
    let rig = rig(Scenario::new().on(Operation::Result, Fault::Body(body.to_string()))).await;
    rig.client.submit(request()).await?.wait().await
}

#[tokio::test]
async fn the_endpoint_pages_own_example_decodes() {
    let output = result_of(json!({
        "images": [{
            "height": 1024,
            "content_type": "image/png",
            "url": "https://storage.googleapis.com/falserverless/USO/G6n97WN0goYpXPeiHaBnP.png",
            "width": 1024
        }],
        "prompt": "A handsome man."
    }))
    .await
    .unwrap();
    assert_eq!(output.images()[0].width(), Some(1024));
    assert_eq!(output.prompt(), Some("A handsome man."));
    assert_eq!(output.seed(), None, "what is missing is not a zero");
    assert!(!output.images()[0].is_flagged());
}

#[tokio::test]
async fn null_in_every_optional_field_and_unknown_fields_decode() {
    let output = result_of(json!({
        "images": [{
            "url": "https://example.org/a.png", "content_type": null, "file_name": null,
            "file_size": null, "width": null, "height": null, "new": {"a": [1]}
        }],
        "seed": null, "has_nsfw_concepts": null, "prompt": null, "timings": null, "later": true
    }))
    .await
    .unwrap();
    assert_eq!(output.images()[0].url(), "https://example.org/a.png");
    assert_eq!(output.images()[0].height(), None);
}

#[tokio::test]
async fn a_seed_beyond_signed_64_bits_decodes() {
    let output = result_of(json!({
        "images": [{ "url": "https://example.org/a.png" }],
        "seed": 15_860_307_465_884_635_512u64,
        "has_nsfw_concepts": [true],
        "timings": { "inference": 5.73 }
    }))
    .await
    .unwrap();
    assert_eq!(output.seed(), Some(15_860_307_465_884_635_512));
    assert!(output.images()[0].is_flagged());
}

#[tokio::test]
async fn a_body_that_cannot_be_decoded_comes_back_raw_with_the_ticket() {
    let faults = [
        Fault::Undecodable,
        Fault::TruncatedJson,
        Fault::DeepJson(10_000),
        Fault::Body(r#"{"images":[{"width":1}]}"#.to_owned()),
        Fault::Body(r#"{"images":[]}"#.to_owned()),
        Fault::Body(r#"{"prompt":""}"#.to_owned()),
        Fault::Body("[]".to_owned()),
        Fault::Body(String::new()),
    ];
    for fault in faults {
        let rig = rig(Scenario::new().on(Operation::Result, fault.clone())).await;
        let job = rig.client.submit(request()).await.unwrap();
        let error = job.wait().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{fault:?} {error:?}");
        assert_eq!(error.ticket(), Some(job.ticket()), "{fault:?}");
        let raw = error.raw_body().unwrap();
        if let Fault::Body(body) = &fault {
            assert_eq!(raw, body.as_bytes());
        }
        // The picture is not lost: the next answer is whole.
        job.output().await.unwrap();
        assert_eq!(rig.emulator.ledger().purchases().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn statuses_with_gaps_and_novelties_are_followed() {
    for fault in [
        Fault::NullFields,
        Fault::UnknownFields,
        Fault::UnknownLogLevel,
        Fault::SplitEvents,
    ] {
        let rig = rig(Scenario::new().on(Operation::Stream, fault.clone())).await;
        let job = rig.client.submit(request()).await.unwrap();
        let mut events = job.events();
        let mut last = None;
        while let Some(event) = events.next().await {
            let event = event.unwrap();
            assert!(
                !matches!(event, Event::Interrupted(_)),
                "{fault:?} {event:?}"
            );
            last = Some(event);
        }
        assert!(matches!(last, Some(Event::Completed(_))), "{fault:?}");
        job.output().await.unwrap();
    }
}

#[tokio::test]
async fn an_unknown_status_word_is_told_with_its_body() {
    let scenario = Scenario::new().on(Operation::Status, Fault::UnknownStatus);
    let rig = rig(scenario).await;
    let job = rig.client.submit(request()).await.unwrap();
    let error = job.status().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("PAUSED"), "{error}");
    assert!(error.raw_body().is_some() && error.ticket().is_some());
}

#[tokio::test]
async fn a_job_whose_model_answered_with_the_status_of_a_key_or_a_limit_has_failed() {
    for status in [401, 403, 429] {
        let answer = Fault::ModelAnswers {
            status,
            body: json!({ "detail": "the model says no" }),
        };
        let rig = rig(Scenario::new().on(Operation::Submit, answer)).await;
        let job = rig.client.submit(request()).await.unwrap();
        let error = job.wait().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed, "{status}: {error:?}");
    }
}

#[tokio::test]
async fn a_page_of_a_gateway_beside_an_error_of_the_status_ends_no_job() {
    let failed = Fault::Body(r#"{"status":"COMPLETED","error":"Runner disconnected"}"#.to_owned());
    let status = Scenario::new()
        .on(Operation::Stream, failed.clone())
        .always()
        .on(Operation::Status, failed)
        .always();
    let pages = status
        .clone()
        .on(Operation::Result, Fault::GatewayPage(502))
        .always();
    let rig = rig(pages).await;
    let job = rig.client.submit(request()).await.unwrap();
    let error = job.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error:?}");
    assert!(error.ticket().is_some());
    rig.emulator.set_scenario(status);
    assert_eq!(job.collect().await.unwrap().images().len(), 1);
}

#[tokio::test]
async fn pictures_count_more_than_an_error_that_the_status_names() {
    let failed = Fault::Body(r#"{"status":"COMPLETED","error":"Runner disconnected"}"#.to_owned());
    let scenario = Scenario::new()
        .on(Operation::Stream, failed.clone())
        .always()
        .on(Operation::Status, failed)
        .always();
    let rig = rig(scenario).await;
    let job = rig.client.submit(request()).await.unwrap();
    for outcome in [job.wait().await, job.collect().await] {
        let output = outcome.unwrap();
        output.images()[0].bytes().await.unwrap();
        let warned = |text: &String| text.contains("Runner disconnected");
        assert!(output.warnings().iter().any(warned), "{output:?}");
    }
}
