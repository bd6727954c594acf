//! Faults do what they say, and no more.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uso_emulator::{Billing, Emulator, Fault, Operation, Scenario};
use uso_tests::rig::until;

use super::{Answer, Fal, KEY, answer, http, input, plain};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

async fn fal(scenario: Scenario) -> Fal {
    Fal::start(plain().scenario(scenario)).await
}

async fn submit(fal: &Fal) -> reqwest::Result<Answer> {
    answer(
        fal.request(Method::POST, "/queue/fal-ai/uso")
            .body(input().to_string()),
    )
    .await
}

fn accepted(fal: &Fal) -> usize {
    fal.emulator.ledger().purchases().len()
}

#[tokio::test]
async fn a_lost_answer_leaves_a_purchase_and_a_refusal_does_not() {
    for (fault, purchases) in [
        (Fault::Drop, 0),
        (Fault::Status(503), 0),
        (Fault::GatewayPage(504), 0),
        (Fault::AcceptThenDrop, 1),
        (Fault::AcceptThenStatus(504), 1),
        (Fault::AcceptThenGatewayPage(502), 1),
        (Fault::TruncatedJson, 1),
        (Fault::TruncatedBody, 1),
    ] {
        let fal = fal(Scenario::new().on(Operation::Submit, fault.clone())).await;
        let first = submit(&fal).await;
        assert_eq!(accepted(&fal), purchases, "{fault}");
        match fault {
            Fault::Drop | Fault::AcceptThenDrop | Fault::TruncatedBody => {
                assert!(first.is_err(), "{fault}");
            }
            Fault::Status(status) | Fault::AcceptThenStatus(status) => {
                let first = first.unwrap();
                assert_eq!(first.status, status);
                assert!(first.header("x-fal-request-id").is_some());
                assert!(first.json()["detail"].is_string());
            }
            Fault::GatewayPage(status) | Fault::AcceptThenGatewayPage(status) => {
                let first = first.unwrap();
                assert_eq!(first.status, status);
                assert_eq!(first.header("x-fal-request-id"), None);
                assert!(String::from_utf8(first.bytes).unwrap().contains("nginx"));
            }
            _ => assert!(serde_json::from_slice::<Value>(&first.unwrap().bytes).is_err()),
        }
        // Once is once.
        assert_eq!(submit(&fal).await.unwrap().status, 200, "{fault}");
        assert_eq!(accepted(&fal), purchases + 1, "{fault}");
        assert_eq!(
            fal.emulator.requests()[0].fault.as_deref(),
            Some(fault.name())
        );
    }
}

#[tokio::test]
async fn hanging_requests_get_no_response_and_delayed_ones_wait_for_the_clock() {
    for (fault, purchases) in [(Fault::Hang, 0), (Fault::AcceptThenHang, 1)] {
        let fal = fal(Scenario::new().on(Operation::Submit, fault)).await;
        // Another request is answered meanwhile, which shows that the first one had its time.
        let request = fal
            .request(Method::POST, "/queue/fal-ai/uso")
            .body(input().to_string());
        let hanging = tokio::spawn(answer(request));
        let is_there = || !fal.emulator.requests().is_empty() && accepted(&fal) >= purchases;
        until("the request", is_there).await;
        assert_eq!(submit(&fal).await.unwrap().status, 200);
        assert!(!hanging.is_finished());
        assert_eq!(accepted(&fal), purchases + 1);
        hanging.abort();
    }
    let fal = fal(Scenario::new().on(Operation::Submit, Fault::Delay(HOUR))).await;
    let request = fal
        .request(Method::POST, "/queue/fal-ai/uso")
        .body(input().to_string());
    let delayed = tokio::spawn(answer(request));
    until("the purchase", || accepted(&fal) == 1).await;
    assert!(!delayed.is_finished());
    fal.emulator.advance(HOUR);
    assert_eq!(delayed.await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn refusals_look_like_the_services() {
    for (fault, status, header, words) in [
        (
            Fault::Throttled { retry_after: None },
            429,
            None,
            "Too many",
        ),
        (
            Fault::Throttled {
                retry_after: Some(3),
            },
            429,
            Some(("retry-after", "3")),
            "Too many",
        ),
        (
            Fault::ConcurrencyLimit,
            429,
            Some(("x-fal-needs-retry", "1")),
            "concurrent_requests_limit",
        ),
        (Fault::Locked, 403, None, "User is locked"),
        (Fault::Forbidden, 403, None, "permission"),
        (Fault::Unauthorized, 401, None, "No user found"),
        (
            Fault::UserTimeout,
            504,
            Some(("x-fal-request-timeout-type", "user")),
            "startup_timeout",
        ),
        (Fault::StringDetail, 422, None, "wrong"),
        (Fault::Gone, 410, None, "Gone"),
        (
            Fault::Redirect("http://127.0.0.1:9".to_owned()),
            307,
            Some(("location", "http://127.0.0.1:9/queue/fal-ai/uso")),
            "",
        ),
    ] {
        let fal = fal(Scenario::new().on(Operation::Submit, fault.clone())).await;
        let refused = submit(&fal).await.unwrap();
        assert_eq!(refused.status, status, "{fault}");
        if let Some((name, value)) = header {
            assert_eq!(refused.header(name), Some(value), "{fault}");
        } else {
            assert_eq!(refused.header("retry-after"), None, "{fault}");
        }
        assert!(
            String::from_utf8_lossy(&refused.bytes).contains(words),
            "{fault}"
        );
        assert_eq!(accepted(&fal), 0);
    }
}

#[tokio::test]
async fn jobs_can_fail_be_requeued_or_never_start() {
    let failing = Fault::FailsWith {
        status: 503,
        error_type: "runner_disconnected".to_owned(),
    };
    let rig = fal(Scenario::new().on(Operation::Submit, failing)).await;
    let request = rig.submit(&input()).await;
    request.finished().await;
    let status = request.status().await.json();
    assert_eq!(status["error_type"], "runner_disconnected");
    assert_eq!(status["error"], "runner disconnected");
    let result = request.result().await;
    assert_eq!(result.status, 503);
    assert_eq!(
        result.header("x-fal-error-type"),
        Some("runner_disconnected")
    );
    let billing = rig.emulator.ledger().find(&request.id).unwrap().billing;
    assert_eq!(billing, Billing::Free { status: 503 });

    let body = json!({ "detail": "GPU error" });
    let answers = Fault::ModelAnswers {
        status: 500,
        body: body.clone(),
    };
    let rig = fal(Scenario::new().on(Operation::Submit, answers)).await;
    let request = rig.submit(&input()).await;
    request.finished().await;
    let result = request.result().await;
    assert_eq!((result.status, result.json()), (500, body));
    assert!(request.status().await.json()["error"].is_string());

    let rig = Fal::start(
        plain()
            .inference_time(MINUTE)
            .scenario(Scenario::new().on(Operation::Submit, Fault::Requeue)),
    )
    .await;
    let request = rig.submit(&input()).await;
    let path = request.path("/status/stream?logs=1");
    let mut stream = rig.request(Method::GET, &path).send().await.unwrap();
    let mut seen = String::new();
    // Two attempts of a minute each.
    while !seen.contains("COMPLETED") {
        rig.emulator.advance(MINUTE);
        seen.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    assert!(seen.contains("back to the queue"), "{seen}");
    assert_eq!(request.result().await.status, 200);
    assert_eq!(rig.emulator.ledger().billed().count(), 1);

    let rig = fal(Scenario::new().on(Operation::Submit, Fault::NeverStarts)).await;
    let held = rig
        .request(Method::POST, "/queue/fal-ai/uso")
        .header("x-fal-request-timeout", "60")
        .body(input().to_string());
    let held = rig.accepted(answer(held).await.unwrap());
    assert_eq!(held.status().await.json()["status"], "IN_QUEUE");
    rig.emulator.advance(Duration::from_secs(60));
    held.finished().await;
    assert_eq!(held.result().await.status, 504);
}

#[tokio::test]
async fn a_scenario_makes_bodies_lie() {
    let on_result = |fault: Fault| fal(Scenario::new().on(Operation::Result, fault));
    let get = async |fal: &Fal| {
        let request = fal.submit(&input()).await;
        request.finished().await;
        answer(fal.request(Method::GET, &request.path(""))).await
    };
    let text = async |fault: Fault| {
        let answer = get(&on_result(fault).await).await.unwrap();
        assert_eq!(answer.status, 200);
        String::from_utf8_lossy(&answer.bytes).into_owned()
    };
    let sample = r#"{"images":[{"url":"https://x/y.png"}],"prompt":""}"#;
    assert_eq!(text(Fault::Body(sample.to_owned())).await, sample);
    for broken in [
        Fault::TruncatedJson,
        Fault::Undecodable,
        Fault::CorruptBody,
        Fault::DeepJson(10_000),
    ] {
        let body = text(broken.clone()).await;
        assert!(
            serde_json::from_str::<Value>(&body).is_err(),
            "{broken}: {body}"
        );
    }
    let nulls: Value = serde_json::from_str(&text(Fault::NullFields).await).unwrap();
    assert!(
        nulls["images"][0]["url"].is_string() && nulls["seed"].is_null(),
        "{nulls}"
    );
    assert!(nulls["images"][0]["width"].is_null(), "{nulls}");
    let unknown: Value = serde_json::from_str(&text(Fault::UnknownFields).await).unwrap();
    assert!(unknown["images"][0]["x_unknown"].is_object(), "{unknown}");
    let foreign = text(Fault::ForeignUrls("http://127.0.0.1:9".to_owned())).await;
    assert!(
        foreign.contains("\"http://127.0.0.1:9/cdn/files/"),
        "{foreign}"
    );
    let labelled = get(&on_result(Fault::WrongContentType).await)
        .await
        .unwrap();
    assert_eq!(labelled.header("content-type"), Some("text/html"));
    let gzip = get(&on_result(Fault::MislabelledGzip).await).await.unwrap();
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    assert!(gzip.json().is_object());
    assert!(get(&on_result(Fault::TruncatedBody).await).await.is_err());
}

#[tokio::test]
async fn status_words_and_levels_can_be_unknown() {
    let scenario = Scenario::new()
        .on(Operation::Status, Fault::UnknownStatus)
        .on(Operation::Status, Fault::UnknownLogLevel)
        .on(Operation::Stream, Fault::UnknownStatus);
    let fal = fal(scenario).await;
    let request = fal.submit(&input()).await;
    assert_eq!(request.status().await.json()["status"], "PAUSED");
    assert_eq!(request.status().await.json()["logs"][0]["level"], "NOTICE");
    let stream = fal.get(&request.path("/status/stream")).await;
    assert!(String::from_utf8(stream.bytes).unwrap().contains("PAUSED"));
}

#[tokio::test]
async fn bodies_without_end_keep_coming() {
    for (fault, length) in [
        (Fault::HugeBody(10 << 30), Some("10737418240")),
        (Fault::EndlessBody, None),
        (Fault::GzipBomb, None),
    ] {
        let fal = fal(Scenario::new().on(Operation::Result, fault.clone())).await;
        let request = fal.submit(&input()).await;
        request.finished().await;
        let mut body = fal
            .request(Method::GET, &request.path(""))
            .send()
            .await
            .unwrap();
        let announced = body.headers().get("content-length").cloned();
        assert_eq!(
            announced.as_ref().map(|length| length.to_str().unwrap()),
            length,
            "{fault}"
        );
        let mut read = 0;
        while read < 4 << 20 {
            read += body.chunk().await.unwrap().unwrap().len();
        }
    }
}

#[tokio::test]
async fn a_scenario_breaks_streams() {
    // Text until the end, and whether the end was in order.
    async fn read(fault: Fault) -> (String, bool) {
        let name = fault.name();
        let scenario = Scenario::new().on(Operation::Stream, fault);
        let fal = Fal::start(plain().inference_time(HOUR).scenario(scenario)).await;
        let request = fal.submit(&input()).await;
        let path = request.path("/status/stream");
        let mut response = fal.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(
            fal.emulator.requests().last().unwrap().fault.as_deref(),
            Some(name)
        );
        let mut text = Vec::new();
        let mut moved = false;
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => text.extend_from_slice(&chunk),
                Ok(None) => return (String::from_utf8_lossy(&text).into_owned(), true),
                Err(_) => return (String::from_utf8_lossy(&text).into_owned(), false),
            }
            // Once: another hour would be the end of the result.
            if !moved {
                fal.emulator.advance(HOUR);
                moved = true;
            }
        }
    }
    for (fault, completed, in_order) in [
        (Fault::EndStream, false, true),
        (Fault::CutStream, false, false),
        (Fault::CutMidEvent, false, false),
        (Fault::CutAfterCompleted, true, false),
        (Fault::SplitEvents, true, true),
    ] {
        let (text, ended_in_order) = read(fault.clone()).await;
        assert_eq!(text.contains("COMPLETED"), completed, "{fault}: {text}");
        assert_eq!(ended_in_order, in_order, "{fault}: {text}");
        assert!(text.contains("data: "), "{fault}: {text}");
        let whole = text.ends_with("\n\n");
        assert_eq!(whole, fault != Fault::CutMidEvent, "{fault}: {text}");
    }

    let fal = fal(Scenario::new().on(Operation::Stream, Fault::EndlessLine)).await;
    let request = fal.submit(&input()).await;
    let path = request.path("/status/stream");
    let mut response = fal.request(Method::GET, &path).send().await.unwrap();
    let mut read = 0;
    while read < 4 << 20 {
        let chunk = response.chunk().await.unwrap().unwrap();
        assert!(!chunk.contains(&b'\n'));
        read += chunk.len();
    }
}

#[tokio::test]
async fn a_silent_stream_says_nothing_after_its_first_event() {
    let scenario = Scenario::new().on(Operation::Stream, Fault::SilentStream);
    let fal = Fal::start(plain().inference_time(HOUR).scenario(scenario)).await;
    let request = fal.submit(&input()).await;
    let path = request.path("/status/stream");
    let mut silent = fal.request(Method::GET, &path).send().await.unwrap();
    assert!(silent.chunk().await.unwrap().is_some());
    fal.emulator.advance(HOUR);
    let end = async {
        // An honest stream sees the end, and much more is said before the silent one is given up.
        request.finished().await;
        for _ in 0..20 {
            assert_eq!(request.result().await.status, 200);
        }
    };
    tokio::select! {
        biased;
        next = silent.chunk() => panic!("{next:?}"),
        () = end => {}
    }
}

#[tokio::test]
async fn headers_dribble() {
    let fal = fal(Scenario::new().on(Operation::Status, Fault::SlowHeaders)).await;
    let request = fal.submit(&input()).await;
    let mut socket = TcpStream::connect(fal.emulator.addr()).await.unwrap();
    let path = request.path("/status");
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: {KEY}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let mut pieces = 0;
    while read.len() < "HTTP/1.1 200".len() {
        let length = socket.read_buf(&mut read).await.unwrap();
        assert!(length > 0, "{read:?}");
        pieces += 1;
    }
    assert!(read.starts_with(b"HTTP/1.1"), "{read:?}");
    assert!(pieces > 1);
}

#[tokio::test]
async fn files_can_be_gone_cut_or_corrupt() {
    let builder = Emulator::builder().picture(uso_emulator::PictureMode::Plain);
    let scenario = Scenario::new()
        .on(Operation::File, Fault::Gone)
        .on(Operation::File, Fault::Status(404))
        .on(Operation::File, Fault::TruncatedBody)
        .on(Operation::File, Fault::CorruptBody)
        .on(Operation::File, Fault::WrongContentType);
    let fal = Fal::start(builder.scenario(scenario)).await;
    let output = fal.output(&input()).await;
    let url = output["images"][0]["url"].as_str().unwrap();
    let get = || answer(fal.request(Method::GET, url));
    assert_eq!(get().await.unwrap().status, 410);
    assert_eq!(get().await.unwrap().status, 404);
    assert!(get().await.is_err());
    assert!(image::load_from_memory(&get().await.unwrap().bytes).is_err());
    assert_eq!(
        get().await.unwrap().header("content-type"),
        Some("text/html")
    );
    assert!(image::load_from_memory(&get().await.unwrap().bytes).is_ok());
}

#[tokio::test]
async fn the_listing_can_be_empty_forbidden_or_broken() {
    let path = "/platform/v1/models/requests/by-endpoint?endpoint_id=fal-ai/uso";
    let scenario = Scenario::new()
        .on(Operation::Listing, Fault::EmptyListing)
        .on(Operation::Listing, Fault::Forbidden)
        .on(Operation::Listing, Fault::Status(500));
    let fal = fal(scenario).await;
    fal.submit(&input()).await.finished().await;
    assert_eq!(fal.get(path).await.json()["items"], json!([]));
    let forbidden = fal.get(path).await;
    assert_eq!(forbidden.status, 403);
    assert_eq!(forbidden.json()["error"]["type"], "authorization_error");
    assert_eq!(fal.get(path).await.json()["error"]["type"], "server_error");
    assert_eq!(
        fal.get(path).await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

/// Every fault on every operation it fits ends in one of the ways a client can meet, and leaves
/// the emulator in order.
#[tokio::test]
async fn no_fault_harms_the_emulator_itself() {
    use Operation as On;
    let operations = [
        On::Submit,
        On::Run,
        On::Status,
        On::Stream,
        On::Result,
        On::Cancel,
        On::File,
        On::Jwks,
        On::Listing,
    ];
    let http = http(rustls::RootCertStore::empty(), &[]).build().unwrap();
    for operation in operations {
        for fault in Fault::samples() {
            if !fault.fits(operation) {
                continue;
            }
            let scenario = Scenario::new().on(operation, fault.clone());
            let emulator = plain().scenario(scenario).start().await.unwrap();
            let fal = Fal {
                emulator,
                http: http.clone(),
            };
            let meet = async {
                if operation == On::Run {
                    let run = fal.request(Method::POST, "/run/fal-ai/uso");
                    let _ = run.body(input().to_string()).send().await;
                    return;
                }
                let Ok(submitted) = submit(&fal).await else {
                    return;
                };
                let Ok(body) = serde_json::from_slice::<Value>(&submitted.bytes) else {
                    return;
                };
                let Some(id) = body["request_id"].as_str() else {
                    return;
                };
                let request = super::Request {
                    fal: &fal,
                    id: id.to_owned(),
                };
                let (method, path) = match operation {
                    On::Status => (Method::GET, request.path("/status")),
                    On::Stream => (Method::GET, request.path("/status/stream")),
                    On::Result => (Method::GET, request.path("")),
                    On::Cancel => (Method::PUT, request.path("/cancel")),
                    On::File => (Method::GET, "/cdn/files/b/0/none.png".to_owned()),
                    On::Jwks => (Method::GET, "/rest/.well-known/jwks.json".to_owned()),
                    On::Listing => (
                        Method::GET,
                        "/platform/v1/models/requests/by-endpoint?endpoint_id=fal-ai/uso"
                            .to_owned(),
                    ),
                    _ => return,
                };
                let _ = fal.request(method, &path).send().await;
            };
            let struck = || {
                fal.emulator
                    .requests()
                    .iter()
                    .any(|request| request.fault.is_some())
            };
            // Hanging is one of the ways, so that nothing waits for the response.
            let afterwards = async {
                until("the fault", struck).await;
                let fresh = fal.submit(&input()).await;
                if fault != Fault::NeverStarts {
                    fresh.finished().await;
                    assert_eq!(fresh.result().await.status, 200, "{fault} on {operation}");
                }
            };
            tokio::pin!(meet, afterwards);
            tokio::select! {
                () = &mut meet => afterwards.await,
                () = &mut afterwards => {}
            }
        }
    }
}
