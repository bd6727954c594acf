//! A purchase before it is sent: its input, and what is worth writing down about it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::endpoint::EndpointId;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::fingerprint::{Fingerprint, Inspected};
use crate::storage::Lifecycle;
use crate::ticket::{InvalidRequestId, Ticket};
use crate::webhook::{Attempt, Webhook};

/// A purchase that is ready to be sent.
///
/// ```
/// use std::time::Duration;
/// use uso_transport::{EndpointId, Order};
///
/// let input = br#"{"input_image_urls":["https://example.org/a.png"],"seed":7}"#;
/// let order = Order::new(EndpointId::uso(), input.to_vec(), Duration::from_secs(600))?;
/// assert_eq!(order.intent().seed(), Some(7));
/// # Ok::<(), uso_transport::Error>(())
/// ```
#[derive(Clone)]
pub struct Order {
    intent: Intent,
    input: Bytes,
    lifecycle: Option<HeaderValue>,
    webhook: Option<Webhook>,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The input holds prompts and pictures.
        f.debug_struct("Order")
            .field("intent", &self.intent)
            .finish_non_exhaustive()
    }
}

/// What finds a purchase again whose answer was lost: neither prompt nor picture nor key, so that
/// it can be written down before the purchase is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    endpoint: EndpointId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    fingerprint: Fingerprint,
    made_at_ms: u64,
    start_within_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<Attempt>,
}

impl Order {
    /// An order of this input, a JSON object, that the service is to start within this time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when the input is no JSON object, [`ErrorKind::Config`] when the start
    /// deadline is a second or less: both official clients refuse that, as older documentation of
    /// the service does.
    pub fn new(
        endpoint: EndpointId,
        input: impl Into<Bytes>,
        start_within: Duration,
    ) -> Result<Self> {
        let input = input.into();
        if start_within <= Duration::from_secs(1) {
            let message = format!(
                "the start deadline of {} s is too short",
                start_within.as_secs_f64()
            );
            return Err(Error::new(Operation::Prepare, ErrorKind::Config, message)
                .with_hint("give it more than one second"));
        }
        let refuse = || {
            Error::new(
                Operation::Prepare,
                ErrorKind::Input,
                "the input is not a JSON object",
            )
        };
        let inspected: Inspected = serde_json::from_slice(&input).map_err(|_| refuse())?;
        if !inspected.is_object {
            return Err(refuse());
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let milliseconds = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let intent = Intent {
            endpoint,
            seed: inspected.seed,
            fingerprint: inspected.fingerprint,
            made_at_ms: milliseconds(now),
            start_within_ms: milliseconds(start_within),
            attempt: None,
        };
        Ok(Self {
            intent,
            input,
            lifecycle: None,
            webhook: None,
        })
    }

    /// How long the service keeps what is made, and who may read it.
    #[must_use]
    pub fn with_lifecycle(mut self, lifecycle: &Lifecycle) -> Self {
        self.lifecycle = lifecycle.header();
        self
    }

    pub(crate) fn lifecycle(&self) -> Option<&HeaderValue> {
        self.lifecycle.as_ref()
    }

    /// Has the end of the job announced there. A notification there proves whose job it is, also when
    /// the submit's answer was lost; see [`Intent::recognises`].
    #[must_use]
    pub fn with_webhook(mut self, webhook: Webhook) -> Self {
        self.intent.attempt = Some(webhook.attempt().clone());
        self.webhook = Some(webhook);
        self
    }

    pub(crate) fn webhook(&self) -> Option<&Webhook> {
        self.webhook.as_ref()
    }

    /// What is worth writing down before the order is sent.
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    pub(crate) fn input(&self) -> Bytes {
        self.input.clone()
    }
}

impl Intent {
    /// The endpoint that is to run it.
    pub fn endpoint(&self) -> &EndpointId {
        &self.endpoint
    }

    /// The seed that the input is pinned to.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// The fingerprint of the input.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// When the order was made, by this machine's clock.
    pub fn made_at(&self) -> SystemTime {
        UNIX_EPOCH
            .checked_add(Duration::from_millis(self.made_at_ms))
            .unwrap_or(UNIX_EPOCH)
    }

    /// How long after the submit the service may still start it.
    pub fn start_within(&self) -> Duration {
        Duration::from_millis(self.start_within_ms)
    }

    /// Whether the last segment of a webhook's path is this purchase's attempt id. Only the digest
    /// of the id is kept here, so that what is written down cannot be used to forge one.
    ///
    /// ```
    /// use std::time::Duration;
    /// use uso_transport::{EndpointId, Order, Webhook};
    ///
    /// let order = Order::new(EndpointId::uso(), &b"{}"[..], Duration::from_secs(600))?
    ///     .with_webhook(Webhook::new("https://example.org/hook")?);
    /// assert!(!order.intent().recognises("hook"));
    /// # Ok::<(), uso_transport::Error>(())
    /// ```
    pub fn recognises(&self, attempt_id: &str) -> bool {
        self.attempt.as_ref() == Some(&Attempt::of(attempt_id))
    }

    /// The SHA-256 of the attempt id in lower-case hex, to find this purchase by a notification:
    /// `Notification::attempt_digest` of `uso-webhook` equals it.
    pub fn attempt_digest(&self) -> Option<&str> {
        self.attempt.as_ref().map(Attempt::digest)
    }

    /// Whether a notification could prove this purchase: it was made with a webhook.
    pub fn has_webhook(&self) -> bool {
        self.attempt.is_some()
    }

    /// The ticket of this purchase, once something has proved that this request is it.
    ///
    /// # Errors
    ///
    /// When the text cannot be a request id.
    pub fn ticket(&self, request_id: impl Into<String>) -> Result<Ticket, InvalidRequestId> {
        Ok(Ticket::for_request(self.endpoint.clone(), request_id)?.of_intent(self))
    }
}
