//! `uso watch`: follows a job to its end.

use std::process::ExitCode;

use serde_json::{Value, json};
use uso::Event;
use uso::status::State;

use crate::args::{Global, WatchArgs};
use crate::cmd::status::{log_to_json, state_to_json};
use crate::connection::Connection;
use crate::exit_code::FAILED;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::progress::{Progress, describe};
use crate::recorded_jobs;

pub(crate) async fn run(
    global: &Global,
    args: &WatchArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::configured(global, |config| match args.timeout {
        Some(limit) => config.finish_within(limit),
        None => config,
    })
    .await?;
    let id = recorded_jobs::resolve(&connection.origin(), args.job.id.as_deref())?;
    let job = connection.client.job_by_id(&id)?;
    let host = connection.client.config().base_urls().queue().host_str();
    let progress = Progress::start(printer, &format!("watching {id}")).about(host);
    let mut events = job.events();
    let mut failed = false;
    while let Some(event) = events.next().await {
        let event = event?;
        failed = matches!(&event, Event::Completed(completion) if completion.failure().is_some());
        match &event {
            // Repeated as long as the service is down: one line, and not data.
            Event::Interrupted(_) if !printer.json => progress.event(&event),
            _ => printer.data(&to_json(&event), &[describe(&event)])?,
        }
    }
    progress.end();
    if failed {
        return Ok(ExitCode::from(FAILED));
    }
    printer.say(&format!("collect it with: uso result {id}"));
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
