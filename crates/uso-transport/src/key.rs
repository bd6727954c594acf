//! The API key, visible only in the `Authorization` header.

use std::fmt;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

use crate::sanitize::hex;

/// A fal API key, `key_id:key_secret` in one string.
///
/// Its `Debug` shows nothing of it, and no error, log line or URL does.
///
/// ```
/// # use uso_transport::ApiKey;
/// let key = ApiKey::new("id:secret")?;
/// assert_eq!(format!("{key:?}"), "ApiKey(…)");
/// # Ok::<(), uso_transport::Error>(())
/// ```
#[derive(Clone)]
pub struct ApiKey {
    key: SecretString,
    /// The value of the `Authorization` header; `None` without a key.
    header: Option<HeaderValue>,
}

/// A text that cannot be an API key. The text is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// There is no text but white space.
    #[error("the API key is empty")]
    Empty,
    /// A character cannot stand in the header that carries the key.
    #[error(
        "the API key contains white space, a line break or a character outside printable ASCII"
    )]
    Character,
}

impl ApiKey {
    /// A key, trimmed of white space.
    ///
    /// # Errors
    ///
    /// When it is empty or has a character that no key has.
    pub fn new(key: impl AsRef<str>) -> Result<Self, InvalidKey> {
        let key = key.as_ref().trim();
        if key.is_empty() {
            Err(InvalidKey::Empty)
        } else if !key.bytes().all(|byte| (b'!'..=b'~').contains(&byte)) {
            Err(InvalidKey::Character)
        } else {
            let header = HeaderValue::try_from(format!("Key {key}"));
            let mut header = header.map_err(|_| InvalidKey::Character)?;
            header.set_sensitive(true);
            Ok(Self {
                key: SecretString::from(key),
                header: Some(header),
            })
        }
    }

    /// No key, for what needs none.
    pub(crate) fn absent() -> Self {
        Self {
            key: SecretString::default(),
            header: None,
        }
    }

    /// Whether the key has the documented form `key_id:key_secret`.
    pub(crate) fn has_documented_form(&self) -> bool {
        let key = self.key.expose_secret();
        matches!(key.split_once(':'), Some((id, secret)) if !id.is_empty() && !secret.is_empty())
    }

    /// Tells accounts' keys apart without showing anything of them: a digest of the key id.
    pub(crate) fn fingerprint(&self) -> String {
        let key = self.key.expose_secret();
        let id = key.split_once(':').map_or(key, |(id, _)| id);
        hex(&Sha256::digest(id)).chars().take(16).collect()
    }

    /// The value of the `Authorization` header, marked so that HTTP layers do not log it.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        self.header.clone()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}
