//! `uso list`: the jobs that are bought and not saved yet.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::printer::Printer;
use crate::records::{Record, State};

/// Characters of a request id that are shown; every command takes a start of an id.
const SHORT: usize = 8;

pub(crate) fn run(printer: &Printer) -> Result<ExitCode, Failure> {
    let paths = State::locate()?.records()?.into_iter().rev();
    let records: Vec<Record> = paths.filter_map(|path| Record::peek(&path)).collect();
    let documents: Vec<Value> = records.iter().map(to_json).collect();
    let mut lines = Vec::new();
    if !records.is_empty() {
        lines.push(format!(
            "{:SHORT$}  {:9}  {:8}  place",
            "id", "state", "age"
        ));
        lines.extend(records.iter().map(line));
    }
    printer.data(&json!({ "jobs": documents }), &lines)?;
    printer.say(match records.is_empty() {
        true => "nothing is unfinished",
        false => "finish them with: uso resume",
    });
    Ok(ExitCode::SUCCESS)
}

/// Without a request id it is not known whether the purchase was accepted.
fn state(record: &Record) -> &'static str {
    match record.request_id() {
        Some(_) => "bought",
        None => "unknown",
    }
}

fn line(record: &Record) -> String {
    let id = record.request_id().unwrap_or("-");
    let id: String = id.chars().take(SHORT).collect();
    format!(
        "{id:SHORT$}  {:9}  {:8}  {}",
        state(record),
        age(record),
        record.target.shown()
    )
}

/// The age in its largest unit, such as `3m`.
fn age(record: &Record) -> String {
    let age = SystemTime::now().duration_since(record.intent.made_at());
    let seconds = age.unwrap_or(Duration::ZERO).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn to_json(record: &Record) -> Value {
    let made_at = record.intent.made_at().duration_since(UNIX_EPOCH);
    json!({
        "request_id": record.request_id(),
        "state": state(record),
        "made_at": made_at.unwrap_or_default().as_secs(),
        "origin": record.origin,
        "place": record.target.shown(),
    })
}
