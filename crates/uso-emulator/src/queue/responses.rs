//! Bodies of the responses to submit and status calls.

use serde_json::{Map, Value, json};

use super::{Job, LogLine, Machine, Phase};
use crate::clock::{Clock, Moment};
use crate::server::address::Base;

/// How many log lines an answer carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logs {
    /// Not asked for: the field is `null`.
    Off,
    /// Everything from this line on.
    From(usize),
}

/// The addresses of a request. Always owner and alias only, as the service answers, even if the
/// submit went to a path below them.
pub(crate) fn addresses(body: &mut Map<String, Value>, base: &Base, app: &str, request_id: &str) {
    let response = format!("{}/{app}/requests/{request_id}", base.queue());
    body.insert("status_url".into(), format!("{response}/status").into());
    body.insert("cancel_url".into(), format!("{response}/cancel").into());
    body.insert("response_url".into(), response.into());
}

pub(crate) fn submitted(
    base: &Base,
    app: &str,
    request_id: &str,
    position: usize,
    announced: bool,
) -> Value {
    let mut body = Map::new();
    body.insert("status".into(), "IN_QUEUE".into());
    body.insert("request_id".into(), request_id.into());
    if announced {
        // The first attempt has the id of the request.
        body.insert("gateway_request_id".into(), request_id.into());
    }
    addresses(&mut body, base, app, request_id);
    body.insert("queue_position".into(), position.into());
    body.into()
}

/// HTTP status and body of a status call, also the data of a stream event.
pub(crate) fn status(
    machine: &Machine,
    job: &Job,
    clock: &Clock,
    now: Moment,
    (base, app): (&Base, &str),
    logs: Logs,
) -> (u16, Value) {
    let mut body = Map::new();
    let word = match job.phase {
        Phase::Queued => "IN_QUEUE",
        Phase::Running => "IN_PROGRESS",
        Phase::Completed => "COMPLETED",
    };
    body.insert("status".into(), word.into());
    body.insert("request_id".into(), (*job.request_id).into());
    addresses(&mut body, base, app, &job.request_id);
    if job.phase == Phase::Queued {
        let position = machine.position(&job.request_id).unwrap_or_default();
        body.insert("queue_position".into(), position.into());
        return (202, body.into());
    }
    let lines = match logs {
        Logs::Off => Value::Null,
        Logs::From(first) => job
            .logs_until(now)
            .iter()
            .skip(first)
            .map(|line| log_entry(line, clock))
            .collect::<Vec<_>>()
            .into(),
    };
    body.insert("logs".into(), lines);
    if job.phase == Phase::Running {
        return (202, body.into());
    }
    // A job that never ran has no inference time to report.
    let inference = match (job.started, job.completed) {
        (Some(started), Some(completed)) if job.attempt > 0 => {
            json!(completed.saturating_sub(started).as_secs_f64())
        }
        _ => Value::Null,
    };
    body.insert("metrics".into(), json!({ "inference_time": inference }));
    if let Some(failure) = job
        .outcome
        .as_ref()
        .and_then(|outcome| outcome.failure.as_ref())
    {
        body.insert("error".into(), failure.error.clone().into());
        if let Some(error_type) = &failure.error_type {
            body.insert("error_type".into(), error_type.clone().into());
        }
    }
    (200, body.into())
}

fn log_entry(line: &LogLine, clock: &Clock) -> Value {
    json!({
        "message": line.message,
        "timestamp": clock.rfc3339(line.at),
        "level": "INFO",
        "source": "USER",
    })
}
