//! A request without local pictures, so that another machine can buy it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uso_transport::Lifecycle;
use uso_types::UsoInput;

use crate::request::Request;

/// A request whose pictures are at the service. As JSON it can be stored and bought on another
/// machine: it becomes a [`Request`] again, with the same seed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Portable {
    input: UsoInput,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_within: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lifecycle: Option<Lifecycle>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook: Option<String>,
    #[serde(default)]
    low_priority: bool,
    #[serde(default)]
    no_service_retries: bool,
    #[serde(default)]
    no_history: bool,
}

impl fmt::Debug for Portable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Prompts are private to the caller, and URLs of uploads are credentials.
        f.debug_struct("Portable")
            .field("seed", &self.input.seed)
            .finish_non_exhaustive()
    }
}

impl Portable {
    pub(crate) fn new(request: &Request, input: UsoInput) -> Self {
        Self {
            input,
            start_within: request.start_within,
            lifecycle: request.lifecycle.clone(),
            webhook: request.webhook.clone(),
            low_priority: request.low_priority,
            no_service_retries: request.no_service_retries,
            no_history: request.no_history,
        }
    }
}

impl From<Portable> for Request {
    fn from(portable: Portable) -> Self {
        let mut request = Self::raw(portable.input);
        request.start_within = portable.start_within;
        request.lifecycle = portable.lifecycle;
        request.webhook = portable.webhook;
        request.low_priority = portable.low_priority;
        request.no_service_retries = portable.no_service_retries;
        request.no_history = portable.no_history;
        request
    }
}
