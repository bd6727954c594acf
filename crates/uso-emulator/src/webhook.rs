//! Webhooks: telling the address that a submit named how its request ended.
//!
//! Every end of a queued request is announced once: one POST, signed, and repeated until somebody
//! answers 2xx, says 3xx, or the result is gone. Addresses of other machines are never called.

mod courier;
mod signer;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value, json};
use url::{Host, Url};

use crate::lock::lock;
use crate::queue::Job;
use crate::queue::outcome::Outcome;
use crate::server::address::Base;
use crate::server::respond::{self, Response};
use crate::state::State;

pub(crate) use signer::Signer;

/// How patiently a delivery is repeated, on the emulator's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookPolicy {
    /// How long the first attempt waits for its answer. Default: 15 s, as fal documents.
    pub first_timeout: Duration,
    /// How long every later attempt waits. Default: 120 s, as fal documents.
    pub retry_timeout: Duration,
    /// The pause before the first repetition; each further one is twice as long. Default: 5 s;
    /// fal says that it grows, and not from where.
    pub first_pause: Duration,
    /// The longest pause. Default: 120 s, so that all repetitions have room in the hour for which a
    /// small result is kept.
    pub longest_pause: Duration,
    /// Repetitions at the most, while the result is kept. Default: 31, as fal documents.
    pub retries: u32,
}

impl Default for WebhookPolicy {
    fn default() -> Self {
        Self {
            first_timeout: Duration::from_secs(15),
            retry_timeout: Duration::from_secs(120),
            first_pause: Duration::from_secs(5),
            longest_pause: Duration::from_secs(120),
            retries: 31,
        }
    }
}

/// One attempt to deliver a webhook, once it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookAttempt {
    /// The request that has ended.
    pub request_id: String,
    /// 1 for the first attempt.
    pub number: u32,
    /// When it was begun, as RFC 3339 on the emulator's clock.
    pub at: String,
    /// What became of it.
    pub outcome: AttemptOutcome,
    /// The fault that a scenario put in its way, by name.
    pub fault: Option<String>,
}

/// What became of an attempt to deliver a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// It was answered with this HTTP status: 2xx is success, 3xx a failure for good, everything
    /// else leads to a repetition.
    Answered(u16),
    /// No answer came in time.
    TimedOut,
    /// There was no connection, or it broke.
    Unreachable,
    /// The address is not on this machine, and was not called.
    NotLocal,
    /// A scenario withheld it.
    Withheld,
}

impl WebhookAttempt {
    /// Without the address, which may prove whose request it is.
    pub(crate) fn json(&self) -> Value {
        let (outcome, status) = match self.outcome {
            AttemptOutcome::Answered(status) => ("answered", Some(status)),
            AttemptOutcome::TimedOut => ("timed-out", None),
            AttemptOutcome::Unreachable => ("unreachable", None),
            AttemptOutcome::NotLocal => ("not-local", None),
            AttemptOutcome::Withheld => ("withheld", None),
        };
        json!({
            "request_id": self.request_id,
            "number": self.number,
            "at": self.at,
            "outcome": outcome,
            "status": status,
            "fault": self.fault,
        })
    }
}

/// The keys and the log of attempts.
pub(crate) struct Webhooks {
    signer: Mutex<Signer>,
    attempts: Mutex<Vec<WebhookAttempt>>,
}

impl Webhooks {
    /// Attempts that are kept; the oldest go first.
    const KEPT: usize = 20_000;

    pub(crate) fn new(signer: Signer) -> Self {
        Self {
            signer: Mutex::new(signer),
            attempts: Mutex::default(),
        }
    }

    pub(crate) fn signer(&self) -> MutexGuard<'_, Signer> {
        lock(&self.signer)
    }

    pub(crate) fn attempts(&self) -> Vec<WebhookAttempt> {
        lock(&self.attempts).clone()
    }

    fn note(&self, attempt: WebhookAttempt) {
        let mut attempts = lock(&self.attempts);
        if attempts.len() >= Self::KEPT {
            attempts.remove(0);
        }
        attempts.push(attempt);
    }
}

/// Where a request's end is announced, and in whose name.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    url: Url,
    base: Base,
    user_id: Arc<str>,
}

impl Target {
    /// Nothing when the address is no absolute http(s) URL.
    pub(crate) fn new(address: &str, headers: &HeaderMap, base: &Base) -> Option<Self> {
        let url = Url::parse(address).ok()?;
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        Some(Self {
            url,
            base: base.clone(),
            user_id: user_id(headers).into(),
        })
    }

    fn is_local(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

/// One user for each key id.
fn user_id(headers: &HeaderMap) -> String {
    let key = respond::text(headers, AUTHORIZATION.as_str()).unwrap_or_default();
    let id = key
        .strip_prefix("Key ")
        .and_then(|key| key.split(':').next());
    format!("user-{}", id.unwrap_or("anonymous").trim())
}

/// What is to be said of a request that has ended, and to whom.
struct Announcement {
    request_id: Arc<str>,
    gateway_request_id: Arc<str>,
    target: Target,
    outcome: Arc<Outcome>,
}

impl Announcement {
    fn of(job: &Job) -> Option<Self> {
        let request_id = Arc::clone(&job.request_id);
        let gateway = job.gateway_request_id.as_ref();
        Some(Self {
            gateway_request_id: Arc::clone(gateway.unwrap_or(&request_id)),
            target: job.submission.webhook.clone()?,
            outcome: Arc::clone(job.outcome.as_ref()?),
            request_id,
        })
    }

    fn body(&self, without_payload: bool) -> String {
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
        if without_payload {
            body.insert("payload".into(), Value::Null);
            let why = "The payload could not be serialized.";
            body.insert("payload_error".into(), why.into());
        } else {
            body.insert("payload".into(), self.outcome.json(&self.target.base));
        }
        Value::from(body).to_string()
    }
}

/// Announces the end of a request whose submit named an address. False if it has not ended, has no
/// such address, or is forgotten.
pub(crate) fn announce(state: &Arc<State>, request_id: &str) -> bool {
    let announcement = lock(&state.machine)
        .get(request_id, state.clock.now())
        .and_then(Announcement::of);
    let Some(announcement) = announcement else {
        return false;
    };
    state.spawn(courier::deliver(Arc::clone(state), announcement));
    true
}

/// The public keys.
pub(crate) fn jwks(state: &State) -> Response {
    respond::json(200, &state.webhooks.signer().jwks())
}

/// The attempts so far.
pub(crate) fn page(state: &State) -> Response {
    let attempts = state.webhooks.attempts();
    let attempts: Vec<Value> = attempts.iter().map(WebhookAttempt::json).collect();
    respond::json(200, &json!(attempts))
}
