//! A service on this machine for properties: one response to every request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use uso::config::RetryPolicy;
use uso::{ApiKey, BaseUrls, Client, Config};

/// The secret that no message may repeat.
pub(super) const KEY: &str = "5e9a11d7-key:c0ffee00secret";

/// A service on this machine whose response to every request is the same.
pub(super) struct Service {
    pub(super) client: Client,
    config: Config,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Service {
    pub(super) async fn start(status: u16, content_type: &str, body: &[u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut response = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            body.len()
        )
        .into_bytes();
        response.extend_from_slice(body);
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let (response, kept) = (Arc::new(response), Arc::clone(&heads));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(respond(stream, Arc::clone(&response), Arc::clone(&kept)));
            }
        });
        let origin = format!("http://{address}");
        let urls = BaseUrls::single_origin(&origin).expect("an address of this machine");
        let key = ApiKey::new(KEY).expect("a key");
        // Short deadlines: a response that says "not yet" is asked for again until then.
        let config = Config::new(key, urls)
            .retry(RetryPolicy::default().attempts(1))
            .finish_within(Duration::from_millis(200))
            .without_reconciliation();
        let client = Client::new(config.clone()).expect("a client");
        Self {
            client,
            config,
            heads,
        }
    }

    pub(super) fn config(&self) -> Config {
        self.config.clone()
    }

    /// The head of each request in lower case.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no holder panics").clone()
    }

    /// The number of submits.
    pub(super) fn submits(&self) -> usize {
        let is_submit = |head: &&String| head.starts_with("post ");
        self.heads().iter().filter(is_submit).count()
    }

    pub(super) fn job(&self) -> uso::Job {
        self.client
            .job_by_id("3f1c9a52-7d0e-4c86-9a57-0f6b2f0c1d11")
            .expect("an id")
    }
}

/// Reads one request and sends the response.
async fn respond(mut stream: TcpStream, response: Arc<Vec<u8>>, heads: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&buffer[..read]),
        }
        let end = request.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0);
    heads.lock().expect("no holder panics").push(head);
    while request.len() < end + length {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&buffer[..read]),
        }
    }
    // The client may have hung up: that is the client's matter.
    let _ = stream.write_all(&response).await;
    let _ = stream.shutdown().await;
}
