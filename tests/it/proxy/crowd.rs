//! Many callers at once.

use std::future::pending;
use std::sync::Arc;

use http::HeaderMap;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uso_cli::serve::{Limits, serve};
use uso_proxy::{Caller, Proxy, Settings};
use uso_tests::rig::{Rig, config_for};
use uso_transport::Transport;

use super::client;

const CALLERS: usize = 200;
const JOBS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_callers_get_their_own_pictures_and_no_others() {
    let builder = Rig::plain_builder().concurrency(CALLERS);
    let emulator = builder.start().await.unwrap();
    let transport = Transport::new(config_for(&emulator.origin()).unwrap()).unwrap();
    let proxy = Proxy::new(
        transport,
        Settings::new(),
        |headers: HeaderMap| async move {
            let name = headers.get("x-caller")?.to_str().ok()?;
            Some(Caller::new(name))
        },
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = proxy.router();
    let limits = Limits::default();
    tokio::spawn(serve(listener, router, limits, |_| true, pending()));

    let page = Arc::new(Page {
        url,
        client: client(),
    });
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| tokio::spawn(live(Arc::clone(&page), caller)))
        .collect();
    let mut last = Vec::new();
    for caller in callers {
        last.push(caller.await.unwrap());
    }
    // No caller reaches the request of another.
    for (caller, id) in last.iter().enumerate() {
        let (status, _) = page.ask((caller + 1) % CALLERS, "GET", id, "").await;
        assert_eq!(status, 404);
    }
    assert_eq!(emulator.ledger().purchases().len(), CALLERS * JOBS);
    let requests = emulator.requests();
    let is_fine = |status| matches!(status, Some(200 | 202));
    assert!(requests.iter().all(|request| is_fine(request.status)));
}

struct Page {
    url: String,
    client: reqwest::Client,
}

impl Page {
    async fn ask(&self, caller: usize, method: &str, id: &str, tail: &str) -> (u16, Value) {
        let target = format!("https://queue.fal.run/fal-ai/uso/requests/{id}{tail}");
        self.send(caller, method, &target, String::new()).await
    }

    async fn send(&self, caller: usize, method: &str, target: &str, body: String) -> (u16, Value) {
        let request = self.client.request(method.parse().unwrap(), &self.url);
        let request = request
            .header("x-caller", format!("caller-{caller}"))
            .header("x-fal-target-url", target);
        let response = request.body(body).send().await.unwrap();
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

/// One caller's jobs, and the id of the last.
async fn live(page: Arc<Page>, caller: usize) -> String {
    let mut last = String::new();
    for job in 0..JOBS {
        let seed = caller * JOBS + job;
        let prompt = format!("a picture for caller {caller}");
        let input = json!({
            "input_image_urls": ["https://example.org/a.png"],
            "prompt": prompt,
            "seed": seed,
        });
        let submit = "https://queue.fal.run/fal-ai/uso";
        let (status, submitted) = page.send(caller, "POST", submit, input.to_string()).await;
        assert_eq!(status, 200, "{submitted}");
        let id = submitted["request_id"].as_str().unwrap().to_owned();
        loop {
            let (_, status) = page.ask(caller, "GET", &id, "/status?logs=0").await;
            assert_eq!(status["request_id"], id.as_str());
            if status["status"] == "COMPLETED" {
                break;
            }
            tokio::task::yield_now().await;
        }
        let (status, result) = page.ask(caller, "GET", &id, "").await;
        assert_eq!(status, 200, "{result}");
        assert_eq!(result["seed"], seed);
        assert_eq!(result["prompt"], prompt.as_str());
        last = id;
    }
    last
}
