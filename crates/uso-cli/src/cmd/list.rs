//! `uso list`: the jobs that are recorded.

use std::process::ExitCode;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::args::ListArgs;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::records::{Record, State};

pub(crate) fn run(args: &ListArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let _ = args.all;
    let records = State::locate()?.records()?.into_iter().rev();
    let records: Vec<Record> = records.filter_map(|path| Record::peek(&path)).collect();
    let documents: Vec<Value> = records.iter().map(to_json).collect();
    let lines: Vec<String> = records.iter().map(line).collect();
    printer.data(&json!({ "jobs": documents }), &lines)?;
    if lines.is_empty() {
        printer.say("nothing is unfinished");
    }
    Ok(ExitCode::SUCCESS)
}

fn line(record: &Record) -> String {
    let id = record.request_id().unwrap_or("(id not known)");
    let age = SystemTime::now()
        .duration_since(record.intent.made_at())
        .unwrap_or_default();
    let age = humantime::format_duration(std::time::Duration::from_secs(age.as_secs()));
    format!("{id}  {age} ago  {}", record.target.shown())
}

fn to_json(record: &Record) -> Value {
    json!({
        "request_id": record.request_id(),
        "origin": record.origin,
        "target": record.target,
    })
}
