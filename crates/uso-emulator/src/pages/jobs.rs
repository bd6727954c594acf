//! Jobs as the live page shows them: bounded, with the pictures that this machine holds.

use serde_json::{Map, Value, json};
use url::Url;

use crate::clock::Moment;
use crate::lock::lock;
use crate::queue::outcome::{Content, Place, path_on_the_cdn};
use crate::queue::{Job, Machine, Phase};
use crate::state::State;
use crate::text::beginning;

/// Bytes of a text, items of a list and pictures that are shown.
const TEXT: usize = 500;
const ITEMS: usize = 20;
const PICTURES: usize = 8;

/// At most so many jobs, the newest first.
pub(super) fn newest(state: &State, most: usize) -> Vec<Value> {
    let now = state.clock.now();
    let machine = lock(&state.machine);
    let jobs = machine.newest().take(most);
    jobs.map(|job| row(state, &machine, job, now)).collect()
}

fn row(state: &State, machine: &Machine, job: &Job, now: Moment) -> Value {
    let at = |moment: Moment| state.clock.rfc3339(moment);
    let failure = job
        .outcome
        .as_ref()
        .and_then(|outcome| outcome.failure.as_ref());
    let phase = match (job.phase, failure) {
        (Phase::Queued, _) => "waiting",
        (Phase::Running, _) => "running",
        (Phase::Completed, None) => "done",
        (Phase::Completed, Some(failure)) => match failure.error_type.as_deref() {
            Some("client_cancelled") => "cancelled",
            _ => "failed",
        },
    };
    let ran = job.started.map(|started| {
        let until = job.completed.unwrap_or(now);
        until.saturating_sub(started).as_secs_f64()
    });
    let mut inputs = Vec::new();
    own_pictures(state, &job.submission.input, &mut inputs);
    json!({
        "request_id": &*job.request_id,
        "endpoint_id": &*job.submission.endpoint_id,
        "state": phase,
        "position": machine.position(&job.request_id),
        "attempts": job.attempt,
        "submitted_at": at(job.submitted),
        "completed_at": job.completed.map(at),
        "ran_for": ran,
        "cancel_requested": job.cancel_requested,
        "error": failure.map(|failure| short(&failure.error)),
        "status": job.outcome.as_ref().map(|outcome| outcome.status),
        "input": shortened(&job.submission.input),
        "inputs": inputs,
        "pictures": made(job),
        "log": job.logs_until(now).last().map(|line| short(&line.message)),
    })
}

/// Paths of the pictures that the job made. Pictures inside the result are not shown.
fn made(job: &Job) -> Vec<String> {
    match job.outcome.as_ref().map(|outcome| &outcome.content) {
        Some(Content::Pictures(output)) => {
            let places = output.images.iter().map(|image| &image.place);
            let paths = places.filter_map(|place| match place {
                Place::File { path, .. } => Some(path.clone()),
                Place::Inline(_) => None,
            });
            paths.take(PICTURES).collect()
        }
        Some(Content::MadeUp(value)) => {
            let mut found = Vec::new();
            paths_in(value, &mut found);
            found
        }
        _ => Vec::new(),
    }
}

/// Paths of the files that a made-up output names.
fn paths_in(value: &Value, found: &mut Vec<String>) {
    match value {
        _ if found.len() >= PICTURES => {}
        Value::String(text) => found.extend(path_on_the_cdn(text).map(str::to_owned)),
        Value::Array(items) => items.iter().for_each(|item| paths_in(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| paths_in(field, found)),
        _ => {}
    }
}

/// Paths of the files of this CDN that an input names.
fn own_pictures(state: &State, value: &Value, found: &mut Vec<String>) {
    match value {
        _ if found.len() >= PICTURES => {}
        Value::String(text) if text.starts_with("http") && text.len() <= TEXT => {
            let url = Url::parse(text).ok();
            found.extend(url.and_then(|url| state.fetcher.own_file(&url)));
        }
        Value::Array(items) => {
            for item in items.iter().take(ITEMS) {
                own_pictures(state, item, found);
            }
        }
        Value::Object(fields) => {
            for field in fields.values().take(ITEMS) {
                own_pictures(state, field, found);
            }
        }
        _ => {}
    }
}

/// A copy of an input without its long texts, which are whole pictures most likely.
fn shortened(value: &Value) -> Value {
    match value {
        Value::String(text) => short(text).into(),
        Value::Array(items) => items.iter().take(ITEMS).map(shortened).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().take(ITEMS);
            let fields = fields.map(|(name, field)| (short(name), shortened(field)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn short(text: &str) -> String {
    let start = beginning(text, TEXT);
    match start.len() < text.len() {
        true => format!("{start}... ({} bytes)", text.len()),
        false => text.to_owned(),
    }
}
