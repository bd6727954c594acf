//! Faults of JSON texts.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Fault;
use super::odd::{self, set};
use crate::text::beginning;

/// The id of a request that is not the caller's.
const FOREIGN_ID: &str = "00000000-0000-4000-8000-000000000000";

/// Fields that no answer can do without; everything else may be null.
const ESSENTIAL: [&str; 8] = [
    "status",
    "request_id",
    "images",
    "url",
    "items",
    "prices",
    "models",
    "unit_price",
];

pub(super) fn bytes(fault: &Fault, body: &[u8]) -> Option<Bytes> {
    match fault {
        // Not even text.
        Fault::Undecodable => Some(Bytes::from_static(b"\xff\xfe<<not json>>\x00\xff")),
        _ => text(fault, std::str::from_utf8(body).ok()?).map(Bytes::from),
    }
}

/// The text under this fault, if it is one of text.
pub(super) fn text(fault: &Fault, text: &str) -> Option<String> {
    match fault {
        Fault::TruncatedJson => Some(beginning(text, text.len() / 2).to_owned()),
        Fault::Undecodable => Some("<<not json>>".to_owned()),
        Fault::Body(body) => Some(body.clone()),
        Fault::DeepJson(levels) => {
            let levels = *levels as usize;
            Some(format!("{}{}", "[".repeat(levels), "]".repeat(levels)))
        }
        Fault::NullFields
        | Fault::UnknownFields
        | Fault::UnknownStatus
        | Fault::UnknownLogLevel
        | Fault::ForeignUrls(_)
        | Fault::EmptyError
        | Fault::ForeignRequestId
        | Fault::ForeignFailure
        | Fault::LoneSurrogateLog
        | Fault::OddResult(_)
        | Fault::OddListing(_)
        | Fault::EmptyListing => {
            let mut value: Value = serde_json::from_str(text).ok()?;
            Some(change(fault, &mut value))
        }
        _ => None,
    }
}

/// The text of the changed value.
fn change(fault: &Fault, value: &mut Value) -> String {
    match fault {
        Fault::OddResult(odd) => return odd.apply(value, ""),
        Fault::OddListing(odd) => return odd.apply(value),
        Fault::LoneSurrogateLog => return odd::lone_surrogate_log(value),
        Fault::NullFields => nulls(value),
        Fault::UnknownFields => unknown_fields(value),
        Fault::ForeignUrls(origin) => foreign(value, origin.trim_end_matches('/')),
        Fault::UnknownStatus => set(value, "status", json!("PAUSED")),
        Fault::UnknownLogLevel => {
            let line = json!({
                "message": "a line of a new kind",
                "timestamp": "2026-01-05T10:00:01.250Z",
                "level": "NOTICE",
                "source": "RUNNER",
            });
            set(value, "logs", json!([line]));
        }
        Fault::EmptyError if value.get("status") == Some(&json!("COMPLETED")) => {
            set(value, "error", json!(""));
        }
        Fault::ForeignRequestId => set(value, "request_id", json!(FOREIGN_ID)),
        Fault::ForeignFailure => {
            *value = json!({
                "status": "COMPLETED",
                "request_id": FOREIGN_ID,
                "logs": null,
                "error": "Runner disconnected",
                "error_type": "runner_disconnected",
            });
        }
        Fault::EmptyListing => {
            *value = json!({ "items": [], "next_cursor": null, "has_more": false });
        }
        _ => {}
    }
    value.to_string()
}

fn nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if ESSENTIAL.contains(&name.as_str()) {
                    nulls(field);
                } else {
                    *field = Value::Null;
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(nulls),
        _ => {}
    }
}

fn unknown_fields(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(unknown_fields);
            fields.insert("x_unknown".to_owned(), json!({ "deep": [1, null, "text"] }));
        }
        Value::Array(items) => items.iter_mut().for_each(unknown_fields),
        _ => {}
    }
}

fn foreign(value: &mut Value, origin: &str) {
    match value {
        Value::String(text) if text.starts_with("http") => {
            let path = text
                .split_once("://")
                .and_then(|(_, rest)| rest.find('/').map(|at| rest.split_at(at).1));
            *text = format!("{origin}{}", path.unwrap_or_default());
        }
        Value::Object(fields) => fields.values_mut().for_each(|field| foreign(field, origin)),
        Value::Array(items) => items.iter_mut().for_each(|item| foreign(item, origin)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mangled(fault: Fault, value: &Value) -> Value {
        serde_json::from_str(&text(&fault, &value.to_string()).unwrap()).unwrap()
    }

    #[test]
    fn the_essential_survives_nulls() {
        let output = json!({
            "images": [{ "url": "https://h/x.png", "width": 5, "file_name": "x.png" }],
            "seed": 1, "prompt": "", "timings": { "inference": 1 },
        });
        assert_eq!(
            mangled(Fault::NullFields, &output),
            json!({
                "images": [{ "url": "https://h/x.png", "width": null, "file_name": null }],
                "seed": null, "prompt": null, "timings": null,
            })
        );
    }

    #[test]
    fn urls_move_and_nothing_else() {
        let answer = json!({ "request_id": "7", "status_url": "https://queue.fal.run/a/b?c=d" });
        assert_eq!(
            mangled(Fault::ForeignUrls("http://evil:1/".to_owned()), &answer),
            json!({ "request_id": "7", "status_url": "http://evil:1/a/b?c=d" })
        );
    }

    #[test]
    fn broken_text_is_broken() {
        let whole = json!({ "status": "IN_QUEUE", "request_id": "ä" }).to_string();
        for fault in [Fault::TruncatedJson, Fault::Undecodable] {
            let broken = text(&fault, &whole).unwrap();
            assert!(serde_json::from_str::<Value>(&broken).is_err(), "{broken}");
        }
        let deep = text(&Fault::DeepJson(10_000), &whole).unwrap();
        assert_eq!(deep.len(), 20_000);
    }
}
