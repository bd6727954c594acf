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
    let models = fal
        .get("/platform/v1/models?endpoint_id=fal-ai%2Fuso&expand=openapi-3.0")
        .await
        .json();
    assert_eq!(models["models"][0]["openapi"], published);
    assert_eq!(models["has_more"], false);
}

#[tokio::test]
async fn prices_and_estimates_agree() {
    let fal = Fal::start(plain()).await;
    let prices = fal
        .get("/platform/v1/models/pricing?endpoint_id=fal-ai/uso")
        .await
        .json();
    assert_eq!(prices["prices"][0]["unit_price"], 0.1);
    assert_eq!(prices["prices"][0]["unit"], "megapixels");
    let estimate = json!({
        "estimate_type": "unit_price",
        "endpoints": { "fal-ai/uso": { "unit_quantity": 1.05 } },
    });
    let answer = fal
        .post("/platform/v1/models/pricing/estimate", &estimate)
        .await
        .json();
    assert_eq!(
        answer,
        json!({ "estimate_type": "unit_price", "total_cost": 0.105, "currency": "USD" })
    );
    let wrong = fal
        .post("/platform/v1/models/pricing/estimate", &json!({}))
        .await;
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.json()["error"]["type"], "validation_error");
}

#[tokio::test]
async fn meta_and_models_need_no_key_and_the_rest_does() {
    let fal = Fal::start(plain()).await;
    let bare = async |path: &str| {
        answer(fal.http.get(format!("{}{path}", fal.emulator.origin())))
            .await
            .unwrap()
    };
    let meta = bare("/platform/v1/meta").await;
    assert_eq!(
        meta.json()["webhook_ip_ranges"].as_array().unwrap().len(),
        15
    );
    assert_eq!(bare("/platform/v1/models").await.status, 200);
    for path in [
        LISTING,
        "/platform/v1/models/pricing?endpoint_id=fal-ai/uso",
    ] {
        let refused = bare(path).await;
        assert_eq!(refused.status, 401);
        assert_eq!(refused.json()["error"]["type"], "authorization_error");
    }
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
