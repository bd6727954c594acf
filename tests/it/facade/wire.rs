//! What the options of a request and of a client are on the wire, and what an error says of it.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use uso::config::{HttpOptions, RetryPolicy};
use uso::upload::Lifecycle;
use uso::{Client, Config, ErrorKind, Request};
use uso_tests::rig::config_for;

/// The head of a submit, in lower case, and the error of its refusal.
async fn submitted(request: Request, configure: impl FnOnce(Config) -> Config) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::new(configure(config_for(&origin).unwrap())).unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.windows(4).any(|window| window == b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let refusal = "HTTP/1.1 401 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(refusal.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap().to_lowercase()
    });
    let error = client.submit(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    served.await.unwrap()
}

fn request() -> Request {
    Request::subject("https://example.org/a.png", "x")
}

#[tokio::test]
async fn each_option_of_a_request_is_its_header_and_is_sent_only_when_asked_for() {
    let day = Lifecycle::new().expires_after(Duration::from_secs(86_400));
    let all = request()
        .start_within(Duration::from_secs(90))
        .lifecycle(day)
        .low_priority(true)
        .without_service_retries()
        .without_history();
    let head = submitted(all, |config| config).await;
    assert!(
        head.starts_with("post /queue/fal-ai/uso http/1.1"),
        "{head}"
    );
    let optional = [
        "x-fal-object-lifecycle-preference: {\"expiration_duration_seconds\":86400}",
        "x-fal-queue-priority: low",
        "x-fal-no-retry: 1",
        "x-fal-store-io: 0",
    ];
    for line in ["x-fal-request-timeout: 90"].iter().chain(&optional) {
        assert!(head.lines().any(|sent| sent == *line), "{line}: {head}");
    }
    let head = submitted(request(), |config| config).await;
    for line in optional {
        let name = line.split(':').next().unwrap();
        assert!(!head.contains(name), "{name}: {head}");
    }
    assert!(head.contains("x-fal-request-timeout: 600"), "{head}");
}

#[tokio::test]
async fn the_headers_of_the_http_options_are_sent_and_none_replaces_the_key() {
    let options = HttpOptions::new()
        .user_agent("a-shop/1.0")
        .header("x-trace", "t-1");
    let head = submitted(request(), |config| config.http(options)).await;
    for line in [
        "user-agent: a-shop/1.0",
        "x-trace: t-1",
        "authorization: key test-id:test-secret",
    ] {
        assert!(head.lines().any(|sent| sent == line), "{line}: {head}");
    }
}

#[tokio::test]
async fn an_error_of_a_connection_names_the_host_and_claims_nothing_of_the_job() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = free.local_addr().unwrap().to_string();
    drop(free);
    let config = config_for(&format!("http://{host}")).unwrap();
    let config = config.retry(RetryPolicy::default().attempts(1));
    let client = Client::new(config).unwrap();
    let job = client
        .job_by_id("3f1c9a52-7d0e-4c86-9a57-0f6b2f0c1d11")
        .unwrap();
    for error in [
        client.submit(request()).await.unwrap_err(),
        job.status().await.unwrap_err(),
        job.output().await.unwrap_err(),
        job.cancel().await.unwrap_err(),
    ] {
        assert_eq!(error.host(), Some(host.as_str()), "{error}");
        assert!(error.to_string().contains(&host), "{error}");
        assert!(!error.to_string().contains("the job"), "{error}");
    }
}
