//! Intent: what finds a purchase again whose response was lost.

use std::hash::{Hash, Hasher};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::endpoint::EndpointId;
use crate::fingerprint::{Fingerprint, Inspected};
use crate::sanitize::hex;

/// Record that finds a purchase whose response was lost. An intent contains neither prompt nor picture
/// nor key, so that it can be written down before the purchase is sent.
///
/// Two intents are equal when they are of the same purchase, whatever became known of it since.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Intent {
    endpoint: EndpointId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    fingerprint: Fingerprint,
    made_at_ms: u64,
    start_within_ms: u64,
    /// A time after the submit left for the last time, once its outcome is known to be unknown: by
    /// the service's clock if there is a `sent_from_ms`, otherwise by this machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_at_ms: Option<u64>,
    /// A time before the submit left for the first time, by the service's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_from_ms: Option<u64>,
    /// The request is kept out of the account's history, so that the listing may lack it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_unlisted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<AttemptDigest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    candidate: Option<String>,
    /// Request ids of other purchases.
    #[serde(skip)]
    others: Vec<String>,
}

/// How long a request may take to appear in the account's listing after its start deadline.
const INDEX_DELAY: Duration = Duration::from_secs(60);

/// How long after its intent was made a submit may be sent again: the time of five attempts of a
/// minute, each with the pause of a minute after it that the service may ask for.
const REPEATED_FOR: Duration = Duration::from_secs(600);

/// How long an attempt may take, where the limit of the client is not known.
const ATTEMPT: Duration = Duration::from_secs(60);

/// Digest of a webhook's attempt id: SHA-256 in lower-case hex. The id cannot be derived from it,
/// so that the digest may be written down.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct AttemptDigest(String);

impl AttemptDigest {
    pub(crate) fn of(id: &str) -> Self {
        Self(hex(&Sha256::digest(id)))
    }
}

impl PartialEq for Intent {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Intent {}

impl Hash for Intent {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl Intent {
    /// Everything but what became known since.
    fn identity(&self) -> impl PartialEq + Hash + '_ {
        (
            &self.endpoint,
            self.seed,
            &self.fingerprint,
            self.made_at_ms,
            self.start_within_ms,
            &self.attempt,
        )
    }

    pub(crate) fn new(endpoint: EndpointId, inspected: Inspected, start_within: Duration) -> Self {
        Self {
            endpoint,
            seed: inspected.seed,
            fingerprint: inspected.fingerprint,
            made_at_ms: now_ms(),
            start_within_ms: to_ms(start_within),
            sent_at_ms: None,
            sent_from_ms: None,
            is_unlisted: false,
            attempt: None,
            candidate: None,
            others: Vec::new(),
        }
    }

    /// Dates the intent anew, for a purchase that is made later.
    pub(crate) fn make_now(&mut self) {
        self.made_at_ms = now_ms();
    }

    /// Notes that the submit left between two times of the service's clock. Where the service told
    /// no time, the submit ended now by this machine's.
    pub(crate) fn sent(mut self, between: Option<(SystemTime, SystemTime)>) -> Self {
        self.sent_from_ms = between.map(|(from, _)| since_epoch_ms(from));
        self.sent_at_ms = Some(between.map_or_else(now_ms, |(_, by)| since_epoch_ms(by)));
        self
    }

    /// Whether the time of the submit is known by the service's clock.
    pub(crate) fn is_dated(&self) -> bool {
        self.sent_from_ms.is_some()
    }

    /// Notes that the submit leaves soon after this moment, which is between two times of the
    /// service's clock, in attempts that each end within a limit.
    pub(crate) fn sending(mut self, between: (SystemTime, SystemTime), limit: Duration) -> Self {
        let (from, by) = between;
        let repeated_for = to_ms(REPEATED_FOR.saturating_add(limit));
        self.sent_from_ms = Some(since_epoch_ms(from));
        self.sent_at_ms = Some(since_epoch_ms(by).saturating_add(repeated_for));
        self
    }

    /// Whether the submit, which began this long ago, may be sent again: later than this, an intent
    /// that was written down could be taken for one of a purchase that was never made.
    pub(crate) fn may_repeat(&self, begun: Duration) -> bool {
        let age = self.made_at().elapsed().unwrap_or_default();
        age.max(begun) < REPEATED_FOR
    }

    /// A time before the submit left: the earliest by any clock, as neither is known to be right.
    pub(crate) fn sent_from(&self) -> SystemTime {
        let by_service = self.sent_from_ms.unwrap_or(self.made_at_ms);
        time(by_service.min(self.made_at_ms))
    }

    /// Time by this machine's clock before which no listing shows every accepted purchase, however
    /// late the service says that it is; in the past if this clock was set back since.
    pub(crate) fn not_listed_before(&self) -> SystemTime {
        match self.made_at() <= SystemTime::now() {
            true => self.listed_after(self.made_at_ms),
            false => UNIX_EPOCH,
        }
    }

    fn listed_after(&self, left_ms: u64) -> SystemTime {
        let listed = Duration::from_millis(left_ms)
            .saturating_add(self.start_within())
            .saturating_add(INDEX_DELAY);
        time(to_ms(listed))
    }

    /// Notes that the account's listing may lack the request.
    pub(crate) fn unlisted(&mut self) {
        self.is_unlisted = true;
    }

    pub(crate) fn is_unlisted(&self) -> bool {
        self.is_unlisted
    }

    pub(crate) fn set_attempt(&mut self, attempt: AttemptDigest) {
        self.attempt = Some(attempt);
    }

    /// Keeps the id that a response named which did not say whether the purchase was accepted.
    pub(crate) fn with_candidate(mut self, request_id: Option<&str>) -> Self {
        self.candidate = request_id.map(str::to_owned).or(self.candidate);
        self
    }

    /// The endpoint that is to run the job.
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

    /// Time at which the order was made, by this machine's clock.
    pub fn made_at(&self) -> SystemTime {
        time(self.made_at_ms)
    }

    /// Time after the submit in which the service may still start the job.
    pub fn start_within(&self) -> Duration {
        Duration::from_millis(self.start_within_ms)
    }

    /// Time from which the account's listing shows an accepted purchase, as far as is known: the
    /// start deadline after the last time that the submit can have left, and a minute more. Of a
    /// purchase whose outcome became unknown while the service could be reached, it is a time of
    /// the service's clock, otherwise of this machine's.
    pub fn listed_by(&self) -> SystemTime {
        let repeated_for = to_ms(REPEATED_FOR + ATTEMPT);
        let repeated_until = || self.made_at_ms.saturating_add(repeated_for);
        self.listed_after(self.sent_at_ms.unwrap_or_else(repeated_until))
    }

    /// Intent that excludes request ids of other purchases with the same input. The ids are not
    /// written down with the intent.
    #[must_use]
    pub fn except(mut self, request_ids: impl IntoIterator<Item = String>) -> Self {
        self.others.extend(request_ids);
        self
    }

    /// Whether a request may be this purchase.
    pub(crate) fn may_be(&self, request_id: &str) -> bool {
        self.others.iter().all(|other| other != request_id)
    }

    /// The request id on a response that did not say whether the purchase was accepted. It is
    /// likely, but not certain, that this purchase has the id.
    pub fn candidate(&self) -> Option<&str> {
        self.candidate.as_deref()
    }

    /// Whether the last segment of a webhook's path is this purchase's attempt id. Only the digest
    /// of the id is kept, so that an intent that was written down cannot be used to forge one.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use uso_transport::{EndpointId, Order, Webhook};
    ///
    /// let order = Order::new(EndpointId::uso(), &b"{}"[..], Duration::from_secs(600))?
    ///     .with_webhook(Webhook::new("https://example.org/hook")?);
    /// assert!(!order.intent().recognises("hook"));
    /// # Ok::<(), uso_transport::Error>(())
    /// ```
    pub fn recognises(&self, attempt_id: &str) -> bool {
        self.attempt.as_ref() == Some(&AttemptDigest::of(attempt_id))
    }

    /// The SHA-256 of the attempt id in lower-case hex, to find this purchase by a notification:
    /// `Notification::attempt_digest` of `uso-webhook` equals it.
    pub fn attempt_digest(&self) -> Option<&str> {
        self.attempt.as_ref().map(|attempt| attempt.0.as_str())
    }

    /// Whether a notification could prove this purchase: it was made with a webhook.
    pub fn has_webhook(&self) -> bool {
        self.attempt.is_some()
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    since_epoch_ms(SystemTime::now())
}

fn since_epoch_ms(time: SystemTime) -> u64 {
    to_ms(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn time(since_epoch_ms: u64) -> SystemTime {
    // A note from a damaged disk may name any time.
    UNIX_EPOCH
        .checked_add(Duration::from_millis(since_epoch_ms))
        .unwrap_or(UNIX_EPOCH)
}

fn to_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submit_is_repeated_only_while_every_clock_says_that_it_is_young() {
        let inspected = serde_json::from_slice(b"{}").unwrap();
        let mut intent = Intent::new(EndpointId::uso(), inspected, REPEATED_FOR);
        assert!(intent.may_repeat(Duration::ZERO));
        assert!(!intent.may_repeat(REPEATED_FOR));
        intent.made_at_ms -= to_ms(REPEATED_FOR);
        assert!(!intent.may_repeat(Duration::ZERO));
    }

    #[test]
    fn an_intent_that_is_written_down_covers_every_attempt_of_its_submit() {
        let inspected = serde_json::from_slice(b"{}").unwrap();
        let start_within = Duration::from_secs(90);
        let limit = Duration::from_secs(3600);
        let intent = Intent::new(EndpointId::uso(), inspected, start_within);
        let now = SystemTime::now();
        let listed_by = intent.sending((now, now), limit).listed_by();
        let at_least = REPEATED_FOR + limit + start_within;
        assert!(listed_by.duration_since(now).unwrap() > at_least);
    }
}
