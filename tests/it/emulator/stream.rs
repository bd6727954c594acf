//! The status stream.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{Fal, input, plain};

const HOUR: Duration = Duration::from_secs(3600);

/// Reads one event or comment at a time.
struct Events {
    response: reqwest::Response,
    rest: String,
}

impl Events {
    async fn open(fal: &Fal, path: &str) -> Self {
        let response = fal.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        Self {
            response,
            rest: String::new(),
        }
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let event = event.to_owned();
                self.rest = rest.to_owned();
                return Some(event);
            }
            match self.response.chunk().await.unwrap() {
                Some(chunk) => self.rest.push_str(std::str::from_utf8(&chunk).unwrap()),
                None => return None,
            }
        }
    }

    async fn data(&mut self) -> Value {
        let event = self.next().await.unwrap();
        serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap()
    }
}

#[tokio::test]
async fn every_change_is_an_event_and_the_last_one_closes() {
    let fal = Fal::start(plain().concurrency(1).inference_time(HOUR)).await;
    let first = fal.submit(&input()).await;
    let second = fal.submit(&input()).await;
    let third = fal.submit(&input()).await;
    let mut events = Events::open(&fal, &third.path("/status/stream")).await;
    let queued = events.data().await;
    assert_eq!(
        (&queued["status"], &queued["queue_position"]),
        (&json!("IN_QUEUE"), &json!(1))
    );
    second.cancel().await;
    assert_eq!(events.data().await["queue_position"], 0);
    fal.emulator.advance(HOUR);
    first.finished().await;
    // Keep-alives of the hour that was skipped may come first.
    let running = loop {
        let event = events.next().await.unwrap();
        if let Some(data) = event.strip_prefix("data: ") {
            break serde_json::from_str::<Value>(data).unwrap();
        }
    };
    assert_eq!(running["status"], "IN_PROGRESS");
    assert_eq!(running["logs"], Value::Null);
    fal.emulator.advance(HOUR);
    let completed = loop {
        let event = events.next().await.unwrap();
        if let Some(data) = event.strip_prefix("data: ") {
            break serde_json::from_str::<Value>(data).unwrap();
        }
    };
    assert_eq!(completed["status"], "COMPLETED");
    assert!(completed["metrics"]["inference_time"].is_number());
    assert_eq!(
        completed["response_url"],
        json!(format!("{}{}", fal.emulator.origin(), third.path("")))
    );
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_comment_keeps_the_connection_alive() {
    let fal = Fal::start(plain().inference_time(HOUR)).await;
    let request = fal.submit(&input()).await;
    let mut events = Events::open(&fal, &request.path("/status/stream")).await;
    assert_eq!(events.data().await["status"], "IN_PROGRESS");
    for _ in 0..3 {
        fal.emulator.advance(Duration::from_secs(15));
        let comment = events.next().await.unwrap();
        assert!(comment.starts_with(':'), "{comment}");
    }
}

#[tokio::test]
async fn logs_are_incremental() {
    let fal = Fal::start(plain().inference_time(Duration::from_secs(8))).await;
    let request = fal.submit(&input()).await;
    let mut events = Events::open(&fal, &request.path("/status/stream?logs=1")).await;
    let mut seen = Vec::new();
    loop {
        let event = events.data().await;
        seen.extend(event["logs"].as_array().unwrap().clone());
        if event["status"] == "COMPLETED" {
            break;
        }
        fal.emulator.advance(Duration::from_secs(1));
    }
    let polled = fal.get(&request.path("/status?logs=1")).await.json();
    assert_eq!(json!(seen), polled["logs"]);
    assert!(seen.len() >= 5, "{seen:?}");
    for line in &seen {
        assert!(
            line["message"].is_string() && line["timestamp"].is_string(),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_finished_job_streams_one_event() {
    let fal = Fal::start(plain()).await;
    let request = fal.submit(&input()).await;
    request.finished().await;
    let mut events = Events::open(&fal, &request.path("/status/stream")).await;
    assert_eq!(events.data().await["status"], "COMPLETED");
    assert_eq!(events.next().await, None);
}
