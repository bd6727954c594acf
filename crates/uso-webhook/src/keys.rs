//! The public keys that verify notifications, and where they come from.

use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;

/// The most keys in a set: each of them is tried with every notification.
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
    /// where `x` is the key in base64url with or without padding. `kid` selects nothing. Passed over
    /// are entries that are no Ed25519 key, that are for something else than signatures (`use`,
    /// `key_ops`, `alg`), that hold a private key (`d`), and weak keys, which fit forged signatures.
    ///
    /// # Errors
    ///
    /// When it is no such document, holds no usable key, or more than 32 keys.
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

    /// The number of keys; at least one.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether any key fits. All keys are tried in any case, so that the time does not tell which
    /// one fits.
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
    // fal documents `x` alone. The members below are customary (RFC 7517, RFC 8037); one that says
    // that the key is for something else, or that is secret, rules the key out.
    let is = |name: &str, expected: &[&str]| {
        let value = entry.get(name);
        value.is_none_or(|value| expected.iter().any(|word| value == word))
    };
    let verifies = entry.get("key_ops").is_none_or(|operations| {
        let mut operations = operations.as_array().into_iter().flatten();
        operations.any(|operation| operation == "verify")
    });
    let is_public = is("kty", &["OKP"])
        && is("crv", &["Ed25519"])
        && is("use", &["sig"])
        && is("alg", &["EdDSA", "Ed25519"])
        && verifies
        && entry.get("d").is_none();
    if !is_public {
        return None;
    }
    let bytes = BASE64.decode(entry.get("x")?.as_str()?).ok()?;
    let key = VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok()?;
    (!key.is_weak()).then_some(key)
}

/// Why a document is no set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKeySet {
    /// The document is not `{"keys": […]}` in JSON.
    #[error("it is not a JSON Web Key Set ({{\"keys\": […]}})")]
    NotJwks,
    /// The document has no Ed25519 key that can be used.
    #[error("it holds no usable Ed25519 key")]
    NoKey,
    /// The document has more keys than a notification should be tried with.
    #[error("it holds more than {MOST_KEYS} keys")]
    TooMany,
}

/// The boxed future of a [`KeySource`], so that a source can be chosen at run time.
pub type KeyFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Source of the public keys. A [`KeySet`] is a source itself; the facade `uso` has a source that
/// fetches fal's keys and caches them.
pub trait KeySource: Send + Sync {
    /// The current keys.
    fn keys(&self) -> KeyFuture<'_, Result<KeySet, KeysUnavailable>>;

    /// Keys other than `seen`, none of which fits a notification; `None` when there are no others. A
    /// source that fetches must limit how often this fetches, since any caller can send a
    /// notification that no key fits.
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

/// The keys are not available; the text is the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeysUnavailable(pub String);

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
        let verifies =
            format!(r#"{{"x":"{X}","use":"sig","alg":"EdDSA","key_ops":["sign","verify"]}}"#);
        assert_eq!(read(&verifies), Ok(1));
    }

    #[test]
    fn an_entry_that_is_no_public_ed25519_signature_key_is_passed_over() {
        let others = [
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(),
            format!(r#"{{"x":"{X}","crv":"X25519","kty":"OKP"}}"#),
            format!(r#"{{"x":"{X}","kty":"EC"}}"#),
            format!(r#"{{"x":"{X}","use":"enc"}}"#),
            format!(r#"{{"x":"{X}","use":7}}"#),
            format!(r#"{{"x":"{X}","key_ops":["sign"]}}"#),
            format!(r#"{{"x":"{X}","alg":"ECDH-ES"}}"#),
            format!(r#"{{"x":"{X}","d":"{X}"}}"#),
            format!(r#"{{"x":"{X}","d":null}}"#),
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
