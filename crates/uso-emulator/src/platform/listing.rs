//! The Platform API's listing of past requests, the only way to find a lost submit.
//!
//! A row appears some time after its request started, as configured; requests that still wait are
//! absent. The window filters on the start. fal documents neither, so a client must not count on
//! either.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::clock::Moment;
use crate::lock::lock;
use crate::queue::{Job, Phase};
use crate::server::address::Base;
use crate::server::query;
use crate::server::respond::{self, Response};
use crate::state::State;

struct Filter {
    endpoints: Vec<String>,
    start: Timestamp,
    end: Option<Timestamp>,
    status: Option<Class>,
    request_id: Option<String>,
    payloads: bool,
    by_duration: bool,
    limit: usize,
    skip: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Success,
    UserError,
    Error,
}

pub(super) fn answer(state: &State, query: &str, base: &Base) -> Response {
    let filter = match Filter::read(state, query) {
        Ok(filter) => filter,
        Err(message) => return respond::platform_api_error(400, "validation_error", &message),
    };
    let now = state.clock.now();
    let machine = lock(&state.machine);
    let mut rows: Vec<&Job> = machine
        .jobs()
        .filter(|job| filter.admits(state, job, now))
        .collect();
    // Newest first; what has not ended counts as newest of all.
    let ended = |job: &Job| job.completed.unwrap_or(Moment::MAX);
    if filter.by_duration {
        rows.sort_by_key(|job| std::cmp::Reverse(duration(job)));
    } else {
        rows.sort_by_key(|job| std::cmp::Reverse((ended(job), job.submitted)));
    }
    let more = rows.len() > filter.skip.saturating_add(filter.limit);
    let items: Vec<Value> = rows
        .into_iter()
        .skip(filter.skip)
        .take(filter.limit)
        .map(|job| row(state, job, base, filter.payloads))
        .collect();
    let next = more.then(|| (filter.skip + filter.limit).to_string());
    respond::json(
        200,
        &json!({ "items": items, "next_cursor": next, "has_more": more }),
    )
}

impl Filter {
    fn read(state: &State, query: &str) -> Result<Self, String> {
        let endpoints = query::list(query, "endpoint_id");
        if endpoints.is_empty() {
            return Err("endpoint_id is required".to_owned());
        }
        let is_unknown = |wanted: &&String| state.endpoints.called(wanted).is_none();
        if let Some(other) = endpoints.iter().find(is_unknown) {
            return Err(format!("unknown endpoint {other}"));
        }
        let time = |name: &str| match query::get(query, name) {
            Some(text) => match text.parse::<Timestamp>() {
                Ok(time) => Ok(Some(time)),
                Err(_) => Err(format!("{name} is not an ISO 8601 time")),
            },
            None => Ok(None),
        };
        let number = |name: &str| match query::get(query, name) {
            Some(text) => match text.parse::<usize>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(format!("{name} is not valid")),
            },
            None => Ok(None),
        };
        let request_id = query::get(query, "request_id");
        let hours = if request_id.is_some() { 90 * 24 } else { 24 };
        let now = state.clock.timestamp(state.clock.now());
        let default_start = now
            .checked_sub(SignedDuration::from_hours(hours))
            .unwrap_or(Timestamp::MIN);
        let limit = number("limit")?.unwrap_or(50);
        if !(1..=100).contains(&limit) {
            return Err("limit must be between 1 and 100".to_owned());
        }
        let status = match query::get(query, "status").as_deref() {
            None => None,
            Some("success") => Some(Class::Success),
            Some("user_error") => Some(Class::UserError),
            Some("error") => Some(Class::Error),
            Some(_) => return Err("status is not valid".to_owned()),
        };
        Ok(Self {
            endpoints,
            start: time("start")?.unwrap_or(default_start),
            end: time("end")?,
            status,
            request_id,
            payloads: query::list(query, "expand")
                .iter()
                .any(|word| word == "payloads"),
            by_duration: query::get(query, "sort_by").as_deref() == Some("duration"),
            limit,
            skip: number("cursor")?.unwrap_or_default(),
        })
    }

    fn admits(&self, state: &State, job: &Job, now: Moment) -> bool {
        let Some(started) = job.started else {
            return false;
        };
        if started.saturating_add(state.settings.index_delay) > now {
            return false;
        }
        let time = state.clock.timestamp(started);
        let endpoint_id = &*job.submission.endpoint_id;
        self.endpoints.iter().any(|wanted| wanted == endpoint_id)
            && time >= self.start
            && self.end.is_none_or(|end| time < end)
            && self
                .request_id
                .as_ref()
                .is_none_or(|id| **id == *job.request_id)
            && self.status.is_none_or(|status| class(job) == Some(status))
    }
}

fn class(job: &Job) -> Option<Class> {
    match job.outcome.as_ref()?.status {
        ..400 => Some(Class::Success),
        400..500 => Some(Class::UserError),
        _ => Some(Class::Error),
    }
}

fn duration(job: &Job) -> Option<Moment> {
    Some(job.completed?.saturating_sub(job.started?))
}

fn row(state: &State, job: &Job, base: &Base, payloads: bool) -> Value {
    let time = |at: Option<Moment>| at.map(|at| state.clock.rfc3339(at));
    let ended = job.completed.filter(|_| job.phase == Phase::Completed);
    let mut row = json!({
        "request_id": &*job.request_id,
        "endpoint_id": &*job.submission.endpoint_id,
        "sent_at": time(Some(job.submitted)),
        "started_at": time(job.started),
        "ended_at": time(ended),
        "status_code": job.outcome.as_ref().map(|outcome| outcome.status),
        "duration": duration(job).map(|duration| duration.as_secs_f64()),
    });
    // Callers that asked for nothing to be stored have no payloads here.
    if payloads
        && job.submission.store_io
        && let Some(fields) = row.as_object_mut()
    {
        let output = job
            .outcome
            .as_ref()
            .filter(|outcome| !outcome.hidden_from_history());
        let output = json!(output.map(|outcome| outcome.json(base)));
        fields.insert("json_input".into(), (*job.submission.input).clone());
        fields.insert("json_output".into(), output);
    }
    row
}
