//! Ed25519 keys that sign notifications.

use std::io;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

/// The signing key, the one before it, and a published one that never signs, so that a receiver
/// has to try more than the first.
pub(crate) struct Signer {
    current: Ed25519KeyPair,
    retired: Ed25519KeyPair,
    idle: Ed25519KeyPair,
}

impl Signer {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            current: generate()?,
            retired: generate()?,
            idle: generate()?,
        })
    }

    /// From now on another key signs; the one before is no longer published.
    pub(crate) fn rotate(&mut self) -> io::Result<()> {
        self.retired = std::mem::replace(&mut self.current, generate()?);
        Ok(())
    }

    /// A JSON Web Key Set.
    pub(crate) fn jwks(&self) -> Value {
        let keys: Vec<Value> = [&self.idle, &self.current]
            .into_iter()
            .map(|key| {
                let x = BASE64_URL_SAFE_NO_PAD.encode(key.public_key());
                json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
            })
            .collect();
        json!({ "keys": keys })
    }

    /// The signature in lower-case hex: over request id, user id, seconds and the body's digest, a
    /// line each and no line break at the end.
    pub(crate) fn sign(
        &self,
        ids: (&str, &str),
        seconds: i64,
        body: &[u8],
        retired: bool,
    ) -> String {
        let (request_id, user_id) = ids;
        let digest = hex(digest(&SHA256, body).as_ref());
        let message = [request_id, user_id, &seconds.to_string(), &digest].join("\n");
        let key = if retired {
            &self.retired
        } else {
            &self.current
        };
        hex(key.sign(message.as_bytes()).as_ref())
    }
}

fn generate() -> io::Result<Ed25519KeyPair> {
    let mut seed = [0; 32];
    SystemRandom::new()
        .fill(&mut seed)
        .map_err(|_| io::Error::other("the system has no randomness for a signing key"))?;
    Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|error| io::Error::other(error.to_string()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_of_the_documented_form_has_its_documented_signature() {
        let seed: Vec<u8> = (0..32).collect();
        let signer = Signer {
            current: Ed25519KeyPair::from_seed_unchecked(&seed).unwrap(),
            ..Signer::new().unwrap()
        };
        assert_eq!(
            signer.jwks()["keys"][1]["x"],
            "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
        );
        let id = "3f1c9a52-7d0e-4c86-9a57-0f6b2f0c1d11";
        let body = format!(
            r#"{{"request_id":"{id}","gateway_request_id":"{id}","status":"OK","payload":{{"images":[],"seed":7,"has_nsfw_concepts":[],"prompt":"","timings":{{}}}}}}"#
        );
        assert_eq!(body.len(), 208);
        let signature = signer.sign((id, "user-test-1"), 1_760_000_000, body.as_bytes(), false);
        assert_eq!(
            signature,
            "76c59ee7afe605e0f9759be8854186971caa863ae59d89ec7accb7dd941dfa325ce2e44c4ea701c1d69584d324d3f1757ef96c3694f2b6bfa5344063531f3e0b"
        );
    }

    #[test]
    fn a_rotation_publishes_another_key_and_keeps_the_old_one_to_itself() {
        let mut signer = Signer::new().unwrap();
        let before = signer.jwks();
        let by_old = signer.sign(("r", "u"), 1, b"{}", false);
        signer.rotate().unwrap();
        assert_eq!(signer.sign(("r", "u"), 1, b"{}", true), by_old);
        assert_ne!(signer.sign(("r", "u"), 1, b"{}", false), by_old);
        let after = signer.jwks();
        assert_eq!(after["keys"][0], before["keys"][0]);
        assert_ne!(after["keys"][1], before["keys"][1]);
    }
}
