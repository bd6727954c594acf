//! Notification of the end of a request, as a JSON body.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::target::Target;
use crate::queue::Job;
use crate::queue::outcome::Outcome;
use crate::scenario::Fault;

/// What is to be said of a request that has ended, and to whom.
pub(super) struct Notification {
    pub(super) request_id: Arc<str>,
    gateway_request_id: Arc<str>,
    pub(super) target: Target,
    outcome: Arc<Outcome>,
}

impl Notification {
    pub(super) fn of(job: &Job) -> Option<Self> {
        let request_id = Arc::clone(&job.request_id);
        let gateway = job.gateway_request_id.as_ref();
        Some(Self {
            gateway_request_id: Arc::clone(gateway.unwrap_or(&request_id)),
            target: job.submission.webhook.clone()?,
            outcome: Arc::clone(job.outcome.as_ref()?),
            request_id,
        })
    }

    pub(super) fn body(&self, fault: Option<&Fault>) -> String {
        let mut body = Map::new();
        body.insert("request_id".into(), (*self.request_id).into());
        body.insert(
            "gateway_request_id".into(),
            (*self.gateway_request_id).into(),
        );
        match &self.outcome.failure {
            None => body.insert("status".into(), "OK".into()),
            Some(failure) => {
                body.insert("error".into(), failure.error.clone().into());
                body.insert("status".into(), "ERROR".into())
            }
        };
        if fault == Some(&Fault::NullPayload) {
            body.insert("payload".into(), Value::Null);
            let why = "The payload could not be serialized.";
            body.insert("payload_error".into(), why.into());
        } else {
            body.insert("payload".into(), self.outcome.json(&self.target.base));
        }
        let mut body = Value::from(body);
        match fault {
            Some(Fault::OddResult(odd)) => odd.apply(&mut body, "/payload"),
            _ => body.to_string(),
        }
    }
}
