//! Log of requests and of the responses that they got.
//!
//! Never a key, never a body. It keeps the newest entries only; the sequence numbers still tell
//! how many there were.

use std::collections::VecDeque;
use std::sync::Mutex;

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Version};
use serde::Serialize;
use serde_json::{Value, json};

use crate::lock::lock;
use crate::scenario::Operation;

/// Request that the emulator received.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LoggedRequest {
    /// Counts from 1 over the life of the emulator.
    pub sequence: u64,
    /// The connection it came on; counts from 1 over the life of the emulator.
    pub connection: u64,
    /// HTTP method.
    pub method: String,
    /// Host and port as the caller wrote them.
    pub host: String,
    /// Path as the caller wrote it.
    pub path: String,
    /// Query without its question mark; empty if there was none. Tokens in it are masked, and so are
    /// the addresses of webhooks.
    pub query: String,
    /// Status of the answer; nothing while there is none, and for ever if none is given.
    pub status: Option<u16>,
    /// Operation of the request.
    pub operation: Operation,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub http_version: String,
    /// The fault that a scenario put in its way, by name.
    pub fault: Option<String>,
    /// Whether it had an `Authorization` header.
    pub has_authorization: bool,
    /// The names of its `x-fal-*` and `x-app-fal-*` headers, sorted, each once.
    pub fal_headers: Vec<String>,
}

#[derive(Default)]
pub(crate) struct RequestLog(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    newest: VecDeque<LoggedRequest>,
    count: u64,
}

impl RequestLog {
    /// Requests that are kept; older ones are dropped.
    const KEPT: usize = 20_000;

    /// Notes a request as it arrives and gives its number.
    pub(crate) fn open(
        &self,
        parts: &Parts,
        host: &str,
        operation: Operation,
        connection: u64,
    ) -> u64 {
        let mut entries = lock(&self.0);
        entries.count += 1;
        let sequence = entries.count;
        if entries.newest.len() >= Self::KEPT {
            entries.newest.pop_front();
        }
        entries.newest.push_back(LoggedRequest {
            sequence,
            connection,
            method: parts.method.to_string(),
            host: host.to_owned(),
            path: parts.uri.path().to_owned(),
            query: masked(parts.uri.query().unwrap_or_default()),
            status: None,
            operation,
            http_version: version(parts.version).to_owned(),
            fault: None,
            has_authorization: parts.headers.contains_key(AUTHORIZATION),
            fal_headers: fal_headers(&parts.headers),
        });
        sequence
    }

    pub(crate) fn strike(&self, sequence: u64, fault: &str) {
        self.with(sequence, |entry| entry.fault = Some(fault.to_owned()));
    }

    pub(crate) fn close(&self, sequence: u64, status: u16) {
        self.with(sequence, |entry| entry.status = Some(status));
    }

    pub(crate) fn snapshot(&self) -> Vec<LoggedRequest> {
        lock(&self.0).newest.iter().cloned().collect()
    }

    /// How many requests there were.
    pub(crate) fn count(&self) -> u64 {
        lock(&self.0).count
    }

    /// At most so many requests, the newest first.
    pub(crate) fn newest(&self, most: usize) -> Vec<Value> {
        let entries = lock(&self.0);
        let newest = entries.newest.iter().rev().take(most);
        newest.map(|entry| json!(entry)).collect()
    }

    fn with(&self, sequence: u64, change: impl FnOnce(&mut LoggedRequest)) {
        let mut entries = lock(&self.0);
        let first = entries.count + 1 - entries.newest.len() as u64;
        let place = sequence
            .checked_sub(first)
            .and_then(|place| usize::try_from(place).ok());
        if let Some(entry) = place.and_then(|place| entries.newest.get_mut(place)) {
            change(entry);
        }
    }
}

fn fal_headers(headers: &HeaderMap) -> Vec<String> {
    let names = headers.keys().map(http::HeaderName::as_str);
    let mut names: Vec<String> = names
        .filter(|name| name.starts_with("x-fal-") || name.starts_with("x-app-fal-"))
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names
}

/// A token in the query is a credential, and a webhook's address may prove whose request it is.
fn masked(query: &str) -> String {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name @ ("fal_jwt_token" | "fal_webhook"), _)) => format!("{name}=..."),
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_bounded_and_keeps_its_numbers() {
        let log = RequestLog::default();
        let (parts, ()) = http::Request::builder()
            .uri("/a?b=1")
            .body(())
            .unwrap()
            .into_parts();
        for _ in 0..RequestLog::KEPT + 5 {
            log.open(&parts, "h", Operation::Status, 1);
        }
        log.close(3, 200);
        log.close(7, 202);
        let kept = log.snapshot();
        assert_eq!(kept.len(), RequestLog::KEPT);
        assert_eq!((kept[0].sequence, kept[0].status), (6, None));
        assert_eq!((kept[1].sequence, kept[1].status), (7, Some(202)));
    }

    #[test]
    fn tokens_are_masked() {
        assert_eq!(
            masked("a=1&fal_jwt_token=secret&b=2"),
            "a=1&fal_jwt_token=...&b=2"
        );
        assert_eq!(masked("fal_jwt_token=secret"), "fal_jwt_token=...");
        assert_eq!(
            masked("fal_webhook=http%3A%2F%2Fh%2Fsecret&a=1"),
            "fal_webhook=...&a=1"
        );
        assert_eq!(masked("logs=1"), "logs=1");
    }
}
