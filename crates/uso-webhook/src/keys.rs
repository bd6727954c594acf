//! The public keys that deliveries are verified with, and where they come from.

use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;

/// Keys that a set may hold. More would only make every delivery cost more.
const MOST_KEYS: usize = 32;

/// fal's documentation shows padded keys, and the standard for them forbids padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A set of Ed25519 public keys. Clones are cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySet(Arc<[VerifyingKey]>);

impl KeySet {
    /// Reads the JSON Web Key Set that fal publishes at
    /// `https://rest.fal.ai/.well-known/jwks.json` (fal docs, webhooks): `{"keys": [{"x": …}]}`,
    /// where `x` is the key in base64url with or without padding. `kid` selects nothing. Entries
    /// that are no Ed25519 key are left out, and so are weak ones, which would fit signatures that
    /// nobody made.
    ///
    /// # Errors
    ///
    /// When it is no such document, holds no usable key, or more than 32 of them.
    pub fn from_jwks(document: &[u8]) -> Result<Self, InvalidKeySet> {
        let document: Value =
            serde_json::from_slice(document).map_err(|_| InvalidKeySet::NotJwks)?;
        let entries = document
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(InvalidKeySet::NotJwks)?;
        let mut keys: Vec<VerifyingKey> = Vec::new();
        for key in entries.iter().filter_map(public_key) {
            if !keys.contains(&key) {
                keys.push(key);
            }
            if keys.len() > MOST_KEYS {
                return Err(InvalidKeySet::TooMany);
            }
        }
        if keys.is_empty() {
            return Err(InvalidKeySet::NoKey);
        }
        Ok(Self(keys.into()))
    }

    /// How many keys it holds; at least one.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether any key fits. All are tried in any case, so that a signature by none costs no more
    /// than one by the first.
    pub(crate) fn fits(&self, message: &[u8], signature: &Signature) -> bool {
        let verified = |key: &VerifyingKey| key.verify_strict(message, signature).is_ok();
        self.0.iter().fold(false, |fits, key| verified(key) | fits)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({} keys)", self.0.len())
    }
}

fn public_key(entry: &Value) -> Option<VerifyingKey> {
    // fal documents `x` alone; the other two are customary, and rule a key out when they are there.
    let is = |name: &str, expected: &str| entry.get(name).is_none_or(|value| value == expected);
    if !is("kty", "OKP") || !is("crv", "Ed25519") {
        return None;
    }
    let bytes = BASE64.decode(entry.get("x")?.as_str()?).ok()?;
    let key = VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok()?;
    (!key.is_weak()).then_some(key)
}

/// Why a document is no set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidKeySet {
    /// It is not `{"keys": […]}` in JSON.
    NotJwks,
    /// It holds no Ed25519 key that can be used.
    NoKey,
    /// It holds more keys than any delivery should be tried with.
    TooMany,
}

impl fmt::Display for InvalidKeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJwks => f.write_str("it is not a JSON Web Key Set ({\"keys\": […]})"),
            Self::NoKey => f.write_str("it holds no usable Ed25519 key"),
            Self::TooMany => write!(f, "it holds more than {MOST_KEYS} keys"),
        }
    }
}

impl std::error::Error for InvalidKeySet {}

/// What a [`KeySource`] answers with, boxed so that a source can be chosen at run time.
pub type KeyFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where the public keys come from. A [`KeySet`] is one itself; the facade `uso` has one that
/// fetches and keeps fal's.
pub trait KeySource: Send + Sync {
    /// The keys as they are known.
    fn keys(&self) -> KeyFuture<'_, Result<KeySet, KeysUnavailable>>;

    /// Keys that may have come since `seen`, none of which fits a delivery; `None` when there are
    /// no others. A source that fetches must limit how often this makes it fetch, since anybody
    /// can send a delivery that no key fits.
    fn newer<'a>(&'a self, seen: &'a KeySet) -> KeyFuture<'a, Option<KeySet>> {
        let _ = seen;
        Box::pin(ready(None))
    }
}

impl KeySource for KeySet {
    fn keys(&self) -> KeyFuture<'_, Result<KeySet, KeysUnavailable>> {
        Box::pin(ready(Ok(self.clone())))
    }
}

/// The keys could not be had; the text says why, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysUnavailable(pub String);

impl fmt::Display for KeysUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeysUnavailable {}

#[cfg(test)]
mod tests {
    use super::*;

    const X: &str = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg";

    fn read(entries: &str) -> Result<usize, InvalidKeySet> {
        KeySet::from_jwks(format!(r#"{{"keys":[{entries}]}}"#).as_bytes()).map(|keys| keys.len())
    }

    #[test]
    fn padding_and_customary_members_are_accepted_and_the_same_key_counts_once() {
        let plain = format!(r#"{{"x":"{X}"}}"#);
        let padded = format!(r#"{{"x":"{X}=","kty":"OKP","crv":"Ed25519","kid":"other"}}"#);
        assert_eq!(read(&plain), Ok(1));
        assert_eq!(read(&padded), Ok(1));
        assert_eq!(read(&format!("{plain},{padded}")), Ok(1));
    }

    #[test]
    fn what_is_no_ed25519_key_is_left_out() {
        let others = [
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(),
            format!(r#"{{"x":"{X}","crv":"X25519","kty":"OKP"}}"#),
            format!(r#"{{"x":"{X}","kty":"EC"}}"#),
            r#"{"x":"AAAA"}"#.to_owned(),
            r#"{"x":7}"#.to_owned(),
            r#"{"x":"+/+/"}"#.to_owned(),
            "17".to_owned(),
            "null".to_owned(),
        ];
        assert_eq!(read(&others.join(",")), Err(InvalidKeySet::NoKey));
        let with_one = format!(r#"{},{{"x":"{X}"}}"#, others.join(","));
        assert_eq!(read(&with_one), Ok(1));
    }

    #[test]
    fn weak_keys_are_left_out() {
        // The points of small order: the neutral element, the one of order two, and one of four.
        let mut order_two = [0xff; 32];
        (order_two[0], order_two[31]) = (0xec, 0x7f);
        let mut neutral = [0; 32];
        neutral[0] = 1;
        for point in [neutral, order_two, [0; 32]] {
            assert!(VerifyingKey::from_bytes(&point).unwrap().is_weak());
            let entry = format!(r#"{{"x":"{}"}}"#, BASE64.encode(point));
            assert_eq!(read(&entry), Err(InvalidKeySet::NoKey));
        }
    }

    #[test]
    fn a_flood_of_keys_and_other_documents_are_refused() {
        let key = |seed: u8| {
            let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
            format!(
                r#"{{"x":"{}"}}"#,
                BASE64.encode(secret.verifying_key().as_bytes())
            )
        };
        let entries = |count: u8| (0..count).map(key).collect::<Vec<_>>().join(",");
        assert_eq!(read(&entries(32)), Ok(32));
        assert_eq!(read(&entries(33)), Err(InvalidKeySet::TooMany));
        for document in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
            let read = KeySet::from_jwks(document.as_bytes());
            assert_eq!(read, Err(InvalidKeySet::NotJwks), "{document}");
        }
    }
}
