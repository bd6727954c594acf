//! Verification of the signature and the time of a notification.

use bytes::Bytes;
use ed25519_dalek::Signature;
use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use crate::body::Body;
use crate::clock::{Clock, TOLERANCE};
use crate::hex::{hex, unhex};
use crate::keys::KeySet;
use crate::notification::Notification;
use crate::rejection::Rejection;

const REQUEST_ID: &str = "x-fal-webhook-request-id";
const USER_ID: &str = "x-fal-webhook-user-id";
const TIMESTAMP: &str = "x-fal-webhook-timestamp";
const SIGNATURE: &str = "x-fal-webhook-signature";

/// The longest id. fal's are UUIDs and short names.
const MOST_ID: usize = 256;

/// The largest body by default: room for four pictures of the default size
/// as data URIs, which `sync_mode` sends.
const MAX_BODY: usize = 32 << 20;

/// Verifies notifications: headers and raw bytes in, a [`Notification`] or a [`Rejection`] out.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use http::HeaderMap;
/// # use uso_webhook::{Clock, KeySet, Rejection, Verifier};
///
/// let keys = KeySet::from_jwks(br#"{"keys":[{"x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}]}"#)?;
/// let verifier = Verifier::new().clock(Clock::of(|| UNIX_EPOCH + Duration::from_secs(1_760_000_000)));
/// let rejection = verifier.verify(&keys, &HeaderMap::new(), "{}").unwrap_err();
/// assert_eq!(rejection, Rejection::MissingHeader { name: "x-fal-webhook-request-id" });
/// # Ok::<(), uso_webhook::InvalidKeySet>(())
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    clock: Clock,
    max_body: usize,
    user: Option<String>,
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new()
    }
}

impl Verifier {
    /// A verifier with this machine's clock, for bodies of up to 32 MiB and any account.
    pub fn new() -> Self {
        Self {
            clock: Clock::system(),
            max_body: MAX_BODY,
            user: None,
        }
    }

    /// Sets another clock, such as that of a test.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the largest body, in bytes. Default: 32 MiB, room for four pictures of the
    /// default size as data URIs. Without `sync_mode`, 1 MiB is plenty, and bounds the
    /// memory that unverified requests can use.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Accepts notifications of this account alone: its fal user id, as [`Notification::user_id`]
    /// shows it. Default: any account, since the id is known only from a notification. fal sends
    /// notifications for any account that names the address.
    #[must_use]
    pub fn for_user(mut self, user_id: impl Into<String>) -> Self {
        self.user = Some(user_id.into());
        self
    }

    pub(crate) fn body_limit(&self) -> usize {
        self.max_body
    }

    /// Verifies one notification. The body is the raw bytes as they came, never JSON that was parsed
    /// and serialised again.
    ///
    /// The signature must be in lower-case hex, as fal documents it: then there is exactly one
    /// spelling of a notification that verifies.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] for everything but a notification that fal signed.
    pub fn verify(
        &self,
        keys: &KeySet,
        headers: &HeaderMap,
        body: impl Into<Bytes>,
    ) -> Result<Notification, Rejection> {
        let claim = self.read(headers)?;
        let body = body.into();
        if body.len() > self.max_body {
            let limit = self.max_body;
            return Err(Rejection::BodyTooLarge { limit });
        }
        if !keys.fits(&claim.message(&body), &claim.signature) {
            return Err(Rejection::NoKeyFits);
        }
        if self
            .user
            .as_ref()
            .is_some_and(|user| *user != claim.user_id)
        {
            return Err(Rejection::OtherUser);
        }
        let read = Body::read(&body, claim.request_id)?;
        Ok(Notification {
            request_id: claim.request_id.to_owned(),
            user_id: claim.user_id.to_owned(),
            signed_at: claim.signed_at,
            path: None,
            body: read,
            raw_body: body,
        })
    }

    /// Reads and bounds the headers and checks the time, before a body is read.
    pub(crate) fn read<'a>(&self, headers: &'a HeaderMap) -> Result<Claim<'a>, Rejection> {
        let request_id = text(headers, REQUEST_ID, MOST_ID)?;
        let user_id = text(headers, USER_ID, MOST_ID)?;
        let timestamp = text(headers, TIMESTAMP, 20)?;
        let signature = text(headers, SIGNATURE, 2 * Signature::BYTE_SIZE)?;
        let signed_at: i64 = timestamp.parse().map_err(|_| Rejection::MalformedHeader {
            name: TIMESTAMP,
            expected: "a whole number of seconds",
        })?;
        let signature = unhex(signature).ok_or(Rejection::MalformedHeader {
            name: SIGNATURE,
            expected: "64 bytes in lower-case hex",
        })?;
        let now = self.clock.unix_seconds();
        let seconds = now.abs_diff(signed_at);
        if seconds > TOLERANCE {
            return Err(if signed_at < now {
                Rejection::TooOld { seconds }
            } else {
                Rejection::TooNew { seconds }
            });
        }
        Ok(Claim {
            request_id,
            user_id,
            timestamp,
            signed_at,
            signature: Signature::from_bytes(&signature),
        })
    }
}

/// Values of the signed headers.
pub(crate) struct Claim<'a> {
    request_id: &'a str,
    user_id: &'a str,
    timestamp: &'a str,
    signed_at: i64,
    signature: Signature,
}

impl Claim<'_> {
    /// The signed text: four lines without a last line break (fal docs, webhooks).
    fn message(&self, body: &[u8]) -> Vec<u8> {
        let Self {
            request_id,
            user_id,
            timestamp,
            ..
        } = self;
        let digest = hex(&Sha256::digest(body));
        format!("{request_id}\n{user_id}\n{timestamp}\n{digest}").into_bytes()
    }
}

/// The one value of a header.
fn text<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
    limit: usize,
) -> Result<&'a str, Rejection> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(Rejection::MissingHeader { name })?;
    if values.next().is_some() {
        return Err(Rejection::DuplicateHeader { name });
    }
    match value.len() {
        0 => return Err(Rejection::MissingHeader { name }),
        length if length > limit => return Err(Rejection::HeaderTooLong { name, limit }),
        _ => {}
    }
    std::str::from_utf8(value.as_bytes()).map_err(|_| Rejection::MalformedHeader {
        name,
        expected: "UTF-8",
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use http::HeaderValue;

    use super::*;

    fn read_at(now: i64, timestamp: &str) -> Result<i64, Rejection> {
        let now = Duration::from_secs(now.unsigned_abs());
        let verifier = Verifier::new().clock(Clock::of(move || UNIX_EPOCH + now));
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("r-1"));
        headers.insert(USER_ID, HeaderValue::from_static("u-1"));
        headers.insert(TIMESTAMP, HeaderValue::from_str(timestamp).unwrap());
        headers.insert(SIGNATURE, HeaderValue::from_str(&"0".repeat(128)).unwrap());
        verifier.read(&headers).map(|claim| claim.signed_at)
    }

    #[test]
    fn the_time_may_differ_by_300_seconds_and_never_overflows() {
        for accepted in ["700", "1000", "1300"] {
            assert!(read_at(1000, accepted).is_ok(), "{accepted}");
        }
        assert_eq!(
            read_at(1000, "699"),
            Err(Rejection::TooOld { seconds: 301 })
        );
        assert_eq!(
            read_at(1000, "1301"),
            Err(Rejection::TooNew { seconds: 301 })
        );
        let past = read_at(1000, "-9223372036854775808");
        assert!(matches!(past, Err(Rejection::TooOld { .. })), "{past:?}");
        let future = read_at(1000, "9223372036854775807");
        assert!(
            matches!(future, Err(Rejection::TooNew { .. })),
            "{future:?}"
        );
        for malformed in ["1000.0", "0x3e8", "1e3", "soon", "99999999999999999999"] {
            let refused = read_at(1000, malformed);
            assert!(
                matches!(refused, Err(Rejection::MalformedHeader { .. })),
                "{malformed}: {refused:?}"
            );
        }
    }
}
