//! `uso watch`: follows a job to its end.

use std::process::ExitCode;

use serde_json::{Value, json};
use uso::Event;
use uso_journal::{State, WatchEvent};

use crate::args::{Global, WatchArgs};
use crate::cmd::list;
use crate::cmd::status::{log_to_json, state_to_json};
use crate::connection::Connection;
use crate::exit_code::FAILED;
use crate::failure::Failure;
use crate::journal;
use crate::printer::Printer;
use crate::progress::{Progress, describe, state_of};

pub(crate) async fn run(
    global: &Global,
    args: &WatchArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::waiting(global, args.timeout).await?;
    let client = &connection.client;
    let journal = journal::open(global, &connection).await?;
    let id = args.job.id.as_deref();
    let host = client.config().base_urls().queue().host_str();
    let recorded = journal::find(&journal, client, id).await?;
    let shown = match &recorded {
        Some(purchase) => journal::shown_id(purchase),
        None => id.unwrap_or_default().to_owned(),
    };
    let progress = Progress::start(printer, &format!("watching {shown}")).about(host);
    let mut failed = false;
    let mut tell = |event: &Event| {
        failed = matches!(event, Event::Completed(completion) if completion.failure().is_some());
        match event {
            // Repeated as long as the service is down: one line, and not data.
            Event::Interrupted(_) if !printer.json => {
                progress.event(event);
                Ok(())
            }
            _ => printer.data(&to_json(event), &[describe(event)]),
        }
    };
    let mut last = None;
    match recorded {
        Some(purchase) => {
            let mut events = journal.watch(client, purchase.id);
            while let Some(event) = events.next().await {
                match event? {
                    WatchEvent::Job(event) => tell(&event)?,
                    WatchEvent::Row(row) => last = Some(row),
                    _ => {}
                }
            }
        }
        None => {
            let mut events = client.job_by_id(&shown)?.events();
            while let Some(event) = events.next().await {
                tell(&event?)?;
            }
        }
    }
    progress.end();
    // What the service told of the job is the news; without it, the record is.
    if let Some(row) = last.filter(|row| row.state != State::Submitted) {
        let failure = Failure::of_purchase(&row, None);
        if failure.is_none() {
            printer.data(&list::to_json(&row), &[row.state.to_string()])?;
        }
        return match failure {
            Some(failure) if !failed => Err(failure),
            Some(_) => Ok(ExitCode::from(FAILED)),
            None => Ok(ExitCode::SUCCESS),
        };
    }
    if failed {
        return Ok(ExitCode::from(FAILED));
    }
    printer.say(&format!("collect it with: uso result {shown}"));
    Ok(ExitCode::SUCCESS)
}

/// One JSON document a line.
fn to_json(event: &Event) -> Value {
    match event {
        Event::Log(line) => json!({ "log": log_to_json(line) }),
        Event::Interrupted(why) => json!({ "interrupted": why }),
        other => match state_of(other) {
            Some(state) => state_to_json(&state),
            None => json!({ "event": format!("{other:?}") }),
        },
    }
}
