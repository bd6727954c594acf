//! The emulator as any HTTP client sees it: nothing of the project's own client takes part.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests end where tests would"
)]

mod faults;
mod hosts;
mod model;
mod odd;
mod page;
mod platform;
mod queue;
mod storage;
mod stream;

use std::sync::Arc;

use http::{HeaderMap, Method};
use serde_json::{Value, json};
use uso_emulator::{Emulator, EmulatorBuilder, PictureMode};

const KEY: &str = "Key some-id:some-secret";

struct Fal {
    emulator: Emulator,
    http: reqwest::Client,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&self.bytes)))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// An emulator that draws what it is asked for.
fn with_pictures() -> EmulatorBuilder {
    Emulator::builder().picture(PictureMode::Restyled)
}

/// An emulator for everything but pictures.
fn plain() -> EmulatorBuilder {
    Emulator::builder().picture(PictureMode::Plain)
}

impl Fal {
    async fn start(builder: EmulatorBuilder) -> Self {
        Self {
            emulator: builder.start().await.unwrap(),
            http: http(rustls::RootCertStore::empty(), &[]).build().unwrap(),
        }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.emulator.origin())
        };
        self.http.request(method, url).header("authorization", KEY)
    }

    async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::POST, path).body(body.to_string()))
            .await
            .unwrap()
    }

    async fn submit(&self, input: &Value) -> Request<'_> {
        let answer = self.post("/queue/fal-ai/uso", input).await;
        assert_eq!(answer.status, 200);
        self.accepted(answer)
    }

    fn accepted(&self, answer: Answer) -> Request<'_> {
        let id = answer.json()["request_id"].as_str().unwrap().to_owned();
        Request { fal: self, id }
    }

    /// The output of an input, by the queue.
    async fn output(&self, input: &Value) -> Value {
        let request = self.submit(input).await;
        request.finished().await;
        let result = request.result().await;
        assert_eq!(result.status, 200, "{}", result.json());
        result.json()
    }
}

struct Request<'a> {
    fal: &'a Fal,
    id: String,
}

impl Request<'_> {
    fn path(&self, rest: &str) -> String {
        format!("/queue/fal-ai/uso/requests/{}{rest}", self.id)
    }

    async fn status(&self) -> Answer {
        self.fal.get(&self.path("/status")).await
    }

    async fn result(&self) -> Answer {
        self.fal.get(&self.path("")).await
    }

    async fn cancel(&self) -> Answer {
        answer(self.fal.request(Method::PUT, &self.path("/cancel")))
            .await
            .unwrap()
    }

    /// Returns once it is completed, which is when the service closes the stream.
    async fn finished(&self) {
        let stream = self.fal.get(&self.path("/status/stream")).await;
        let text = String::from_utf8(stream.bytes).unwrap();
        assert!(text.contains("\"status\":\"COMPLETED\""), "{text}");
    }
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        bytes: response.bytes().await?.to_vec(),
    })
}

/// Trusts these roots and offers these protocols.
pub(crate) fn http(roots: rustls::RootCertStore, protocols: &[&str]) -> reqwest::ClientBuilder {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    reqwest::Client::builder()
        .use_preconfigured_tls(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
}

/// An input that passes the schema; plain pictures do not look at the address.
fn input() -> Value {
    json!({ "input_image_urls": ["https://example.org/content.png"], "seed": 7 })
}
