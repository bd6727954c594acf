//! What a delivery says: a request has ended, and how.

use std::fmt;

use serde_json::{Map, Value};
use uso_types::UsoOutput;

use crate::rejection::Rejection;

/// What a delivery says of a request that has ended (fal docs, webhooks).
#[derive(Clone, PartialEq)]
pub struct Notification {
    gateway_request_id: Option<String>,
    status: NotificationStatus,
    payload: Option<Value>,
    error: Option<String>,
    payload_error: Option<String>,
    other: Map<String, Value>,
}

/// How the request ended. These are not the words of the queue's status.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotificationStatus {
    /// `OK`: the model answered. The payload may be missing all the same.
    Ok,
    /// `ERROR`: the request failed.
    Error,
    /// A word that is not documented, as it came; empty when there was none.
    Other(String),
}

impl NotificationStatus {
    /// The word as it came.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ok => "OK",
            Self::Error => "ERROR",
            Self::Other(word) => word,
        }
    }
}

impl fmt::Display for NotificationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Notification {
    /// Reads a signed body. What is missing or new is no error; what contradicts the header is.
    pub(crate) fn read(body: &[u8], header: &str) -> Result<Self, Rejection> {
        let malformed = |why: String| Rejection::MalformedBody { why };
        let mut fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
            // Serde's message may quote what the body holds.
            let (line, column) = (error.line(), error.column());
            malformed(format!(
                "it is no JSON object, at line {line} column {column}"
            ))
        })?;
        let mut text = |name: &str| match fields.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(malformed(format!("its {name} is no text"))),
        };
        let request_id = text("request_id")?;
        let gateway_request_id = text("gateway_request_id")?;
        let status = match text("status")?.unwrap_or_default() {
            word if word == "OK" => NotificationStatus::Ok,
            word if word == "ERROR" => NotificationStatus::Error,
            word => NotificationStatus::Other(word),
        };
        let error = text("error")?;
        let payload_error = text("payload_error")?;
        if request_id.as_ref().is_some_and(|id| id != header) {
            return Err(Rejection::RequestIdMismatch);
        }
        let payload = fields
            .remove("payload")
            .filter(|payload| !payload.is_null());
        Ok(Self {
            gateway_request_id,
            status,
            payload,
            error,
            payload_error,
            other: fields,
        })
    }

    /// The id of the last attempt that fal made for the request; opaque, and another than the
    /// request's own when fal tried it again.
    pub fn gateway_request_id(&self) -> Option<&str> {
        self.gateway_request_id.as_deref()
    }

    /// How the request ended.
    pub fn status(&self) -> &NotificationStatus {
        &self.status
    }

    /// The model's output, or on an error what it said; `None` when fal could not include it.
    pub fn payload(&self) -> Option<&Value> {
        self.payload.as_ref()
    }

    /// fal's word on a failure, such as `Invalid status code: 422`.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Why the payload could not be included.
    pub fn payload_error(&self) -> Option<&str> {
        self.payload_error.as_deref()
    }

    /// Fields that are not documented, as they came.
    pub fn other(&self) -> &Map<String, Value> {
        &self.other
    }

    /// The endpoint's output.
    ///
    /// # Errors
    ///
    /// A [`NoOutput`] that says whether the request failed or the output has to be fetched from the
    /// queue.
    pub fn output(&self) -> Result<UsoOutput, NoOutput> {
        match &self.status {
            NotificationStatus::Ok => {}
            NotificationStatus::Error => {
                let error = self.error.clone();
                return Err(NoOutput::Failed { error });
            }
            NotificationStatus::Other(word) => {
                let word = word.clone();
                return Err(NoOutput::UnknownStatus { word });
            }
        }
        let Some(payload) = &self.payload else {
            let why = self.payload_error.clone();
            return Err(NoOutput::Withheld { why });
        };
        match UsoOutput::from_value_lossy(payload.clone()) {
            Ok((output, _))
                if output
                    .images
                    .as_ref()
                    .is_some_and(|images| !images.is_empty()) =>
            {
                Ok(output)
            }
            _ => Err(NoOutput::Malformed),
        }
    }
}

impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The payload holds prompts and pictures, and the texts may quote them.
        f.debug_struct("Notification")
            .field("status", &self.status)
            .field("gateway_request_id", &self.gateway_request_id)
            .field("has_payload", &self.payload.is_some())
            .finish_non_exhaustive()
    }
}

/// Why there is no output in a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoOutput {
    /// The request failed. [`Notification::payload`] may say more.
    Failed {
        /// fal's word on it.
        error: Option<String>,
    },
    /// The request succeeded, and its output could not be included: fetch the result from the
    /// queue, soon.
    Withheld {
        /// fal's word on it.
        why: Option<String>,
    },
    /// The payload is no output of this endpoint, or has no picture in it: fetch the result from
    /// the queue, whose answer is kept raw.
    Malformed,
    /// The status is a word that is not documented: ask the queue.
    UnknownStatus {
        /// The word.
        word: String,
    },
}

impl NoOutput {
    /// Whether the queue may have the picture all the same.
    pub fn is_worth_fetching(&self) -> bool {
        !matches!(self, Self::Failed { .. })
    }
}

impl fmt::Display for NoOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because = |why: &Option<String>| match why {
            Some(why) => format!(": {why}"),
            None => String::new(),
        };
        match self {
            Self::Failed { error } => write!(f, "the request failed{}", because(error)),
            Self::Withheld { why } => {
                write!(
                    f,
                    "the output was not included{}; fetch it from the queue",
                    because(why)
                )
            }
            Self::Malformed => f.write_str("the payload has no picture in it"),
            Self::UnknownStatus { word } => write!(f, "the status {word:?} is not known"),
        }
    }
}

impl std::error::Error for NoOutput {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Notification, Rejection> {
        Notification::read(body.as_bytes(), "r-1")
    }

    #[test]
    fn every_documented_shape_is_told_apart() {
        let made = read(
            r#"{"request_id":"r-1","gateway_request_id":"g-2","status":"OK","new":[1],
                "payload":{"images":[{"url":"https://example.org/a.png"}],"seed":15860307465884635512}}"#,
        )
        .unwrap();
        assert_eq!(
            made.output().unwrap().seed,
            Some(15_860_307_465_884_635_512)
        );
        assert_eq!(made.gateway_request_id(), Some("g-2"));
        assert_eq!(made.other()["new"], serde_json::json!([1]));

        let failed = read(
            r#"{"request_id":"r-1","status":"ERROR","error":"Invalid status code: 422","payload":{"detail":[]}}"#,
        )
        .unwrap();
        let why = failed.output().unwrap_err();
        assert_eq!(
            why.to_string(),
            "the request failed: Invalid status code: 422"
        );
        assert!(!why.is_worth_fetching());
        assert!(failed.payload().is_some());

        let withheld = read(
            r#"{"request_id":"r-1","status":"OK","payload":null,"payload_error":"too large"}"#,
        )
        .unwrap();
        let why = withheld.output().unwrap_err();
        assert_eq!(
            why,
            NoOutput::Withheld {
                why: Some("too large".to_owned())
            }
        );
        assert!(why.is_worth_fetching());
    }

    #[test]
    fn what_is_not_documented_is_kept_and_what_contradicts_is_refused() {
        let new = read(r#"{"request_id":"r-1","status":"PARTIAL","payload":{}}"#).unwrap();
        assert_eq!(new.status().as_str(), "PARTIAL");
        assert!(new.output().unwrap_err().is_worth_fetching());
        let bare = read("{}").unwrap();
        assert_eq!(bare.status().as_str(), "");
        let empty = read(r#"{"status":"OK","payload":{"images":[]}}"#).unwrap();
        assert_eq!(empty.output(), Err(NoOutput::Malformed));

        let other = read(r#"{"request_id":"r-2","status":"OK"}"#);
        assert_eq!(other, Err(Rejection::RequestIdMismatch));
        let deep = format!(r#"{{"payload":{}"#, "[".repeat(10_000));
        for malformed in ["", "[]", "null", "{", r#"{"status":7}"#, &deep] {
            let refused = read(malformed);
            assert!(
                matches!(refused, Err(Rejection::MalformedBody { .. })),
                "{refused:?}"
            );
        }
    }
}
