//! The record of a purchase.

use std::time::SystemTime;

use serde::{Serialize, Serializer};
use uso_transport::{Delivery, EndpointId, MicroDollars, Operation};

use crate::caller::Caller;

/// A purchase that went to the service: who bought what, and what became of it. Never the prompt, a
/// picture, the key or a token.
///
/// As JSON it is one flat object, `at` in RFC 3339 and the money as `estimated_micro_dollars`.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Purchase {
    /// When it was sent.
    #[serde(serialize_with = "rfc3339")]
    pub at: SystemTime,
    /// Who bought.
    #[serde(serialize_with = "name")]
    pub caller: Caller,
    /// At which endpoint.
    pub endpoint: EndpointId,
    /// Submit or run.
    pub operation: Operation,
    /// The service's id of it; `uso result` collects a submitted one with the key.
    pub request_id: Option<String>,
    /// What it was estimated to cost.
    #[serde(rename = "estimated_micro_dollars", serialize_with = "micro")]
    pub estimate: MicroDollars,
    /// HTTP status of the answer, if one came.
    pub status: Option<u16>,
    /// Whether it reached the service. With [`Delivery::Unknown`] it may have been bought.
    pub delivery: Delivery,
}

impl Purchase {
    /// Writes the line of the log.
    pub(crate) fn log(&self) {
        tracing::info!(
            target: "uso_proxy::purchase",
            caller = self.caller.as_str(),
            endpoint = self.endpoint.as_str(),
            operation = self.operation.as_str(),
            request_id = self.request_id.as_deref(),
            estimated_micro_dollars = self.estimate.get(),
            status = self.status,
            delivery = ?self.delivery,
            "purchase"
        );
    }
}

fn rfc3339<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*at))
}

fn name<S: Serializer>(caller: &Caller, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(caller.as_str())
}

fn micro<S: Serializer>(money: &MicroDollars, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(money.get())
}
