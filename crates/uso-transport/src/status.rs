//! Status of a job, parsed leniently.

use serde::Serialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};
use serde_json::Value;
use tracing::warn;

use crate::lenient::{Lenient, Read, text};
use crate::sanitize::{json_problem, plain, plain_text};
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

/// What is read of a status.
#[derive(Default)]
struct Body {
    status: Option<String>,
    request_id: Option<String>,
    position: Option<u64>,
    error: Option<String>,
    error_type: Option<String>,
    metrics: Metrics,
    logs: Logs,
}

impl Lenient for Body {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: &mut A) -> Result<(), A::Error> {
        match name {
            "status" => self.status = text(value)?,
            "request_id" => self.request_id = text(value)?,
            "queue_position" => self.position = value.next_value::<Value>()?.as_u64(),
            "error" => self.error = text(value)?,
            "error_type" => self.error_type = text(value)?,
            "metrics" => Read(self.metrics) = value.next_value()?,
            "logs" => Read(self.logs) = value.next_value()?,
            _ => drop(value.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

#[derive(Default)]
struct Metrics {
    inference_time: Option<f64>,
}

impl Lenient for Metrics {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: &mut A) -> Result<(), A::Error> {
        match name {
            "inference_time" => self.inference_time = value.next_value::<Value>()?.as_f64(),
            _ => drop(value.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

#[derive(Default)]
struct Logs(Vec<LogLine>);

impl Lenient for Logs {
    fn item<'de, A: SeqAccess<'de>>(&mut self, items: &mut A) -> Result<Option<()>, A::Error> {
        let item = items.next_element::<Read<Line>>()?;
        Ok(item.map(|Read(line)| self.0.extend(line.told())))
    }
}

#[derive(Default)]
struct Line {
    message: Option<String>,
    timestamp: Option<String>,
    level: Option<String>,
}

impl Lenient for Line {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: &mut A) -> Result<(), A::Error> {
        match name {
            "message" => self.message = text(value)?,
            "timestamp" => self.timestamp = text(value)?,
            "level" => self.level = text(value)?,
            _ => drop(value.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl Line {
    fn told(self) -> Option<LogLine> {
        Some(LogLine {
            message: plain(self.message?),
            timestamp: self.timestamp.map(plain),
            level: self.level.map(plain),
        })
    }
}

impl Status {
    /// Whether the job has ended, well or badly.
    pub fn is_completed(&self) -> bool {
        matches!(self.state, State::Completed(_))
    }

    /// Reads the status of this request; `Err` says why the body is none.
    pub(crate) fn read(body: &[u8], request_id: &str) -> Result<Self, String> {
        let Parsed { value, is_repaired } = parse(body).map_err(|error| json_problem(&error))?;
        if is_repaired {
            warn!(request_id, "the status is not valid JSON and was repaired");
        }
        let Read::<Body>(body) = value;
        if let Some(other) = body.request_id.filter(|named| *named != request_id) {
            return Err(format!("it is about request {:?}", plain(other)));
        }
        // An error that is empty, or says nothing, is none.
        let said = |text: Option<String>| text.map(plain).filter(|text| !text.is_empty());
        let state = match body.status.as_deref() {
            Some("IN_QUEUE") => State::Queued {
                position: body.position,
            },
            Some("IN_PROGRESS") => State::Running,
            Some("COMPLETED") => State::Completed(Completion {
                error: said(body.error),
                error_type: said(body.error_type),
                inference_seconds: body.metrics.inference_time,
            }),
            Some(other) => return Err(format!("status {:?} is unknown", plain_text(other))),
            None => return Err("there is no status in it".to_owned()),
        };
        let logs = body.logs.0;
        Ok(Self { state, logs })
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
