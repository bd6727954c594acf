//! Submit, status, result, cancel, run.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use uso_emulator::{Billing, Fault, Operation, Scenario};

use super::{Fal, answer, input, plain};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_job_walks_from_queue_to_result() {
    let fal = Fal::start(plain().concurrency(1).inference_time(HOUR)).await;
    let submitted = fal.post("/queue/fal-ai/uso", &input()).await;
    let origin = fal.emulator.origin();
    let body = submitted.json();
    let id = body["request_id"].as_str().unwrap().to_owned();
    let response_url = format!("{origin}/queue/fal-ai/uso/requests/{id}");
    assert_eq!(
        body,
        json!({
            "status": "IN_QUEUE",
            "request_id": id,
            "response_url": response_url,
            "status_url": format!("{response_url}/status"),
            "cancel_url": format!("{response_url}/cancel"),
            "queue_position": 0,
        })
    );
    assert_eq!(submitted.header("x-fal-request-id"), Some(id.as_str()));
    let first = fal.accepted(submitted);
    let second = fal.submit(&input()).await;
    let third = fal.submit(&input()).await;

    let running = first.status().await;
    assert_eq!(
        (running.status, &running.json()["status"]),
        (202, &json!("IN_PROGRESS"))
    );
    assert_eq!(running.json()["logs"], Value::Null);
    let waiting = third.status().await;
    assert_eq!(
        (waiting.status, &waiting.json()["status"]),
        (202, &json!("IN_QUEUE"))
    );
    assert_eq!(waiting.json()["queue_position"], 1);
    for request in [&first, &second] {
        let early = request.result().await;
        assert_eq!(early.status, 400);
        assert_eq!(
            early.json(),
            json!({ "detail": "Request is still in progress" })
        );
    }

    fal.emulator.advance(HOUR);
    first.finished().await;
    let completed = first.status().await;
    assert_eq!(completed.status, 200);
    assert_eq!(completed.json()["status"], "COMPLETED");
    assert_eq!(completed.json()["logs"], Value::Null);
    assert!(
        completed.json()["metrics"]["inference_time"]
            .as_f64()
            .unwrap()
            >= 3600.0
    );
    assert_eq!(completed.json().get("error"), None);
    assert!(fal.emulator.completed_at(&first.id).is_some());
    assert!(fal.emulator.completed_at(&third.id).is_none());
    assert_eq!(third.status().await.json()["queue_position"], 0);

    let result = first.result().await;
    assert_eq!(result.status, 200);
    assert_eq!(result.header("x-fal-request-id"), Some(first.id.as_str()));
    assert_eq!(result.header("x-fal-billable-units"), Some("1.048576"));
    assert!(result.header("x-fal-served-from").is_some());
    assert_eq!(result.json()["seed"], 7);
    assert_eq!(result.json()["has_nsfw_concepts"], json!([false]));
    assert_eq!(
        result.json(),
        first.result().await.json(),
        "reading does not consume"
    );
}

#[tokio::test]
async fn logs_are_an_array_only_if_asked_for() {
    let fal = Fal::start(plain().inference_time(HOUR)).await;
    let request = fal.submit(&input()).await;
    for (query, asked) in [
        ("", false),
        ("?logs=0", false),
        ("?logs=false", false),
        ("?logs=1", true),
        ("?logs=true", true),
    ] {
        let status = fal
            .get(&request.path(&format!("/status{query}")))
            .await
            .json();
        assert_eq!(status["logs"].is_array(), asked, "{query}");
        assert_eq!(status["logs"].is_null(), !asked, "{query}");
    }
    let lines = async || {
        fal.get(&request.path("/status?logs=1")).await.json()["logs"]
            .as_array()
            .unwrap()
            .len()
    };
    let before = lines().await;
    fal.emulator.advance(HOUR / 2);
    assert!(lines().await > before, "polling is cumulative and grows");
}

#[tokio::test]
async fn every_form_of_the_follow_up_addresses_works() {
    let fal = Fal::start(plain()).await;
    let request = fal.submit(&input()).await;
    request.finished().await;
    let id = &request.id;
    for path in [
        format!("/fal-ai/uso/requests/{id}"),
        format!("/fal-ai/uso/requests/{id}/"),
        format!("/fal-ai/uso/requests/{id}/response"),
        format!("/fal-ai/uso/with/path/requests/{id}"),
        format!("/fal-ai/uso/requests/{id}/status"),
        format!("/fal-ai/uso/requests/{id}/status/"),
        format!("/fal-ai/uso/requests/{id}/status/stream"),
    ] {
        assert_eq!(
            fal.get(&format!("/queue{path}")).await.status,
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn cancel_answers_as_documented() {
    let fal = Fal::start(plain().concurrency(1).inference_time(HOUR)).await;
    let running = fal.submit(&input()).await;
    let queued = fal.submit(&input()).await;

    let answer = queued.cancel().await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "status": "OK" }))
    );
    let status = queued.status().await;
    assert_eq!(status.status, 200);
    assert_eq!(status.json()["error_type"], "client_cancelled");
    let result = queued.result().await;
    assert_eq!(result.status, 499);
    assert_eq!(result.header("x-fal-error-type"), Some("client_cancelled"));
    let late = queued.cancel().await;
    assert_eq!(
        (late.status, late.json()),
        (400, json!({ "status": "ALREADY_COMPLETED" }))
    );

    let answer = running.cancel().await;
    assert_eq!(
        (answer.status, answer.json()),
        (202, json!({ "status": "CANCELLATION_REQUESTED" }))
    );
    fal.emulator.advance(HOUR);
    running.finished().await;
    assert_eq!(
        running.result().await.status,
        200,
        "this app does not heed a cancel"
    );

    let unknown = super::Request {
        fal: &fal,
        id: "unknown".to_owned(),
    };
    assert_eq!(
        unknown.cancel().await.json(),
        json!({ "status": "NOT_FOUND" })
    );
    assert_eq!(
        unknown.status().await.json(),
        json!({ "status": "NOT_FOUND" })
    );
    assert_eq!(unknown.status().await.status, 404);
    assert_eq!(unknown.result().await.status, 404);
    assert_eq!(fal.get(&unknown.path("/status/stream")).await.status, 404);

    let ledger = fal.emulator.ledger();
    assert_eq!(ledger.purchases().len(), 2);
    assert_eq!(ledger.find(&running.id).unwrap().billing, Billing::Billed);
    assert_eq!(
        ledger.find(&queued.id).unwrap().billing,
        Billing::Free { status: 499 }
    );
}

#[tokio::test]
async fn an_app_that_heeds_cancels_ends_with_499() {
    let fal = Fal::start(plain().cancellable(true).inference_time(HOUR)).await;
    let request = fal.submit(&input()).await;
    assert_eq!(request.cancel().await.status, 202);
    request.finished().await;
    assert_eq!(request.result().await.status, 499);
    assert_eq!(fal.emulator.ledger().total_micro_dollars(), 0);
}

#[tokio::test]
async fn a_missed_start_deadline_is_a_504_of_the_users() {
    let fal = Fal::start(plain().concurrency(1).inference_time(HOUR)).await;
    let running = fal.submit(&input()).await;
    for name in ["x-fal-request-timeout", "x-fal-request-start-timeout"] {
        let request = fal
            .request(Method::POST, "/queue/fal-ai/uso")
            .header(name, "30.0")
            .body(input().to_string());
        let waiting = fal.accepted(answer(request).await.unwrap());
        assert_eq!(waiting.status().await.status, 202);
        fal.emulator.advance(Duration::from_secs(30));
        waiting.finished().await;
        let result = waiting.result().await;
        assert_eq!(result.status, 504, "{name}");
        assert_eq!(result.header("x-fal-request-timeout-type"), Some("user"));
        let billing = fal.emulator.ledger().find(&waiting.id).unwrap().billing;
        assert_eq!(billing, Billing::Free { status: 504 });
    }
    for wrong in ["soon", "0", "-1", "NaN", "1e400"] {
        let request = fal
            .request(Method::POST, "/queue/fal-ai/uso")
            .header("x-fal-request-timeout", wrong)
            .body(input().to_string());
        let refused = answer(request).await.unwrap();
        assert_eq!(refused.status, 400, "{wrong}");
        assert_eq!(refused.json()["error_type"], "bad_request");
    }
    assert_eq!(running.status().await.json()["status"], "IN_PROGRESS");
}

#[tokio::test]
async fn the_queue_can_be_too_long_and_priority_can_be_low() {
    let fal = Fal::start(plain().concurrency(1).inference_time(HOUR)).await;
    let path = "/queue/fal-ai/uso?fal_max_queue_length=0";
    let running = fal.post(path, &input()).await;
    assert_eq!(running.status, 200);
    let low = fal
        .request(Method::POST, "/queue/fal-ai/uso")
        .header("x-fal-queue-priority", "low")
        .body(input().to_string());
    let low = fal.accepted(answer(low).await.unwrap());
    assert_eq!(fal.post(path, &input()).await.status, 429);
    assert_eq!(fal.emulator.ledger().purchases().len(), 2);
    let normal = fal.submit(&input()).await;
    assert_eq!(normal.status().await.json()["queue_position"], 0);
    assert_eq!(low.status().await.json()["queue_position"], 1);
}

#[tokio::test]
async fn results_expire_by_size() {
    let fal = Fal::start(plain()).await;
    let small = fal.submit(&input()).await;
    small.finished().await;
    fal.emulator.advance(HOUR - Duration::from_secs(60));
    assert_eq!(small.result().await.status, 200);
    fal.emulator.advance(Duration::from_secs(60));
    assert_eq!(small.result().await.status, 404);
    assert_eq!(small.status().await.status, 404);

    // A body of ten kilobytes and more lives for six minutes.
    let mut long = input();
    long["prompt"] = json!("x".repeat(10_000));
    let large = fal.submit(&long).await;
    large.finished().await;
    fal.emulator.advance(Duration::from_secs(300));
    assert_eq!(large.result().await.status, 200);
    fal.emulator.advance(Duration::from_secs(60));
    assert_eq!(large.result().await.status, 404);

    let fal = Fal::start(plain().payload_storage(HOUR * 24 * 30)).await;
    let stored = fal.submit(&input()).await;
    stored.finished().await;
    fal.emulator.advance(HOUR * 24);
    assert_eq!(stored.result().await.status, 200);
}

#[tokio::test]
async fn a_synchronous_run_answers_with_the_output() {
    let fal = Fal::start(plain()).await;
    let answer = fal.post("/run/fal-ai/uso", &input()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["seed"], 7);
    let id = answer.header("x-fal-request-id").unwrap();
    assert_eq!(
        fal.emulator.ledger().find(id).unwrap().micro_dollars,
        104_858
    );
    assert_eq!(
        fal.get(&format!("/queue/fal-ai/uso/requests/{id}/status"))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_synchronous_run_needs_a_free_runner() {
    let fal = Fal::start(plain().concurrency(1).inference_time(HOUR)).await;
    fal.submit(&input()).await;
    let refused = fal.post("/run/fal-ai/uso", &input()).await;
    assert_eq!(refused.status, 429);
    assert!(
        refused
            .json()
            .to_string()
            .contains("concurrent_requests_limit")
    );
    assert_eq!(refused.header("x-fal-needs-retry"), Some("1"));
    assert_eq!(fal.emulator.ledger().purchases().len(), 1);
}

#[tokio::test]
async fn callers_without_a_valid_key_are_refused_as_by_fal() {
    let fal = Fal::start(plain().key("good:key")).await;
    let call = async |key: Option<&str>, path: &str| {
        let mut request = fal.http.post(format!("{}{path}", fal.emulator.origin()));
        if let Some(key) = key {
            request = request.header("authorization", key);
        }
        answer(request.body(input().to_string())).await.unwrap()
    };
    for (key, status, words) in [
        (None, 401, "Cannot access application"),
        (
            Some("Key nonsense"),
            401,
            "Expected '<key_id>:<key_secret>'",
        ),
        (
            Some("Bearer good:key"),
            401,
            "Expected '<key_id>:<key_secret>'",
        ),
        (Some("Key other:key"), 401, "No user found"),
    ] {
        for path in ["/queue/fal-ai/uso", "/run/fal-ai/uso"] {
            let refused = call(key, path).await;
            assert_eq!(refused.status, status, "{key:?}");
            assert!(
                refused.json()["detail"].as_str().unwrap().contains(words),
                "{key:?}"
            );
        }
    }
    let other = call(Some("Key good:key"), "/queue/fal-ai/else").await;
    assert_eq!(other.status, 404);
    assert_eq!(
        other.json(),
        json!({ "detail": "Application \"else\" not found" })
    );
    assert_eq!(
        call(Some("Key good:key"), "/queue/fal-ai/uso").await.status,
        200
    );
    assert_eq!(fal.emulator.ledger().purchases().len(), 1);
    let probe = fal.get("/queue/fal-ai/uso/requests/x/status").await;
    assert_eq!(
        (probe.status, probe.json()),
        (401, json!({ "detail": "invalid key credentials" }))
    );

    let open = Fal::start(plain().allow_anonymous(true)).await;
    let request = open
        .http
        .post(format!("{}/queue/fal-ai/uso", open.emulator.origin()));
    assert_eq!(
        answer(request.body(input().to_string()))
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn the_log_and_the_ledger_can_be_read_over_http() {
    let fal = Fal::start(plain()).await;
    let request = fal.submit(&input()).await;
    request.finished().await;
    fal.get("/queue/nowhere").await;
    let log = fal.get("/emulator/requests").await.json();
    let operations: Vec<&str> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["operation"].as_str().unwrap())
        .collect();
    assert_eq!(operations, ["submit", "stream", "other", "page"]);
    assert_eq!(log[0]["status"], 200);
    assert!(!log.to_string().contains("some-secret"));
    let ledger = fal.get("/emulator/ledger").await.json();
    assert_eq!(ledger["total_micro_dollars"], 104_858);
    assert_eq!(ledger["purchases"][0]["request_id"], json!(request.id));
    let page = String::from_utf8(fal.get("/emulator").await.bytes).unwrap();
    assert!(page.contains("1 accepted, 1 billed"), "{page}");

    let requests = fal.emulator.requests();
    assert_eq!(requests[0].operation, "submit");
    assert_eq!(requests[0].http_version, "HTTP/1.1");
    assert_eq!(
        requests
            .iter()
            .map(|entry| entry.sequence)
            .collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6]
    );
    assert_eq!(fal.emulator.ledger().purchases()[0].input, input());
}

#[tokio::test]
async fn the_emulator_stops_on_request() {
    let fal = Fal::start(plain().inference_time(HOUR)).await;
    fal.submit(&input()).await;
    let address = fal.emulator.addr();
    fal.emulator.shutdown().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_running_job_can_be_waited_for() {
    let fal = Fal::start(plain().inference_time(HOUR).concurrency(1)).await;
    let input = input();
    let (first, submitted) = tokio::join!(fal.emulator.when_running(), fal.submit(&input));
    assert_eq!(first, submitted.id);
    let second = fal.submit(&input).await;
    assert_eq!(fal.emulator.when_running().await, first, "it still runs");
    let cancelled = fal.submit(&input).await;
    cancelled.cancel().await;
    assert!(!fal.emulator.when_started(&cancelled.id).await);
    let (started, ()) = tokio::join!(fal.emulator.when_started(&second.id), async {
        fal.emulator.advance(HOUR);
    });
    assert!(started);
    assert_eq!(second.status().await.json()["status"], "IN_PROGRESS");
    assert!(fal.emulator.when_started(&first).await, "it has ended");
}

#[tokio::test]
async fn faults_can_be_replaced_while_it_runs() {
    let never = Scenario::new()
        .on(Operation::Submit, Fault::Locked)
        .always();
    let fal = Fal::start(plain().scenario(never)).await;
    let submit = async || fal.post("/queue/fal-ai/uso", &input()).await.status;
    assert_eq!(submit().await, 403);
    let other = Scenario::new().on(Operation::Submit, Fault::Status(503));
    fal.emulator.set_scenario(other);
    assert_eq!(submit().await, 503);
    assert_eq!(submit().await, 200);
}
