//! First step: bytes to a JSON document and its digest.

use std::fmt;

use serde_json::Value;

/// A schema document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its name: the path of the file.
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

/// fal's model listing has an error object in place of some schemas.
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

/// A reason why no types can be generated from a document, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The place in the document, like `components.schemas.WhisperChunk.properties.timestamp`.
    pub path: String,
    /// The reason.
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
