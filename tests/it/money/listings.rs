//! Responses that the emulator does not give, and what they say about a lost purchase.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use uso::error::Verdict;
use uso::purchase::{Prepared, Recovery};
use uso::upload::{Source, Upload};
use uso::{Client, Config, ErrorKind, Intent, Request};
use uso_tests::rig::config_for;

use super::lookups::changed;

/// The time of a service whose clock is far behind.
const LONG_AGO: &str = "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n";

/// The response to a request with this first line.
type Service = fn(&str) -> String;

/// A client of this service.
async fn client_of(service: Service) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(respond(socket, service));
        }
    });
    let config = config_for(&origin).map(Config::without_reconciliation);
    Client::new(config.unwrap()).unwrap()
}

async fn respond(mut socket: TcpStream, service: Service) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if socket.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let request = String::from_utf8_lossy(&request);
    let response = service(request.lines().next().unwrap());
    let _ = socket.write_all(response.as_bytes()).await;
    let _ = socket.shutdown().await;
    // What is left of the request is read, so that the connection is not reset.
    let _ = socket.read_to_end(&mut Vec::new()).await;
}

/// A 200 with these headers, each with its line break.
fn ok(headers: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

async fn prepared(client: &Client) -> Prepared {
    let request = Request::subject("https://example.org/a.png", "x").seed(7);
    client.prepare(request).await.unwrap()
}

/// The same purchase, made and sent in 1970 by the clocks of both sides.
fn long_ago(intent: &Intent) -> Intent {
    changed(intent, |intent| {
        for name in ["made_at_ms", "sent_from_ms", "sent_at_ms"] {
            intent[name] = 1000.into();
        }
    })
}

fn is_dated(intent: &Intent) -> bool {
    let intent = serde_json::to_value(intent).unwrap();
    intent.get("sent_from_ms").is_some()
}

/// A page of no requests that names another page.
fn empty_page(cursor: usize) -> String {
    let page = json!({ "items": [], "next_cursor": cursor.to_string() });
    ok(LONG_AGO, &page)
}

#[tokio::test]
async fn only_a_listing_with_an_end_and_a_time_proves_that_nothing_was_bought() {
    let next = |line: &str| {
        let cursor = line.split_once("cursor=").map_or("", |(_, rest)| rest);
        let cursor = cursor.split([' ', '&']).next().unwrap_or_default();
        empty_page(cursor.parse().unwrap_or(0) + 1)
    };
    let services: [(&str, Service); 4] = [
        ("", |_| ok(LONG_AGO, &json!({ "items": [] }))),
        ("the service's time", |_| ok("", &json!({ "items": [] }))),
        ("the same page", |_| empty_page(1)),
        ("more than 4000 requests", next),
    ];
    for (expected, service) in services {
        let client = client_of(service).await;
        let intent = long_ago(prepared(&client).await.order().intent());
        match client.recover(&intent).await.unwrap() {
            Recovery::NotBought if expected.is_empty() => {}
            Recovery::Undecidable { why, .. } if !expected.is_empty() => {
                assert!(why.contains(expected), "{why}");
            }
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_purchase_is_found_where_either_clock_was_far_ahead() {
    let client = client_of(|_| {
        let input = json!({
            "input_image_urls": ["https://example.org/a.png"], "prompt": "x", "seed": 7,
        });
        let row = json!({
            "request_id": "r-1", "sent_at": "2026-01-01T00:00:00Z", "json_input": input,
        });
        ok(LONG_AGO, &json!({ "items": [row] }))
    });
    let client = client.await;
    let prepared = prepared(&client).await;
    // This machine's clock was, and is; or the service's was when it dated the purchase.
    let by_machine = prepared.order().intent();
    let by_service = changed(by_machine, |intent| {
        let now = intent["made_at_ms"].take();
        intent["made_at_ms"] = 1_767_225_600_000_u64.into();
        intent["sent_from_ms"] = now;
    });
    for intent in [by_machine, &by_service] {
        let recovered = client.recover(intent).await.unwrap();
        let Recovery::Found(job) = recovered else {
            panic!("{intent:?}: {recovered:?}");
        };
        assert_eq!(job.request_id(), "r-1");
    }
}

#[tokio::test]
async fn a_date_out_of_a_cache_or_of_an_upload_is_not_the_time_of_the_service() {
    let cached = client_of(|_| ok(&format!("{LONG_AGO}Age: 10\r\n"), &json!({}))).await;
    let direct = client_of(|_| ok(LONG_AGO, &json!({}))).await;
    for (client, tells_time) in [(cached, false), (direct, true)] {
        let prepared = prepared(&client).await;
        let mut upload = Upload::new(Source::bytes("a file"));
        client.upload(&mut upload).await.unwrap_err();
        assert!(!is_dated(&client.intent(prepared.order())), "an upload");
        let job = client.job_by_id("r-1").unwrap();
        job.status().await.unwrap_err();
        assert_eq!(is_dated(&client.intent(prepared.order())), tells_time);
    }
}

#[tokio::test]
async fn an_accepted_submit_without_a_request_id_may_have_been_bought() {
    let client = client_of(|_| ok(LONG_AGO, &json!({ "status": "IN_QUEUE" }))).await;
    let prepared = prepared(&client).await;
    for _ in 0..2 {
        let error = client.place(prepared.order()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        assert_eq!(error.verdict(), Verdict::Unknown, "{error}");
    }
}

#[tokio::test]
async fn the_header_names_the_request_where_the_body_does_not() {
    let client = client_of(|_| ok("x-fal-request-id: r-1\r\n", &json!({}))).await;
    let job = client.place(prepared(&client).await.order()).await.unwrap();
    assert_eq!(job.request_id(), "r-1");
}

/// The submit may be repeated six times, for a minute each and with a minute's pause between.
#[tokio::test]
async fn no_listing_shows_a_purchase_before_its_last_repeat_could_have_started() {
    let client = client_of(|_| ok(LONG_AGO, &json!({}))).await;
    let prepared = prepared(&client).await;
    let order = prepared.order();
    let repeats = Duration::from_secs(660);
    let made_at = order.intent().made_at();
    let start_within = order.intent().start_within();
    assert_eq!(start_within, Duration::from_secs(600));
    let earliest = made_at + repeats + start_within;
    assert!(
        order.intent().listed_by() > earliest,
        "{:?}",
        order.intent()
    );

    let job = client.job_by_id("r-1").unwrap();
    job.status().await.unwrap_err();
    let dated = client.intent(order);
    let told = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    assert!(
        dated.listed_by() > told + repeats + start_within,
        "{dated:?}"
    );
}
