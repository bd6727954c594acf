//! What a page gets: the service as it is, and nothing that is not the page's.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::HeaderMap;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use uso::purchase::EndpointId;
use uso::{ApiKey, BaseUrls, Config, Ticket};
use uso_cli::serve::{Limits, serve};
use uso_emulator::{Fault, Operation, Scenario};
use uso_proxy::{Caller, Proxy, SESSION_PATH, Settings};
use uso_tests::rig::Rig;
use uso_transport::Transport;

use super::{
    ALICE, Answer, BOB, BOBS_NAME, KEY, PAGE, PATIENCE, SUBMIT, Served, client, follow_up, input,
    raw_submit,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_submits_follows_collects_and_cancels() {
    let builder = Rig::plain_builder()
        .inference_time(Duration::from_secs(600))
        .concurrency(1);
    let served = Served::of(builder).await;
    let first = served.bought(ALICE, &input(1)).await;
    let second = served.bought(ALICE, &input(2)).await;

    let status = served.get(ALICE, &first, "/status?logs=1").await;
    assert_eq!(status.status, 202);
    assert_eq!(status.json()["status"], "IN_PROGRESS");
    assert!(status.json()["logs"].is_array());
    assert_eq!(served.get(ALICE, &first, "").await.status, 400, "not ready");

    let cancel = served.request("PUT", ALICE, &follow_up(&second, "/cancel"));
    let cancel = Answer::of(cancel).await;
    assert_eq!(
        (cancel.status, cancel.json()["status"].as_str()),
        (200, Some("OK"))
    );

    served.emulator.advance(Duration::from_secs(600));
    let status = served.get(ALICE, &first, "/status/stream").await;
    assert!(status.body.contains("COMPLETED"));
    let result = served.get(ALICE, &first, "").await;
    assert_eq!((result.status, &result.json()["seed"]), (200, &json!(1)));
    assert_eq!(result.header("x-fal-request-id"), Some(first.as_str()));
    assert!(result.header("x-fal-billable-units").is_some());

    for logged in served.emulator.requests() {
        assert!(logged.has_authorization, "{logged:?}");
        assert_eq!(logged.fal_headers, ["x-fal-client-proxy"], "{logged:?}");
    }
    let words: Vec<String> = served
        .emulator
        .requests()
        .iter()
        .map(|request| request.operation.to_string())
        .collect();
    let expected = [
        "submit", "submit", "status", "result", "cancel", "stream", "result",
    ];
    assert_eq!(words, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_reach_the_page_when_they_happen() {
    let builder = Rig::plain_builder().inference_time(Duration::from_secs(600));
    let served = Served::of(builder).await;
    let id = served.bought(ALICE, &input(1)).await;
    let request = served
        .request("GET", ALICE, &follow_up(&id, "/status/stream?logs=1"))
        .header("accept", "text/event-stream");
    let mut response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    // The job cannot end before the clock moves, so this comes while the stream is open.
    let mut seen = String::new();
    while !seen.contains("IN_PROGRESS") {
        let chunk = tokio::time::timeout(PATIENCE, response.chunk()).await;
        seen += std::str::from_utf8(&chunk.unwrap().unwrap().unwrap()).unwrap();
    }
    assert!(!seen.contains("COMPLETED"), "{seen}");
    served.emulator.advance(Duration::from_secs(15));
    while !seen.contains(": keep-alive") {
        let chunk = tokio::time::timeout(PATIENCE, response.chunk()).await;
        seen += std::str::from_utf8(&chunk.unwrap().unwrap().unwrap()).unwrap();
    }
    served.emulator.advance(Duration::from_secs(600));
    while let Some(chunk) = response.chunk().await.unwrap() {
        seen += std::str::from_utf8(&chunk).unwrap();
    }
    assert!(seen.contains("COMPLETED"), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_service_answers_is_seen_as_it_is() {
    let model = json!({ "detail": [{ "loc": ["body"], "msg": "no", "type": "value_error" }] });
    let faults = [
        (Fault::Status(500), 500),
        (Fault::Status(503), 503),
        (Fault::GatewayPage(502), 502),
        (Fault::Locked, 403),
        (
            Fault::Throttled {
                retry_after: Some(7),
            },
            429,
        ),
        (Fault::UserTimeout, 504),
        (Fault::Redirect("http://127.0.0.1:9".to_owned()), 307),
        (
            Fault::Answer {
                status: 418,
                body: "tea".to_owned(),
            },
            418,
        ),
    ];
    let mut scenario = Scenario::new();
    for (fault, _) in faults.clone() {
        scenario = scenario.on(Operation::Submit, fault);
    }
    scenario = scenario.on(
        Operation::Submit,
        Fault::ModelAnswers {
            status: 422,
            body: model.clone(),
        },
    );
    let served = Served::of(Rig::plain_builder().scenario(scenario)).await;
    for (seed, (fault, status)) in faults.into_iter().enumerate() {
        let answer = Answer::of(served.submit(ALICE, &input(seed as u64))).await;
        assert_eq!(answer.status, status, "{fault}: {answer:?}");
        assert_eq!(answer.header("location"), None, "{fault}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
        match fault {
            Fault::Throttled { .. } => assert_eq!(answer.header("retry-after"), Some("7")),
            Fault::UserTimeout => {
                assert_eq!(answer.header("x-fal-request-timeout-type"), Some("user"));
            }
            Fault::GatewayPage(_) => assert!(answer.body.contains("<html"), "{answer:?}"),
            Fault::Answer { .. } => assert_eq!(answer.body, "tea"),
            _ => {}
        }
    }
    let id = served.bought(ALICE, &input(100)).await;
    served.get(ALICE, &id, "/status/stream").await;
    let result = served.get(ALICE, &id, "").await;
    assert_eq!((result.status, result.json()), (422, model));
    let sent = served.emulator.requests().len();
    assert_eq!(
        sent,
        8 + 3,
        "no redirect was followed, and nothing sent again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_gets_a_session_for_its_token_and_may_end_it() {
    let served = Served::plain().await;
    let url = format!("http://{}{SESSION_PATH}", served.address);
    let session = |method: &str, token: &str, origin: &str| {
        served
            .client
            .request(method.parse().unwrap(), &url)
            .header("authorization", format!("Bearer {token}"))
            .header("origin", origin)
    };
    let refused = Answer::of(session("POST", "a-wrong-token-0123456789", PAGE)).await;
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (401, "\"Unauthorized\"")
    );
    assert_eq!(refused.header("set-cookie"), None);
    let foreign = Answer::of(session("POST", ALICE, "https://evil.example")).await;
    assert_eq!((foreign.status, foreign.header("set-cookie")), (403, None));
    assert_eq!(Answer::of(session("GET", ALICE, PAGE)).await.status, 405);

    let opened = Answer::of(session("POST", ALICE, PAGE)).await;
    assert_eq!(opened.status, 204);
    let cookie = opened.header("set-cookie").unwrap();
    for attribute in [
        "HttpOnly",
        "SameSite=Strict",
        "Secure",
        "Path=/",
        "Max-Age=43200",
    ] {
        assert!(cookie.split("; ").any(|part| part == attribute), "{cookie}");
    }
    assert!(!cookie.contains(ALICE), "{cookie}");
    assert!(cookie.starts_with("__Host-uso_session="), "{cookie}");
    assert!(!cookie.contains("Domain"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();

    // With it, and with a key of the browser's own, which stays here: the emulator takes only ours.
    let with_cookie = |cookie: &str| {
        let url = format!("http://{}{}", served.address, uso_proxy::PROXY_PATH);
        let request = served.client.post(url).header("cookie", cookie);
        request
            .header("x-fal-target-url", SUBMIT)
            .header("authorization", "Key browsers:own")
            .header("x-fal-queue-priority", "low")
            .header("x-fal-of-tomorrow", "1")
            .header("x-app-fal-disable-fallback", "true")
            .body(input(1).to_string())
    };
    let bought = Answer::of(with_cookie(cookie)).await;
    assert_eq!(bought.status, 200, "{bought:?}");
    let logged = &served.emulator.requests()[0];
    assert_eq!(
        logged.fal_headers,
        [
            "x-app-fal-disable-fallback",
            "x-fal-client-proxy",
            "x-fal-queue-priority"
        ]
    );
    assert_eq!(
        Answer::of(with_cookie("__Host-uso_session=")).await.status,
        401
    );

    let ended = Answer::of(session("DELETE", "", PAGE)).await;
    assert!(ended.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_told_what_its_page_may_do_also_on_errors() {
    let served = Served::plain().await;
    let url = format!("http://{}{}", served.address, uso_proxy::PROXY_PATH);
    let preflight = |origin: &str| {
        served
            .client
            .request("OPTIONS".parse().unwrap(), &url)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,content-type,x-fal-target-url,x-fal-queue-priority,x-evil,cookie",
            )
    };
    let allowed = Answer::of(preflight(PAGE)).await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(
        allowed.header("access-control-allow-headers"),
        Some("authorization, content-type, x-fal-target-url, x-fal-queue-priority")
    );
    assert!(allowed.header("vary").unwrap().contains("origin"));

    let refused = Answer::of(preflight("https://evil.example")).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.header("access-control-allow-origin"), None);
    assert!(refused.header("vary").unwrap().contains("origin"));

    for (request, status) in [
        (served.request("POST", ALICE, "https://fal.ai/"), 400),
        (served.request("POST", "unknown", SUBMIT), 401),
        (served.request("GET", ALICE, &follow_up("r-1", "")), 404),
    ] {
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
        assert_eq!(
            answer.header("access-control-allow-credentials"),
            Some("true")
        );
        assert_eq!(answer.header("content-type"), Some("application/json"));
        answer.json();
    }
    assert!(served.emulator.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_an_earlier_process_can_be_adopted() {
    let served = Served::plain().await;
    let id = served.bought(ALICE, &input(1)).await;
    served.get(ALICE, &id, "/status/stream").await;
    assert_eq!(served.get(BOB, &id, "").await.status, 404);
    let ticket = Ticket::for_request(EndpointId::uso(), id.as_str()).unwrap();
    // The first owner keeps it.
    let second = Caller::new(BOBS_NAME);
    served.proxy.adopt(&second, &ticket).await.unwrap();
    assert_eq!(served.get(BOB, &id, "").await.status, 404);

    let key = Served::plain().await;
    key.proxy.adopt(&second, &ticket).await.unwrap();
    let answer = key.get(BOB, &id, "").await;
    assert_eq!(
        (answer.status, key.emulator.requests().len()),
        (404, 1),
        "asked for"
    );
    assert_eq!(key.get(ALICE, &id, "").await.status, 404);
    assert_eq!(key.emulator.requests().len(), 1, "not asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_it_stops_streams_end_and_purchases_are_answered() {
    let slow = Scenario::new().on(Operation::Submit, Fault::Delay(Duration::ZERO));
    let slow = slow.on(Operation::Submit, Fault::Delay(Duration::from_secs(5)));
    let builder = Rig::plain_builder()
        .inference_time(Duration::from_secs(600))
        .scenario(slow);
    let mut served = Served::of(builder).await;
    let id = served.bought(ALICE, &input(1)).await;
    let stream = served.request("GET", ALICE, &follow_up(&id, "/status/stream"));
    let stream = stream.send().await.unwrap();
    let late = tokio::spawn(Answer::of(served.submit(ALICE, &input(2))));
    served.seen(3).await;

    served.stop.take().unwrap().send(()).unwrap();
    let rest = tokio::time::timeout(PATIENCE, stream.text()).await.unwrap();
    assert!(
        !rest.unwrap().contains("COMPLETED"),
        "it ends in order, and the job has not"
    );
    served.emulator.advance(Duration::from_secs(5));
    let late = late.await.unwrap();
    assert_eq!(late.status, 200, "{late:?}");
    tokio::time::timeout(PATIENCE, &mut served.serving)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(served.records(2).await.len(), 2);
    // The client may have kept a connection, which is closed before the request or by it.
    let refused = served.submit(ALICE, &input(3)).send().await.unwrap_err();
    assert!(refused.is_connect() || refused.is_request(), "{refused:?}");
    assert_eq!(served.emulator.ledger().purchases().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_begins_while_it_closes() {
    let served = Served::plain().await;
    let bytes = String::from_utf8(raw_submit(&input(1))).unwrap();
    let (head, body) = bytes.split_once("\r\n\r\n").unwrap();
    let head = format!("{head}\r\nexpect: 100-continue\r\n\r\n");
    let mut browser = served.connect().await;
    browser.write_all(head.as_bytes()).await.unwrap();
    // It is asked for as soon as it is read.
    let mut asked = [0; 25];
    browser.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    let closed = tokio::time::timeout(PATIENCE, served.proxy.close()).await;
    closed.unwrap();
    let _ = browser.write_all(body.as_bytes()).await;
    let mut answer = vec![0; 12];
    browser.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 503");
    let late = Answer::of(served.submit(ALICE, &input(2))).await;
    assert_eq!(late.status, 503, "{late:?}");
    assert!(served.emulator.requests().is_empty());
}

#[tokio::test]
async fn closing_waits_for_what_was_let_through() {
    let (entered, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (enters, opens) = (Arc::clone(&entered), Arc::clone(&gate));
    let bases = BaseUrls::single_origin("http://127.0.0.1:9").unwrap();
    let config = Config::new(ApiKey::new(KEY).unwrap(), bases);
    let proxy = Proxy::new(
        Transport::new(config).unwrap(),
        Settings::new(),
        move |_: HeaderMap| {
            let (enters, opens) = (Arc::clone(&enters), Arc::clone(&opens));
            async move {
                enters.notify_one();
                opens.notified().await;
                Some(Caller::new("a"))
            }
        },
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (router, limits) = (proxy.router(), Limits::default());
    tokio::spawn(serve(listener, router, limits, |_| true, pending()));
    let request = client().post(url).header("x-fal-target-url", SUBMIT);
    let answer = tokio::spawn(Answer::of(request.body(input(1).to_string())));
    entered.notified().await;
    // It was let through before, so it is waited for; and it is not sent any more.
    let mut closing = Box::pin(proxy.close());
    assert!(closing.as_mut().now_or_never().is_none());
    gate.notify_one();
    closing.await;
    let answer = answer.await.unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("nothing was sent"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_does_not_read_holds_nothing_up() {
    // More than the sockets' buffers take.
    let long = format!(
        "{{\"request_id\":\"r-1\",\"logs\":\"{}\"}}",
        "x".repeat(32 << 20)
    );
    let answer = Fault::Answer {
        status: 200,
        body: long,
    };
    let scenario = Scenario::new().on(Operation::Submit, answer);
    let mut served = Served::limited(
        Rig::plain_builder().scenario(scenario),
        |config| config,
        |settings| settings.reading_within(Duration::from_millis(200)),
        Limits {
            read_within: Duration::from_millis(200),
            ..Limits::default()
        },
    )
    .await;
    let mut browser = served.connect().await;
    browser.write_all(&raw_submit(&input(1))).await.unwrap();
    let records = served.records(1).await;
    assert_eq!(records[0].request_id.as_deref(), Some("r-1"));
    let again = Answer::of(served.submit(ALICE, &input(1))).await;
    assert_eq!(again.status, 409, "{again:?}");
    assert_eq!(again.json()["request_id"], "r-1");
    served.stop.take().unwrap().send(()).unwrap();
    tokio::time::timeout(PATIENCE, &mut served.serving)
        .await
        .unwrap()
        .unwrap();
    drop(browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_response_contains_the_key() {
    let echo = Fault::Answer {
        status: 500,
        body: "out of order".to_owned(),
    };
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::Drop)
        .on(Operation::Submit, echo);
    let served = Served::of(Rig::plain_builder().scenario(scenario)).await;
    let mut shown = format!("{:?}", served.proxy);
    for seed in 0..3 {
        let answer = Answer::of(served.submit(ALICE, &input(seed))).await;
        shown += &format!("{answer:?}");
    }
    shown += &format!("{:?}", served.records(3).await);
    shown += &serde_json::to_string(&served.records(3).await).unwrap();
    let (id, secret) = KEY.split_once(':').unwrap();
    for hidden in [id, secret, ALICE, "a lighthouse in ink", "example.org"] {
        assert!(!shown.contains(hidden), "{hidden}: {shown}");
    }
}
