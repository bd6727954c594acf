//! `uso status`: the state of a job, asked once.

use std::process::ExitCode;

use serde_json::{Value, json};
use uso::status::{LogLine, State, Status};

use crate::args::{Global, JobArgs};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::progress::queued;
use crate::recorded_jobs;

pub(crate) async fn run(
    global: &Global,
    args: &JobArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::open(global).await?;
    let id = recorded_jobs::resolve(&connection.origin(), args.id.as_deref())?;
    let job = connection.client.job_by_id(&id)?;
    let status = job.status().await?;
    let mut lines = vec![describe(&status.state)];
    lines.extend(
        status
            .logs
            .iter()
            .map(|line| format!("log: {}", line.message)),
    );
    printer.data(&to_json(&id, &status), &lines)?;
    Ok(ExitCode::SUCCESS)
}

/// The words that `uso watch` uses.
fn describe(state: &State) -> String {
    match state {
        State::Queued { position } => queued(*position),
        State::Running => "running".to_owned(),
        State::Completed(completion) => match completion.failure() {
            Some(error) => format!("failed: {error}"),
            None => "completed".to_owned(),
        },
        other => format!("{other:?}"),
    }
}

fn to_json(request_id: &str, status: &Status) -> Value {
    let logs: Vec<Value> = status.logs.iter().map(log_to_json).collect();
    let mut value = state_to_json(&status.state);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("request_id".to_owned(), json!(request_id));
        fields.insert("logs".to_owned(), json!(logs));
    }
    value
}

pub(crate) fn log_to_json(line: &LogLine) -> Value {
    json!({ "message": line.message, "timestamp": line.timestamp, "level": line.level })
}

pub(crate) fn state_to_json(state: &State) -> Value {
    match state {
        State::Queued { position } => json!({ "status": "IN_QUEUE", "queue_position": position }),
        State::Running => json!({ "status": "IN_PROGRESS" }),
        State::Completed(completion) => json!({
            "status": "COMPLETED",
            "error": completion.error,
            "error_type": completion.error_type,
            "inference_seconds": completion.inference_seconds,
        }),
        other => json!({ "status": format!("{other:?}") }),
    }
}
