//! `uso watch`: follows a job until it has ended.

use std::process::ExitCode;

use serde_json::{Value, json};
use uso::Event;
use uso::status::State;

use crate::args::{Global, JobArgs};
use crate::cmd::connect::Connection;
use crate::cmd::status::{log_to_json, state_to_json};
use crate::exit::{FAILED, Failure};
use crate::output::Printer;
use crate::progress::describe;

pub(crate) async fn run(
    global: &Global,
    args: &JobArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::open(global).await?;
    let job = connection.client.job_by_id(&args.request_id)?;
    let mut events = job.events();
    while let Some(event) = events.next().await {
        let event = event?;
        printer.data(&to_json(&event), &[describe(&event)]);
        if let Event::Completed(completion) = &event
            && completion.failure().is_some()
        {
            return Ok(ExitCode::from(FAILED));
        }
    }
    printer.say(&format!("collect it with: uso result {}", args.request_id));
    Ok(ExitCode::SUCCESS)
}

/// One JSON document a line.
fn to_json(event: &Event) -> Value {
    match event {
        Event::Queued { position } => state_to_json(&State::Queued {
            position: *position,
        }),
        Event::Running => state_to_json(&State::Running),
        Event::Completed(completion) => state_to_json(&State::Completed(completion.clone())),
        Event::Log(line) => json!({ "log": log_to_json(line) }),
        Event::Interrupted(why) => json!({ "interrupted": why }),
        other => json!({ "event": format!("{other:?}") }),
    }
}
