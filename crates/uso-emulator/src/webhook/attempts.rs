//! Log of delivery attempts, with the keys that sign them.

use std::sync::{Mutex, MutexGuard};

use serde_json::{Value, json};

use super::signer::Signer;
use crate::lock::lock;

/// Ended attempt to deliver a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookAttempt {
    /// The request that has ended.
    pub request_id: String,
    /// 1 for the first attempt.
    pub number: u32,
    /// Time of its start, as RFC 3339 on the emulator's clock.
    pub at: String,
    /// Outcome of the attempt.
    pub outcome: AttemptOutcome,
    /// The fault that a scenario put in its way, by name.
    pub fault: Option<String>,
}

/// Outcome of an attempt to deliver a webhook.
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

    /// How many attempts are kept.
    pub(crate) fn count(&self) -> usize {
        lock(&self.attempts).len()
    }

    /// At most so many attempts, the newest first.
    pub(crate) fn newest(&self, most: usize) -> Vec<Value> {
        let attempts = lock(&self.attempts);
        let newest = attempts.iter().rev().take(most);
        newest.map(WebhookAttempt::json).collect()
    }

    pub(super) fn note(&self, attempt: WebhookAttempt) {
        let mut attempts = lock(&self.attempts);
        if attempts.len() >= Self::KEPT {
            attempts.remove(0);
        }
        attempts.push(attempt);
    }
}
