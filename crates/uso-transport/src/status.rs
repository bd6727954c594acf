//! Status of a job, parsed leniently.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

use crate::sanitize::{json_problem, plain_text};
use uso_types::json_repair::{Parsed, parse};

/// State of a job. A job can go back from running to the queue, when its runner fails.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
#[non_exhaustive]
pub enum State {
    /// It waits; `position` counts the requests ahead of it.
    Queued {
        /// Requests ahead, where the service says so.
        position: Option<u64>,
    },
    /// A runner has it.
    Running,
    /// It has ended, well or badly.
    Completed(Completion),
}

/// End of a job, as far as its status says; the result has the rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Completion {
    /// The service's text when the job failed or was cancelled.
    pub error: Option<String>,
    /// The category of the failure, such as `runner_disconnected`.
    pub error_type: Option<String>,
    /// Seconds that the model took.
    pub inference_seconds: Option<f64>,
}

impl Completion {
    /// Reason of the failure in the service's words; `None` when its status names nothing.
    pub fn failure(&self) -> Option<&str> {
        self.error.as_deref().or(self.error_type.as_deref())
    }
}

/// Log line that the job's code wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct LogLine {
    /// The line, without control characters.
    pub message: String,
    /// Time of the line in RFC 3339, as the service gave it.
    pub timestamp: Option<String>,
    /// Its level, as the service gave it; not a closed list.
    pub level: Option<String>,
}

/// Status of a job at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// State of the job.
    #[serde(flatten)]
    pub state: State,
    /// Log lines: all so far from a status request, the new ones from a stream.
    pub logs: Vec<LogLine>,
}

/// The fields of a status that are read, of any type; the last of a name counts.
#[derive(Default)]
struct Body {
    status: Value,
    request_id: Value,
    queue_position: Value,
    error: Value,
    error_type: Value,
    metrics: Value,
    logs: Value,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Status,
    RequestId,
    QueuePosition,
    Error,
    ErrorType,
    Metrics,
    Logs,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Body;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Body, A::Error> {
                let mut body = Body::default();
                while let Some(field) = fields.next_key()? {
                    let place = match field {
                        Field::Status => &mut body.status,
                        Field::RequestId => &mut body.request_id,
                        Field::QueuePosition => &mut body.queue_position,
                        Field::Error => &mut body.error,
                        Field::ErrorType => &mut body.error_type,
                        Field::Metrics => &mut body.metrics,
                        Field::Logs => &mut body.logs,
                        Field::Other => {
                            fields.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *place = fields.next_value()?;
                }
                Ok(body)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

impl Status {
    /// Whether the job has ended, well or badly.
    pub fn is_completed(&self) -> bool {
        matches!(self.state, State::Completed(_))
    }

    /// Reads the status of this request; `Err` says why the body is none.
    pub(crate) fn read(body: &[u8], request_id: &str) -> Result<Self, String> {
        let Parsed::<Body> { value, is_repaired } =
            parse(body).map_err(|error| json_problem(&error))?;
        if is_repaired {
            warn!(request_id, "the status is not valid JSON and was repaired");
        }
        let named = value.request_id.as_str();
        if let Some(other) = named.filter(|named| *named != request_id) {
            return Err(format!("it is about request {:?}", plain_text(other)));
        }
        // An error that is empty, or says nothing, is none.
        let text = |field: &Value| {
            let text = plain_text(field.as_str()?);
            (!text.is_empty()).then_some(text)
        };
        let state = match value.status.as_str() {
            Some("IN_QUEUE") => State::Queued {
                position: value.queue_position.as_u64(),
            },
            Some("IN_PROGRESS") => State::Running,
            Some("COMPLETED") => State::Completed(Completion {
                error: text(&value.error),
                error_type: text(&value.error_type),
                inference_seconds: value.metrics.get("inference_time").and_then(Value::as_f64),
            }),
            Some(other) => return Err(format!("status {:?} is unknown", plain_text(other))),
            None => return Err("there is no status in it".to_owned()),
        };
        let logs = value.logs.as_array().into_iter().flatten();
        let logs = logs.filter_map(LogLine::read).collect();
        Ok(Self { state, logs })
    }
}

impl LogLine {
    fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(plain_text);
        Some(Self {
            message: text("message")?,
            timestamp: text("timestamp"),
            level: text("level"),
        })
    }
}

/// Result of a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cancellation {
    /// The job was still queued and is removed; it is not billed.
    Removed,
    /// The runner was told. The job may still complete, and is then billed: keep watching.
    Requested,
    /// Too late: the job had ended. Its result can be fetched.
    AlreadyCompleted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_missing_and_empty_logs_are_alike() {
        for logs in ["", r#","logs":null"#, r#","logs":[]"#, r#","logs":{}"#] {
            let body = format!(r#"{{"status":"IN_PROGRESS","request_id":"r"{logs}}}"#);
            let status = Status::read(body.as_bytes(), "r").unwrap();
            assert_eq!(
                status,
                Status {
                    state: State::Running,
                    logs: Vec::new()
                }
            );
        }
    }

    #[test]
    fn a_log_line_needs_only_its_message() {
        let body = br#"{"status":"IN_PROGRESS","logs":[{"message":"a"},{"message":"b","level":"LOUD","labels":{}},{"level":"INFO"}]}"#;
        let logs = Status::read(body, "r").unwrap().logs;
        assert_eq!(logs.len(), 2);
        assert_eq!(logs[1].level.as_deref(), Some("LOUD"));
    }

    #[test]
    fn null_metrics_and_a_missing_position_are_tolerated() {
        let body = br#"{"status":"COMPLETED","metrics":null,"error":null}"#;
        assert_eq!(
            Status::read(body, "r").unwrap().state,
            State::Completed(Completion::default())
        );
        let body = br#"{"status":"IN_QUEUE"}"#;
        assert_eq!(
            Status::read(body, "r").unwrap().state,
            State::Queued { position: None }
        );
    }

    #[test]
    fn an_unknown_word_is_named_and_nothing_else_is_quoted() {
        let problem = Status::read(br#"{"status":"PAUSED","prompt":"secret"}"#, "r").unwrap_err();
        assert_eq!(problem, r#"status "PAUSED" is unknown"#);
        let problem = Status::read(br#"{"status":"COMP"#, "r").unwrap_err();
        assert_eq!(problem, "it ends too early, at line 1, column 15");
    }

    #[test]
    fn an_empty_error_is_none_and_a_status_of_another_request_is_no_status() {
        let body = br#"{"status":"COMPLETED","request_id":"r","error":"","error_type":" "}"#;
        assert_eq!(
            Status::read(body, "r").unwrap().state,
            State::Completed(Completion::default())
        );
        let problem = Status::read(body, "other").unwrap_err();
        assert_eq!(problem, r#"it is about request "r""#);
    }

    #[test]
    fn a_lone_surrogate_in_a_log_line_hides_no_status() {
        let body = br#"{"status":"IN_PROGRESS","logs":[{"message":"\ud800 step"}]}"#;
        let status = Status::read(body, "r").unwrap();
        assert_eq!(status.logs[0].message, "\u{fffd} step");
    }
}
