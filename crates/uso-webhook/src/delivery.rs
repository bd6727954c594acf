//! A delivery that is fal's.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::notification::Notification;

/// A delivery that verified: fal sent it, and none of it was altered.
#[derive(Clone)]
pub struct Delivery {
    pub(crate) request_id: String,
    pub(crate) user_id: String,
    pub(crate) signed_at: i64,
    pub(crate) path: Option<String>,
    pub(crate) notification: Notification,
    pub(crate) body: Bytes,
}

impl Delivery {
    /// The request that it is about: the queue's request id.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The fal user id of the account that made the request.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// When it was signed, by fal's clock.
    pub fn signed_at(&self) -> SystemTime {
        let span = Duration::from_secs(self.signed_at.unsigned_abs());
        let time = if self.signed_at < 0 {
            UNIX_EPOCH.checked_sub(span)
        } else {
            UNIX_EPOCH.checked_add(span)
        };
        time.unwrap_or(UNIX_EPOCH)
    }

    /// What it says.
    pub fn notification(&self) -> &Notification {
        &self.notification
    }

    /// The body as it came.
    pub fn raw_body(&self) -> &Bytes {
        &self.body
    }

    /// What deliveries of the same request have in common, so that one of them is handled: the
    /// request id, which is opaque, at most 256 bytes long, and never empty.
    pub fn dedupe_key(&self) -> &str {
        &self.request_id
    }

    /// Notes the path that was called, where [`Receiver`](crate::Receiver) did not see it.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The last segment of the path that was called, without its query. For a request whose webhook
    /// the facade `uso` made, this is the attempt id, which proves whose request it is.
    ///
    /// ```
    /// # fn example(delivery: uso_webhook::Delivery) {
    /// let delivery = delivery.with_path("/hooks/0f1f9b40d4bdfb6a426921d141aee52f?tenant=7");
    /// assert_eq!(delivery.last_segment(), Some("0f1f9b40d4bdfb6a426921d141aee52f"));
    /// # }
    /// ```
    pub fn last_segment(&self) -> Option<&str> {
        let path = self.path.as_deref()?.split(['?', '#']).next()?;
        let last = path.trim_end_matches('/').rsplit('/').next();
        last.filter(|segment| !segment.is_empty())
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The path proves whose request it is, and the body holds prompts and pictures.
        f.debug_struct("Delivery")
            .field("request_id", &self.request_id)
            .field("user_id", &self.user_id)
            .field("signed_at", &self.signed_at)
            .field("notification", &self.notification)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}
