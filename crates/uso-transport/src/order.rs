//! Order: a purchase that is ready to be sent.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::endpoint::EndpointId;
use crate::error::{Error, Result};
use crate::fingerprint::Inspected;
use crate::intent::Intent;
use crate::kind::{Delivery, ErrorKind, Operation};
use crate::lifecycle::Lifecycle;
use crate::verdict::Verdict;
use crate::webhook::Webhook;

const START_TIMEOUT: HeaderName = HeaderName::from_static("x-fal-request-timeout");
const OBJECT_LIFECYCLE: HeaderName = HeaderName::from_static("x-fal-object-lifecycle-preference");
const QUEUE_PRIORITY: HeaderName = HeaderName::from_static("x-fal-queue-priority");
const NO_RETRY: HeaderName = HeaderName::from_static("x-fal-no-retry");
const STORE_IO: HeaderName = HeaderName::from_static("x-fal-store-io");

/// Condition under which a purchase may be sent.
#[derive(Clone)]
pub(crate) struct Guard(Arc<dyn Fn() -> bool + Send + Sync>);

impl Guard {
    pub(crate) fn new(holds: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(holds))
    }

    pub(crate) fn allows(&self) -> bool {
        (self.0)()
    }
}

/// A purchase that is ready to be sent.
///
/// An order and its clones buy once. [`Order::again`] makes the order of another purchase of the
/// same input, with an intent of its own. Where the intent is written down and the order was made
/// some time ago, place [`Order::again`], whose intent is dated anew: ten minutes after its intent was
/// made, an order is sent once and not again, also where the service refuses it with 429.
///
/// ```
/// use std::time::Duration;
/// # use uso_transport::{EndpointId, Order};
///
/// let input = br#"{"input_image_urls":["https://example.org/a.png"],"seed":7}"#;
/// let order = Order::new(EndpointId::uso(), input.to_vec(), Duration::from_secs(600))?;
/// assert_eq!(order.intent().seed(), Some(7));
/// # Ok::<(), uso_transport::Error>(())
/// ```
#[derive(Clone)]
pub struct Order(Arc<Content>);

/// Shared by the clones of an order.
#[derive(Clone)]
struct Content {
    intent: Intent,
    input: Bytes,
    headers: HeaderMap,
    webhook: Option<Webhook>,
    guard: Option<Guard>,
    /// The order was sent, or is being sent, and it is not known that nothing was bought.
    is_placed: Arc<AtomicBool>,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The input holds prompts and pictures.
        f.debug_struct("Order")
            .field("intent", &self.0.intent)
            .finish_non_exhaustive()
    }
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
        let seconds = start_within.as_secs_f64();
        if start_within <= Duration::from_secs(1) {
            let message = format!("the start deadline of {seconds} s is too short");
            return Err(Error::new(Operation::Prepare, ErrorKind::Config, message)
                .with_hint("give it more than one second"));
        }
        let inspected = serde_json::from_slice::<Inspected>(&input).ok();
        let Some(inspected) = inspected.filter(|inspected| inspected.is_object) else {
            let message = "the input is not a JSON object";
            return Err(Error::new(Operation::Prepare, ErrorKind::Input, message));
        };
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::try_from(seconds.to_string()) {
            headers.insert(START_TIMEOUT, value);
        }
        Ok(Self(Arc::new(Content {
            intent: Intent::new(endpoint, inspected, start_within),
            input,
            headers,
            webhook: None,
            guard: None,
            is_placed: Arc::default(),
        })))
    }

    /// The same order for another purchase: made now, and notified under an address of its own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when the system has no randomness for the address of the webhook.
    pub fn again(&self) -> Result<Self> {
        let mut content = Content::clone(&self.0);
        content.intent.make_now();
        content.is_placed = Arc::default();
        if let Some(webhook) = content.webhook.take() {
            let webhook = webhook.again()?;
            content.intent.set_attempt(webhook.attempt().clone());
            content.webhook = Some(webhook);
        }
        Ok(Self(Arc::new(content)))
    }

    /// Says how long the service keeps the files that the job makes, and who may read them.
    #[must_use]
    pub fn with_lifecycle(mut self, lifecycle: &Lifecycle) -> Self {
        match lifecycle.header() {
            Some(value) => self.headers_mut().insert(OBJECT_LIFECYCLE, value),
            None => self.headers_mut().remove(OBJECT_LIFECYCLE),
        };
        self
    }

    /// Lets the job wait behind every request of normal priority (`X-Fal-Queue-Priority: low`).
    #[must_use]
    pub fn with_low_priority(self) -> Self {
        self.with_header(QUEUE_PRIORITY, "low")
    }

    /// Switches off the retries that the service itself makes when a runner fails
    /// (`X-Fal-No-Retry: 1`).
    #[must_use]
    pub fn without_service_retries(self) -> Self {
        self.with_header(NO_RETRY, "1")
    }

    /// Keeps input and output out of the account's history (`X-Fal-Store-IO: 0`).
    ///
    /// Two things are lost with it: the result is kept for an hour only, or six minutes from 10 KB
    /// on, and a purchase whose response was lost cannot be found in the account's listing.
    #[must_use]
    pub fn without_history(mut self) -> Self {
        Arc::make_mut(&mut self.0).intent.unlisted();
        self.with_header(STORE_IO, "0")
    }

    /// Sets the webhook that the service notifies when the job ends. A notification proves whose job it
    /// is, even if the response to the submit was lost; see [`Intent::recognises`].
    #[must_use]
    pub fn with_webhook(mut self, webhook: Webhook) -> Self {
        let content = Arc::make_mut(&mut self.0);
        content.intent.set_attempt(webhook.attempt().clone());
        content.webhook = Some(webhook);
        self
    }

    /// Sends the order only while this holds, which is asked when the connection takes the first byte
    /// of the body. Otherwise nothing is sent, and the error is of the kind [`ErrorKind::Deadline`].
    ///
    /// For a caller whose permission to buy can end while the process is frozen, such as the holder
    /// of a lease. What remains is the time between this question and the system's write.
    #[must_use]
    pub fn only_while(mut self, holds: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.0).guard = Some(Guard::new(holds));
        self
    }

    /// Buys the order, unless it was bought before, or may have been.
    pub(crate) async fn once<T>(&self, buying: impl Future<Output = Result<T>>) -> Result<T> {
        let is_placed = &self.0.is_placed;
        if is_placed.swap(true, Ordering::AcqRel) {
            let message = "the order was placed before, and an order buys once; nothing was sent";
            let hint = "look the purchase up by its intent; for another one, place Order::again";
            let error = Error::new(Operation::Submit, ErrorKind::OutcomeUnknown, message);
            let error = error.with_delivery(Delivery::Unknown).with_hint(hint);
            return Err(error.with_intent(self.intent()));
        }
        let bought = buying.await;
        if let Err(error) = &bought
            && error.verdict() == Verdict::NotBought
        {
            is_placed.store(false, Ordering::Release);
        }
        bought
    }

    fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        let value = HeaderValue::from_static(value);
        self.headers_mut().insert(name, value);
        self
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut Arc::make_mut(&mut self.0).headers
    }

    /// Record of the purchase that is worth writing down before the order is sent.
    pub fn intent(&self) -> &Intent {
        &self.0.intent
    }

    pub(crate) fn webhook(&self) -> Option<&Webhook> {
        self.0.webhook.as_ref()
    }

    pub(crate) fn guard(&self) -> Option<&Guard> {
        self.0.guard.as_ref()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The input, a JSON object. It may hold prompts and pictures.
    pub fn input(&self) -> &Bytes {
        &self.0.input
    }
}
