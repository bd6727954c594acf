//! The record of a purchase.

use std::sync::Arc;
use std::time::SystemTime;

use http::StatusCode;
use serde::{Serialize, Serializer};
use tokio_util::task::task_tracker::TaskTrackerToken;
use uso_transport::{Delivery, EndpointId, MicroDollars, Operation};

use crate::caller::Caller;
use crate::proxy::Shared;

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

/// The record of a purchase that is being sent. It is written once: when the outcome is known, or,
/// with an unknown one, when the purchase is given up because the process ends.
pub(crate) struct Record {
    shared: Arc<Shared>,
    /// The proxy is closed no sooner than this is written.
    open: Option<(Purchase, TaskTrackerToken)>,
}

impl Record {
    /// Opens the record of a purchase that is about to be sent, and tells the log, for the case that
    /// the process does not live to see its end.
    pub(crate) fn open(
        shared: &Arc<Shared>,
        tracked: TaskTrackerToken,
        caller: Caller,
        endpoint: EndpointId,
        operation: Operation,
        estimate: MicroDollars,
    ) -> Self {
        let purchase = Purchase {
            at: SystemTime::now(),
            caller,
            endpoint,
            operation,
            request_id: None,
            estimate,
            status: None,
            delivery: Delivery::Unknown,
        };
        tracing::info!(
            target: "uso_proxy::purchase",
            caller = purchase.caller.as_str(),
            endpoint = purchase.endpoint.as_str(),
            operation = operation.as_str(),
            estimated_micro_dollars = estimate.get(),
            "sending"
        );
        Self {
            shared: Arc::clone(shared),
            open: Some((purchase, tracked)),
        }
    }

    pub(crate) fn is_known_as(&mut self, request_id: &str) {
        if let Some((purchase, _)) = &mut self.open {
            purchase.request_id = Some(request_id.to_owned());
        }
    }

    /// Writes it, unless it is written.
    pub(crate) fn write(&mut self, status: Option<StatusCode>, delivery: Delivery) {
        if let Some((mut purchase, tracked)) = self.open.take() {
            purchase.status = status.map(|status| status.as_u16());
            purchase.delivery = delivery;
            purchase.log();
            if let Some(record) = &self.shared.settings.on_purchase {
                record(&purchase);
            }
            drop(tracked);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.write(None, Delivery::Unknown);
    }
}

impl Purchase {
    /// Writes the line of the log.
    fn log(&self) {
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
