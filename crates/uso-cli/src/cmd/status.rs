//! `uso status`: where a job stands, once.

use std::process::ExitCode;

use serde_json::{Value, json};
use uso::status::{LogLine, State, Status};

use crate::args::{Global, JobArgs};
use crate::cmd::connect::Connection;
use crate::exit::Failure;
use crate::output::Printer;

pub(crate) async fn run(
    global: &Global,
    args: &JobArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::open(global).await?;
    let job = connection.client.job_by_id(&args.request_id)?;
    let status = job.status().await?;
    let mut lines = vec![describe(&status.state)];
    lines.extend(
        status
            .logs
            .iter()
            .map(|line| format!("log: {}", line.message)),
    );
    printer.data(&to_json(&args.request_id, &status), &lines);
    Ok(ExitCode::SUCCESS)
}

fn describe(state: &State) -> String {
    match state {
        State::Queued {
            position: Some(ahead),
        } => format!("IN_QUEUE, {ahead} ahead"),
        State::Queued { position: None } => "IN_QUEUE".to_owned(),
        State::Running => "IN_PROGRESS".to_owned(),
        State::Completed(completion) => match completion.failure() {
            Some(error) => format!("COMPLETED with an error: {error}"),
            None => "COMPLETED".to_owned(),
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
