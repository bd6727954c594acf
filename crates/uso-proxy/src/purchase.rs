//! The record of a purchase.

use std::time::SystemTime;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uso_transport::{Delivery, EndpointId, MicroDollars, Operation, Verdict};

use crate::caller::Caller;

/// A purchase through the proxy: its buyer, its price and its outcome. It never has the prompt, a
/// picture, the key or a token.
///
/// As JSON it is one flat object: `at` is in RFC 3339, money in `…_micro_dollars`, and `outcome` is
/// `bought`, `not_bought` or `unknown`, or null while the purchase is being sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Purchase {
    /// Random id, the same in the record before the purchase and in the one after it.
    pub id: String,
    /// Time of the record before the purchase.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    pub at: SystemTime,
    /// The buyer.
    #[serde(serialize_with = "name", deserialize_with = "caller")]
    pub caller: Caller,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Submit or run.
    pub operation: Operation,
    /// The service's request id; `uso result` collects a submitted request by it. An id that is no
    /// valid request id is left out.
    pub request_id: Option<String>,
    /// Estimated price.
    #[serde(rename = "estimated_micro_dollars")]
    pub estimate: MicroDollars,
    /// Amount that counts for the caller's limit; at least the estimate.
    #[serde(rename = "reserved_micro_dollars")]
    pub reserved: MicroDollars,
    /// HTTP status of the response, if one came.
    pub status: Option<u16>,
    /// Whether the POST reached the service.
    pub delivery: Delivery,
    /// Whether something was bought; `None` while the purchase is being sent.
    pub outcome: Option<Verdict>,
    /// Digest of caller, operation, endpoint and body: purchases with the same digest are the same.
    #[serde(skip)]
    pub digest: [u8; 32],
}

impl Purchase {
    /// A purchase that is about to be sent.
    pub(crate) fn new(
        caller: Caller,
        endpoint: EndpointId,
        operation: Operation,
        estimate: MicroDollars,
        reserved: MicroDollars,
        body: &[u8],
    ) -> Self {
        let digest = digest(&caller, operation, &endpoint, body);
        Self {
            id: format!("{:032x}", fastrand::u128(..)),
            at: SystemTime::now(),
            caller,
            endpoint,
            operation,
            request_id: None,
            estimate,
            reserved,
            status: None,
            delivery: Delivery::Unknown,
            outcome: None,
            digest,
        }
    }

    /// Writes the purchase to the log.
    pub(crate) fn log(&self, message: &'static str) {
        tracing::info!(
            target: "uso_proxy::purchase",
            id = self.id,
            caller = self.caller.as_str(),
            endpoint = self.endpoint.as_str(),
            operation = self.operation.as_str(),
            request_id = self.request_id.as_deref(),
            estimated_micro_dollars = self.estimate.get(),
            status = self.status,
            outcome = ?self.outcome,
            message
        );
    }
}

fn digest(caller: &Caller, operation: Operation, endpoint: &EndpointId, body: &[u8]) -> [u8; 32] {
    let mut hash = hmac_sha256::Hash::new();
    for part in [caller.as_str(), operation.as_str(), endpoint.as_str()] {
        // The length keeps a part from running into the next one.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(body);
    hash.finalize()
}

fn rfc3339<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*at))
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_rfc3339(&text).map_err(D::Error::custom)
}

fn caller<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Caller, D::Error> {
    String::deserialize(deserializer).map(Caller::new)
}

fn name<S: Serializer>(caller: &Caller, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(caller.as_str())
}
