//! Reading the signed JSON body of a notification.

use serde_json::{Map, Value};
use uso_types::json_repair;

use crate::rejection::Rejection;
use crate::status::NotificationStatus;

/// Fields of a signed body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Body {
    pub(crate) gateway_request_id: Option<String>,
    pub(crate) status: NotificationStatus,
    pub(crate) payload: Option<Value>,
    pub(crate) error: Option<Value>,
    pub(crate) payload_error: Option<Value>,
    pub(crate) other: Map<String, Value>,
    pub(crate) is_repaired: bool,
}

impl Body {
    /// Reads a signed body. The body may announce pictures that were paid for, so a field that is
    /// missing, new or of an unexpected type is kept and refuses nothing, and JSON is repaired as that
    /// of a result is. Only a body that is no JSON object even then, or that names another request
    /// than the signed header, is refused.
    pub(crate) fn read(body: &[u8], request_id: &str) -> Result<Self, Rejection> {
        let parsed = json_repair::parse(body).map_err(|error| {
            // The message of serde_json may quote the body.
            let (line, column) = (error.line(), error.column());
            Rejection::MalformedBody {
                why: format!("it is no JSON object, at line {line} column {column}"),
            }
        })?;
        let mut other: Map<String, Value> = parsed.value;
        if let Some(Value::String(id)) = other.get("request_id") {
            if id != request_id {
                return Err(Rejection::RequestIdMismatch);
            }
            other.remove("request_id");
        }
        let mut value = |name: &str| other.remove(name).filter(|value| !value.is_null());
        let status = value("status").map_or_else(String::new, |status| text_of(&status));
        let (payload, error) = (value("payload"), value("error"));
        let payload_error = value("payload_error");
        let gateway_request_id = value("gateway_request_id").map(|id| text_of(&id));
        Ok(Self {
            gateway_request_id,
            status: NotificationStatus::from(status),
            payload,
            error,
            payload_error,
            other,
            is_repaired: parsed.is_repaired,
        })
    }
}

/// A text as it is, any other value as JSON.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &str) -> Result<Body, Rejection> {
        Body::read(body.as_bytes(), "r-1")
    }

    #[test]
    fn a_field_of_an_unexpected_type_is_kept() {
        let body = read(
            r#"{"request_id":7,"gateway_request_id":8,"status":9,"error":{"type":"x"},
                "payload_error":["y"],"payload":[1],"new":true}"#,
        )
        .unwrap();
        assert_eq!(body.gateway_request_id.as_deref(), Some("8"));
        assert_eq!(body.status.as_str(), "9");
        assert_eq!(body.error, Some(json!({ "type": "x" })));
        assert_eq!(body.payload_error, Some(json!(["y"])));
        assert_eq!(body.payload, Some(json!([1])));
        assert_eq!(json!(body.other), json!({ "request_id": 7, "new": true }));
    }

    #[test]
    fn a_body_of_another_request_or_without_an_object_is_refused() {
        let other = read(r#"{"request_id":"r-2","status":"OK"}"#);
        assert_eq!(other, Err(Rejection::RequestIdMismatch));
        let deep = format!(r#"{{"payload":{}"#, "[".repeat(10_000));
        for malformed in ["", "[]", "null", "{", &deep] {
            let refused = read(malformed);
            assert!(
                matches!(refused, Err(Rejection::MalformedBody { .. })),
                "{refused:?}"
            );
        }
    }
}
