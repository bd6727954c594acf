//! `uso status`: the state of a job, asked once.

use std::process::ExitCode;

use serde_json::{Value, json};
use uso::status::{LogLine, State, Status};
use uso_journal::Purchase;

use crate::args::{Global, JobArgs};
use crate::cmd::list;
use crate::connection::Connection;
use crate::document::merged;
use crate::failure::Failure;
use crate::journal;
use crate::printer::Printer;
use crate::progress::describe_state;

pub(crate) async fn run(
    global: &Global,
    args: &JobArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::open(global).await?;
    let client = &connection.client;
    let journal = journal::open(global, &connection).await?;
    let recorded = journal::find(&journal, client, args.id.as_deref()).await?;
    let job = match &recorded {
        Some(purchase) => match &purchase.ticket {
            Some(ticket) => client.job(ticket.clone()),
            None => return unsent(purchase, printer),
        },
        None => client.job_by_id(args.id.as_deref().unwrap_or_default())?,
    };
    let id = job.request_id().to_owned();
    let status = job.status().await?;
    let mut lines = vec![describe_state(&status.state)];
    lines.extend(
        status
            .logs
            .iter()
            .map(|line| format!("log: {}", line.message)),
    );
    printer.data(&to_json(&id, &status), &lines)?;
    Ok(ExitCode::SUCCESS)
}

/// The record of a purchase that has no request id, or no longer.
fn unsent(purchase: &Purchase, printer: &Printer) -> Result<ExitCode, Failure> {
    let mut line = purchase.state.to_string();
    if let Some(reason) = &purchase.reason {
        line = format!("{line}: {}", reason.message);
    }
    printer.data(&list::to_json(purchase), &[line])?;
    Ok(ExitCode::SUCCESS)
}

fn to_json(request_id: &str, status: &Status) -> Value {
    let logs: Vec<Value> = status.logs.iter().map(log_to_json).collect();
    let more = json!({ "request_id": request_id, "logs": logs });
    merged(state_to_json(&status.state), more)
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
