//! The Platform API and the OpenAPI document.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{Fal, answer, input, plain};

const LISTING: &str = "/platform/v1/models/requests/by-endpoint?endpoint_id=fal-ai/uso";

#[tokio::test]
async fn the_document_is_the_published_one() {
    let fal = Fal::start(plain()).await;
    let published: Value =
        serde_json::from_str(include_str!("../../../schema/fal-ai-uso.openapi.json")).unwrap();
    let path = "/api/openapi/queue/openapi.json?endpoint_id=fal-ai/uso";
    assert_eq!(fal.get(path).await.json(), published);
    let unknown = fal
        .get("/api/openapi/queue/openapi.json?endpoint_id=a/b")
        .await;
    assert_eq!((unknown.status, unknown.json()), (404, Value::Null));
}

#[tokio::test]
async fn the_listing_needs_a_key_and_has_its_own_errors() {
    let fal = Fal::start(plain()).await;
    let url = format!("{}{LISTING}", fal.emulator.origin());
    let refused = answer(fal.http.get(url)).await.unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["error"]["type"], "authorization_error");
    let wrong = fal.get(&format!("{LISTING}&limit=0")).await;
    assert_eq!(wrong.json()["error"]["type"], "validation_error");
}

#[tokio::test]
async fn the_listing_finds_a_request_by_its_input() {
    let hour = Duration::from_secs(3600);
    let fal = Fal::start(plain().concurrency(1).inference_time(hour)).await;
    let first = fal.submit(&input()).await;
    let queued = fal.submit(&input()).await;
    let listed = fal.get(&format!("{LISTING}&expand=payloads")).await.json();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "what waits is not listed");
    assert_eq!(items[0]["request_id"], json!(first.id));
    assert_eq!(items[0]["json_input"], input());
    assert_eq!(items[0]["ended_at"], Value::Null);
    assert_eq!(items[0]["status_code"], Value::Null);

    fal.emulator.advance(hour);
    first.finished().await;
    fal.emulator.advance(hour);
    queued.finished().await;
    let all = fal.get(LISTING).await.json();
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0]["request_id"], json!(queued.id), "newest first");
    assert_eq!(items[0]["status_code"], 200);
    assert!(items[0]["duration"].as_f64().unwrap() >= 3600.0);
    assert_eq!(items[0].get("json_input"), None);
    for field in ["sent_at", "started_at", "ended_at"] {
        assert!(items[0][field].as_str().unwrap().ends_with('Z'), "{field}");
    }

    for (query, ids) in [
        (format!("&request_id={}", first.id), vec![&first.id]),
        (
            format!("&end={}", items[0]["started_at"].as_str().unwrap()),
            vec![&first.id],
        ),
        (
            format!("&start={}", items[0]["started_at"].as_str().unwrap()),
            vec![&queued.id],
        ),
        ("&status=error".to_owned(), vec![]),
        ("&status=success&limit=1".to_owned(), vec![&queued.id]),
        ("&limit=1&cursor=1".to_owned(), vec![&first.id]),
    ] {
        let page = fal.get(&format!("{LISTING}{query}")).await.json();
        let found: Vec<&Value> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| &row["request_id"])
            .collect();
        assert_eq!(json!(found), json!(ids), "{query}");
        let cut = query == "&status=success&limit=1";
        assert_eq!(
            (&page["has_more"], page["next_cursor"].is_string()),
            (&json!(cut), cut)
        );
    }
    for wrong in ["&limit=0", "&limit=101", "&start=yesterday", "&status=fine"] {
        assert_eq!(
            fal.get(&format!("{LISTING}{wrong}")).await.status,
            400,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn the_index_lags_as_configured_and_unstored_inputs_are_not_in_it() {
    let lag = Duration::from_secs(120);
    let fal = Fal::start(plain().index_delay(lag)).await;
    let private = fal
        .request(Method::POST, "/queue/fal-ai/uso")
        .header("x-fal-store-io", "0")
        .body(input().to_string());
    fal.accepted(answer(private).await.unwrap())
        .finished()
        .await;
    let listed =
        async || fal.get(&format!("{LISTING}&expand=payloads")).await.json()["items"].clone();
    assert_eq!(listed().await, json!([]));
    fal.emulator.advance(lag);
    assert_eq!(listed().await.as_array().unwrap().len(), 1);
    assert_eq!(listed().await[0].get("json_input"), None);
}
