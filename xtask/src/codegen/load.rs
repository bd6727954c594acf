//! First step: bytes to a JSON document, with the digest that the header and the freshness check
//! name.

use std::fmt;

use serde_json::Value;

/// A schema document as it was found.
#[derive(Clone, Debug)]
pub struct Document {
    /// What people call it: the path they gave.
    pub name: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its content.
    pub value: Value,
}

impl Document {
    /// Reads the bytes of a document.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Fault> {
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| Fault::new("", format!("this is not JSON: {error}")))?;
        if let Some(reason) = listing_error(&value) {
            return Err(Fault::new("error", reason));
        }
        Ok(Self {
            name: name.to_owned(),
            sha256: digest(bytes),
            value,
        })
    }
}

/// fal's model listing holds an error object in place of some schemas.
fn listing_error(value: &Value) -> Option<String> {
    let error = value.get("error")?;
    if value.get("components").is_some() {
        return None;
    }
    let code = error
        .get("code")
        .and_then(Value::as_str)
        .unwrap_or("unknown");
    Some(format!(
        "fal's listing gave an error (`{code}`) in place of a schema"
    ))
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    hmac_sha256::Hash::hash(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Why a document cannot be turned into types, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The place in the document, like `components.schemas.WhisperChunk.properties.timestamp`.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

impl Fault {
    /// A fault at a place.
    pub fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            formatter.write_str(&self.reason)
        } else {
            write!(formatter, "{}: {}", self.path, self.reason)
        }
    }
}

impl std::error::Error for Fault {}
