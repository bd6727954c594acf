//! Telling a delivery of fal's from anything else.

use bytes::Bytes;
use ed25519_dalek::Signature;
use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use crate::clock::Clock;
use crate::delivery::Delivery;
use crate::keys::KeySet;
use crate::notification::Notification;
use crate::rejection::Rejection;

/// How far the time of a delivery may be from ours, in seconds (fal docs, webhooks).
pub(crate) const TOLERANCE: u64 = 300;

const REQUEST_ID: &str = "x-fal-webhook-request-id";
const USER_ID: &str = "x-fal-webhook-user-id";
const TIMESTAMP: &str = "x-fal-webhook-timestamp";
const SIGNATURE: &str = "x-fal-webhook-signature";

/// Longest ids that are taken. fal's are UUIDs and short names; ids of ours are as short.
const MOST_ID: usize = 256;

/// The largest body that is taken unless told otherwise: room for four pictures of the default size
/// as data URIs, which `sync_mode` sends.
const MAX_BODY: usize = 32 << 20;

/// Verifies deliveries: headers and raw bytes in, a [`Delivery`] or a [`Rejection`] out.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use http::HeaderMap;
/// use uso_webhook::{Clock, KeySet, Rejection, Verifier};
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
    /// A verifier by this machine's clock, for bodies of up to 32 MiB and any account.
    pub fn new() -> Self {
        Self {
            clock: Clock::system(),
            max_body: MAX_BODY,
            user: None,
        }
    }

    /// Another clock, such as a test's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The largest body that is taken, in bytes. Default: 32 MiB, room for four pictures of the
    /// default size as data URIs. Without `sync_mode`, 1 MiB is plenty, and holds less of the
    /// memory that a stranger can make a receiver use.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Takes deliveries about this account's requests only: its fal user id, as
    /// [`Delivery::user_id`] shows it. Default: any account's, since the id is only known from a
    /// delivery; and fal delivers for whoever names the address.
    #[must_use]
    pub fn for_user(mut self, user_id: impl Into<String>) -> Self {
        self.user = Some(user_id.into());
        self
    }

    pub(crate) fn body_limit(&self) -> usize {
        self.max_body
    }

    /// Verifies one delivery. The body is the raw bytes as they came, never JSON that was read and
    /// written again.
    ///
    /// The signature must be in lower-case hex, as fal documents it: then there is exactly one
    /// spelling of a delivery that verifies.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] for everything but a delivery of fal's.
    pub fn verify(
        &self,
        keys: &KeySet,
        headers: &HeaderMap,
        body: impl Into<Bytes>,
    ) -> Result<Delivery, Rejection> {
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
        let notification = Notification::read(&body, claim.request_id)?;
        Ok(Delivery {
            request_id: claim.request_id.to_owned(),
            user_id: claim.user_id.to_owned(),
            signed_at: claim.signed_at,
            path: None,
            notification,
            body,
        })
    }

    /// Reads and bounds the headers and checks the time, before a body is looked at.
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

/// What the headers of a delivery say.
pub(crate) struct Claim<'a> {
    request_id: &'a str,
    user_id: &'a str,
    timestamp: &'a str,
    signed_at: i64,
    signature: Signature,
}

impl Claim<'_> {
    /// The text that is signed: four lines without a last line break (fal docs, webhooks).
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

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn hex(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = nibbles.filter_map(|nibble| DIGITS.get(usize::from(nibble)));
    digits.map(|digit| char::from(*digit)).collect()
}

/// The bytes of a text in lower-case hex.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(value(*high)? << 4 | value(*low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>()?.try_into().ok()
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

    #[test]
    fn hex_is_lower_case_and_whole() {
        assert_eq!(unhex("00ff1a"), Some([0, 255, 26]));
        for wrong in ["00FF1a", "00ff1", "00ff1a00", "zzzzzz", "00ff"] {
            assert_eq!(unhex::<3>(wrong), None, "{wrong}");
        }
        assert_eq!(hex(&[0, 255, 26]), "00ff1a");
    }
}
