//! A verified notification: fal says that a request has ended, and how.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use uso_types::UsoOutput;

use crate::body::{Body, text_of};
use crate::hex::hex;
use crate::status::{NoOutput, NotificationStatus};

/// A verified notification (fal docs, webhooks): fal sent it, and no byte was altered.
#[derive(Clone)]
pub struct Notification {
    pub(crate) request_id: String,
    pub(crate) user_id: String,
    pub(crate) signed_at: i64,
    pub(crate) path: Option<String>,
    pub(crate) body: Body,
    pub(crate) raw_body: Bytes,
}

impl Notification {
    /// The queue's request id of the request that has ended.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The fal user id of the account that made the request.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The time of the signature, by fal's clock.
    pub fn signed_at(&self) -> SystemTime {
        let span = Duration::from_secs(self.signed_at.unsigned_abs());
        let time = if self.signed_at < 0 {
            UNIX_EPOCH.checked_sub(span)
        } else {
            UNIX_EPOCH.checked_add(span)
        };
        time.unwrap_or(UNIX_EPOCH)
    }

    /// End of the request.
    pub fn status(&self) -> &NotificationStatus {
        &self.body.status
    }

    /// The id of the last attempt that fal made for the request; opaque, and another than the
    /// request's own when fal tried again.
    pub fn gateway_request_id(&self) -> Option<&str> {
        self.body.gateway_request_id.as_deref()
    }

    /// The model's output, or its error details; `None` when fal could not include them.
    pub fn payload(&self) -> Option<&Value> {
        self.body.payload.as_ref()
    }

    /// fal's error as it came: a text such as `Invalid status code: 422`, or an object.
    pub fn error(&self) -> Option<&Value> {
        self.body.error.as_ref()
    }

    /// Why the payload could not be included, as it came.
    pub fn payload_error(&self) -> Option<&Value> {
        self.body.payload_error.as_ref()
    }

    /// Fields that are not documented, as they came.
    pub fn other(&self) -> &Map<String, Value> {
        &self.body.other
    }

    /// Whether the body had to be repaired, since strict JSON has no `NaN`, no infinity and no half
    /// of a surrogate pair.
    pub fn is_repaired(&self) -> bool {
        self.body.is_repaired
    }

    /// The body as it came.
    pub fn raw_body(&self) -> &Bytes {
        &self.raw_body
    }

    /// The endpoint's output: pictures that the payload has, whatever the status says.
    ///
    /// # Errors
    ///
    /// A [`NoOutput`] that says whether the request failed or the output has to be fetched from the
    /// queue.
    pub fn output(&self) -> Result<UsoOutput, NoOutput> {
        let payload = self.body.payload.as_ref();
        let output = payload.map(|payload| UsoOutput::from_value_lossy(payload.clone()));
        let has_pictures =
            |output: &UsoOutput| output.images.as_ref().is_some_and(|list| !list.is_empty());
        match (output, &self.body.status) {
            (Some(Ok((output, _))), _) if has_pictures(&output) => Ok(output),
            (_, NotificationStatus::Error) => Err(NoOutput::Failed {
                error: self.body.error.as_ref().map(text_of),
            }),
            (_, NotificationStatus::Other(word)) => {
                Err(NoOutput::UnknownStatus { word: word.clone() })
            }
            (None, NotificationStatus::Ok) => Err(NoOutput::Withheld {
                why: self.body.payload_error.as_ref().map(text_of),
            }),
            (Some(_), NotificationStatus::Ok) => Err(NoOutput::Malformed),
        }
    }

    /// Sets the path of the request, where [`Receiver`](crate::Receiver) did not see it.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The attempt id: the last segment of the path, without the query. For a request whose webhook
    /// the facade `uso` made, it proves whose request this is.
    ///
    /// ```
    /// # fn example(notification: uso_webhook::Notification) {
    /// let notification = notification.with_path("/hooks/0f1f9b40d4bdfb6a426921d141aee52f?tenant=7");
    /// assert_eq!(notification.attempt_id(), Some("0f1f9b40d4bdfb6a426921d141aee52f"));
    /// # }
    /// ```
    pub fn attempt_id(&self) -> Option<&str> {
        let last = self.bare_path().trim_end_matches('/').rsplit('/').next();
        last.filter(|segment| !segment.is_empty())
    }

    /// The SHA-256 of the attempt id in lower-case hex, to find the purchase in a database by. It
    /// equals the digest in the purchase's `uso::Intent`, which does not reveal the address of the
    /// webhook.
    pub fn attempt_digest(&self) -> Option<String> {
        let id = self.attempt_id()?;
        Some(hex(&Sha256::digest(id.as_bytes())))
    }

    /// The key to deduplicate by: 64 characters that stand for the request id and the path.
    ///
    /// The path is a part because the signature does not cover it: a genuine notification that is
    /// sent to another path first must not make the one on the right path look repeated.
    pub fn deduplication_key(&self) -> String {
        let mut digest = Sha256::new();
        // No request id has a line break, since it comes from a header.
        digest.update(self.request_id.as_bytes());
        digest.update(b"\n");
        digest.update(self.bare_path().as_bytes());
        hex(&digest.finalize())
    }

    fn bare_path(&self) -> &str {
        let path = self.path.as_deref().unwrap_or_default();
        path.split(['?', '#']).next().unwrap_or_default()
    }
}

impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The path proves whose request it is, and the body holds prompts and pictures.
        f.debug_struct("Notification")
            .field("request_id", &self.request_id)
            .field("user_id", &self.user_id)
            .field("signed_at", &self.signed_at)
            .field("status", &self.body.status)
            .field("has_payload", &self.body.payload.is_some())
            .field("body_len", &self.raw_body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &'static str) -> Notification {
        Notification {
            request_id: "r-1".to_owned(),
            user_id: "u-1".to_owned(),
            signed_at: 0,
            path: None,
            body: Body::read(body.as_bytes(), "r-1").unwrap(),
            raw_body: body.into(),
        }
    }

    #[test]
    fn every_documented_shape_is_told_apart() {
        let made = read(
            r#"{"request_id":"r-1","gateway_request_id":"g-2","status":"OK","new":[1],
                "payload":{"images":[{"url":"https://example.org/a.png"}],"seed":15860307465884635512}}"#,
        );
        assert_eq!(
            made.output().unwrap().seed,
            Some(15_860_307_465_884_635_512)
        );
        assert_eq!(made.gateway_request_id(), Some("g-2"));
        assert_eq!(made.other()["new"], serde_json::json!([1]));

        let failed = read(
            r#"{"request_id":"r-1","status":"ERROR","error":"Invalid status code: 422","payload":{"detail":[]}}"#,
        );
        let why = failed.output().unwrap_err();
        assert_eq!(
            why.to_string(),
            "the request failed: Invalid status code: 422"
        );
        assert!(!why.is_worth_fetching());
        assert!(failed.payload().is_some());

        let withheld = read(
            r#"{"request_id":"r-1","status":"OK","payload":null,"payload_error":"too large"}"#,
        );
        let why = withheld.output().unwrap_err();
        assert_eq!(
            why,
            NoOutput::Withheld {
                why: Some("too large".to_owned())
            }
        );
        assert!(why.is_worth_fetching());
    }

    #[test]
    fn pictures_count_whatever_else_the_body_says() {
        for body in [
            r#"{"status":"OK","error":{"type":"x"},"payload":{"images":[{"url":"https://e.org/a.png"}]}}"#,
            r#"{"status":"ERROR","error":["x"],"payload":{"images":[{"url":"https://e.org/a.png"}]}}"#,
            r#"{"status":7,"payload":{"images":[{"url":"https://e.org/a.png"}]}}"#,
        ] {
            let output = read(body).output();
            assert_eq!(output.unwrap().images.map(|images| images.len()), Some(1));
        }
        let failed = read(r#"{"status":"ERROR","error":{"type":"x"}}"#);
        let why = failed.output().unwrap_err().to_string();
        assert_eq!(why, r#"the request failed: {"type":"x"}"#);
    }

    #[test]
    fn a_status_or_a_payload_that_is_not_documented_is_worth_fetching() {
        let new = read(r#"{"request_id":"r-1","status":"PARTIAL","payload":{}}"#);
        assert_eq!(new.status().as_str(), "PARTIAL");
        assert!(new.output().unwrap_err().is_worth_fetching());
        assert_eq!(read("{}").status().as_str(), "");
        let empty = read(r#"{"status":"OK","payload":{"images":[]}}"#);
        assert_eq!(empty.output(), Err(NoOutput::Malformed));
    }

    #[test]
    fn the_deduplication_key_has_the_request_and_the_path_without_its_query() {
        let at = |path: &str| read("{}").with_path(path).deduplication_key();
        assert_eq!(at("/a/b?x=1"), at("/a/b"));
        assert_ne!(at("/a/b"), at("/a/c"));
        let mut other = read("{}").with_path("/a/b");
        other.request_id = "r-2".to_owned();
        assert_ne!(other.deduplication_key(), at("/a/b"));
    }
}
