//! The ticket: everything that is needed to collect a job that is already paid for.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::endpoint::EndpointId;
use crate::fingerprint::Fingerprint;
use crate::intent::{Intent, now_ms};

/// A handle to a submitted job.
///
/// A submit returns it, every later error carries it, and it can be written down: serialised, it
/// is a small JSON object without key, prompt or picture.
///
/// ```
/// # use uso_transport::{EndpointId, Ticket};
/// let ticket = Ticket::for_request(EndpointId::uso(), "3f1c9a52-7d0e-4c86-9a57-0f6b2f0c1d11")?;
/// let kept = serde_json::to_string(&ticket)?;
/// assert_eq!(serde_json::from_str::<Ticket>(&kept)?, ticket);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(#[serde(with = "shared")] Arc<Record>);

/// Shared by the clones of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Record {
    endpoint: EndpointId,
    request_id: RequestId,
    // As the service gave them: they are read where they are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancel_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Fingerprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    submitted_at_ms: Option<u64>,
    #[serde(skip)]
    origin: Origin,
}

/// Where the request id comes from. It makes no other ticket.
#[derive(Clone, Copy, Debug, Default)]
struct Origin {
    is_listing: bool,
}

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// A shared record is written as the record.
mod shared {
    use super::{Arc, Deserialize, Record, Serialize};

    pub(super) fn serialize<S: serde::Serializer>(
        record: &Arc<Record>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Record::serialize(record, serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Record>, D::Error> {
        Record::deserialize(deserializer).map(Arc::new)
    }
}

impl Ticket {
    /// A ticket for a request id that was kept elsewhere; its URLs are built from the id.
    ///
    /// # Errors
    ///
    /// When the id is empty, longer than 200 bytes, or has a character that would change the URL.
    pub fn for_request(
        endpoint: EndpointId,
        request_id: impl Into<String>,
    ) -> Result<Self, InvalidRequestId> {
        Ok(Self(Arc::new(Record {
            endpoint,
            request_id: RequestId::try_from(request_id.into())?,
            status_url: None,
            response_url: None,
            cancel_url: None,
            seed: None,
            fingerprint: None,
            submitted_at_ms: None,
            origin: Origin::default(),
        })))
    }

    pub(crate) fn with_urls(
        mut self,
        status: Option<String>,
        response: Option<String>,
        cancel: Option<String>,
    ) -> Self {
        let record = Arc::make_mut(&mut self.0);
        record.status_url = status;
        record.response_url = response;
        record.cancel_url = cancel;
        self
    }

    /// Takes over what the intent knew, and the time.
    pub(crate) fn of_intent(mut self, intent: &Intent) -> Self {
        let record = Arc::make_mut(&mut self.0);
        record.seed = intent.seed();
        record.fingerprint = Some(intent.fingerprint().clone());
        record.submitted_at_ms = Some(now_ms());
        self
    }

    pub(crate) fn looked_up(mut self) -> Self {
        Arc::make_mut(&mut self.0).origin.is_listing = true;
        self
    }

    /// Whether the request id was found in the account's listing by the purchase's input, and not
    /// named by the response to the submit. A ticket that was written down does not say so.
    pub fn is_looked_up(&self) -> bool {
        self.0.origin.is_listing
    }

    /// The endpoint that runs the job.
    pub fn endpoint(&self) -> &EndpointId {
        &self.0.endpoint
    }

    /// The id that the service gave; opaque.
    pub fn request_id(&self) -> &str {
        &self.0.request_id.0
    }

    /// The seed that the input was pinned to.
    pub fn seed(&self) -> Option<u64> {
        self.0.seed
    }

    /// The fingerprint of the input.
    pub fn fingerprint(&self) -> Option<&Fingerprint> {
        self.0.fingerprint.as_ref()
    }

    /// Time of the response to the submit, by this machine's clock.
    pub fn submitted_at(&self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_millis(self.0.submitted_at_ms?))
    }

    pub(crate) fn status_url(&self) -> Option<&str> {
        self.0.status_url.as_deref()
    }

    pub(crate) fn response_url(&self) -> Option<&str> {
        self.0.response_url.as_deref()
    }

    pub(crate) fn cancel_url(&self) -> Option<&str> {
        self.0.cancel_url.as_deref()
    }
}

impl Intent {
    /// The ticket of this purchase, once something has proved that this request is it.
    ///
    /// # Errors
    ///
    /// When the text cannot be a request id.
    pub fn ticket(&self, request_id: impl Into<String>) -> Result<Ticket, InvalidRequestId> {
        Ok(Ticket::for_request(self.endpoint().clone(), request_id)?.of_intent(self))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct RequestId(String);

impl TryFrom<String> for RequestId {
    type Error = InvalidRequestId;

    fn try_from(id: String) -> Result<Self, InvalidRequestId> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte);
        let safe = !matches!(id.as_str(), "" | "." | "..") && id.bytes().all(plain);
        if safe && id.len() <= 200 {
            Ok(Self(id))
        } else {
            Err(InvalidRequestId(id.chars().take(80).collect()))
        }
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

/// A string that cannot be a request id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a request id: 1 to 200 letters, digits, '-', '_', '.', '~' or ':'")]
pub struct InvalidRequestId(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_would_change_the_url_is_refused() {
        for id in ["", ".", "..", "a/b", "a?b", "a#b", "a%2fb", "a b", "ü"] {
            assert!(
                Ticket::for_request(EndpointId::uso(), id).is_err(),
                "{id:?}"
            );
        }
        let ticket = r#"{"endpoint":"fal-ai/uso","request_id":"../x"}"#;
        assert!(serde_json::from_str::<Ticket>(ticket).is_err());
    }
}
