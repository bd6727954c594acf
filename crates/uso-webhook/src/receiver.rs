//! A verifier with its keys.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;

use crate::keys::KeySource;
use crate::notification::Notification;
use crate::rejection::Rejection;
use crate::verifier::Verifier;

/// Verifies notifications with keys from a source. Clones are cheap and share the source.
///
/// ```
/// # use uso_webhook::{KeySet, Receiver, Verifier};
/// # fn example(keys: KeySet) {
/// let receiver = Receiver::new(keys).verifier(Verifier::new().max_body(1 << 20));
/// # }
/// ```
#[derive(Clone)]
pub struct Receiver {
    verifier: Verifier,
    keys: Arc<dyn KeySource>,
}

impl Receiver {
    /// A receiver with these keys and the default verifier.
    pub fn new(keys: impl KeySource + 'static) -> Self {
        Self {
            verifier: Verifier::new(),
            keys: Arc::new(keys),
        }
    }

    /// Sets another verifier than the default.
    #[must_use]
    pub fn verifier(mut self, verifier: Verifier) -> Self {
        self.verifier = verifier;
        self
    }

    /// The largest body, in bytes: code that reads the body stops there.
    pub fn body_limit(&self) -> usize {
        self.verifier.body_limit()
    }

    /// Verifies a request whose body was read whole. When no key fits, the source is asked for
    /// newer ones once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the request alone: fal sends a notification again that gets no
    /// response.
    ///
    /// # Errors
    ///
    /// A [`Rejection`], whose [`status`](Rejection::status) is the one to respond with.
    pub async fn receive(
        &self,
        request: Request<impl Into<Bytes>>,
    ) -> Result<Notification, Rejection> {
        let (parts, body) = request.into_parts();
        let body = body.into();
        // Malformed headers are rejected before keys are fetched.
        self.verifier.read(&parts.headers)?;
        let keys = self.keys.keys().await;
        let keys = keys.map_err(|error| Rejection::KeysUnavailable { why: error.0 })?;
        let mut verified = self.verifier.verify(&keys, &parts.headers, body.clone());
        if matches!(verified, Err(Rejection::NoKeyFits))
            && let Some(newer) = self.keys.newer(&keys).await
        {
            verified = self.verifier.verify(&newer, &parts.headers, body);
        }
        verified.map(|notification| notification.with_path(parts.uri.path()))
    }

    #[cfg(feature = "axum")]
    pub(crate) fn check_headers(&self, headers: &http::HeaderMap) -> Result<(), Rejection> {
        self.verifier.read(headers).map(drop)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}
