//! HTTP handlers of the queue: submit, run, status, stream, result, cancel.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};

use super::events::{self, Watcher};
use super::outcome::Outcome;
use super::responses::{self, Logs};
use super::{Cancelled, Job, Phase, Plan, Refused, Submission, driver};
use crate::auth;
use crate::endpoints::app;
use crate::lock::lock;
use crate::scenario::{Fault, streams};
use crate::server::address::Base;
use crate::server::connection::Connection;
use crate::server::query;
use crate::server::respond::{self, Response, detail, json, platform_error, set};
use crate::server::route::{FollowUp, Verb};
use crate::state::State;
use crate::storage;
use crate::webhook;
use crate::webhook::target::Target;

/// A fault that wants to be in a stream's body, and the connection that it may cut.
pub(crate) type Twist<'a> = (&'a Fault, &'a Arc<Connection>);

/// A POST to an endpoint, queued or synchronous.
pub(crate) struct Call<'a> {
    pub(crate) endpoint_id: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) base: &'a Base,
    pub(crate) plan: Plan,
}

pub(crate) fn submit(state: &Arc<State>, call: Call<'_>) -> Response {
    if let Some(refusal) = turned_away(state, &call) {
        return refusal;
    }
    let Ok(input) = serde_json::from_slice::<Value>(call.body) else {
        return platform_error(400, "bad_request", "The request body is not valid JSON.");
    };
    let base = call.base.clone();
    let submission = match submission(state, call, input, false) {
        Ok(submission) => submission,
        Err(refusal) => return *refusal,
    };
    let announced = submission.webhook.is_some();
    let endpoint_id = Arc::clone(&submission.endpoint_id);
    match driver::submit(state, submission) {
        Ok((request_id, position)) => {
            let app = app(&endpoint_id);
            let body = responses::submitted(&base, app, &request_id, position, announced);
            let mut response = json(200, &body);
            set(&mut response, "x-fal-request-id", &request_id);
            response
        }
        Err(Refused::QueueTooLong | Refused::NoFreeRunner) => detail(
            429,
            "The queue is longer than the caller's fal_max_queue_length.",
        ),
    }
}

/// Runs at once and answers with the output, as JSON or as the one event of a stream. Goes on, and
/// is billed, if the caller hangs up.
pub(crate) async fn run(state: &Arc<State>, call: Call<'_>, streamed: bool) -> Response {
    if let Some(refusal) = turned_away(state, &call) {
        return refusal;
    }
    let input = match serde_json::from_slice::<Value>(call.body) {
        Ok(input) => input,
        Err(error) => return not_json(&error),
    };
    let base = call.base.clone();
    let submission = match submission(state, call, input, true) {
        Ok(submission) => submission,
        Err(refusal) => return *refusal,
    };
    let Ok((request_id, _)) = driver::submit(state, submission) else {
        let mut response = platform_error(
            429,
            "concurrent_requests_limit",
            "Too many requests run at the same time for this account.",
        );
        set(&mut response, "x-fal-needs-retry", "1");
        return response;
    };
    let outcome = finished(state, &request_id).await;
    let mut response = relay(&outcome, &base);
    if streamed && outcome.status < 400 {
        let event = format!("data: {}\n\n", outcome.json(&base));
        response = respond::events(respond::full(event));
        mark(&mut response, &outcome);
    }
    set(&mut response, "x-fal-request-id", &request_id);
    response
}

async fn finished(state: &State, request_id: &str) -> Arc<Outcome> {
    let gone = || {
        Arc::new(Outcome::from_platform(
            500,
            "internal_error",
            "The request is gone",
        ))
    };
    let Some(mut bell) = lock(&state.machine)
        .get(request_id, Duration::ZERO)
        .map(Job::listen)
    else {
        return gone();
    };
    loop {
        bell.borrow_and_update();
        let outcome = lock(&state.machine)
            .get(request_id, Duration::ZERO)
            .and_then(|job| job.outcome.clone());
        if let Some(outcome) = outcome {
            return outcome;
        }
        if bell.changed().await.is_err() {
            return gone();
        }
    }
}

pub(crate) fn follow_up(
    state: &Arc<State>,
    follow_up: &FollowUp,
    headers: &HeaderMap,
    query: &str,
    base: &Base,
    twist: Option<Twist<'_>>,
) -> Response {
    let asked = app(&follow_up.endpoint_id);
    if let Err(denied) = auth::check(&state.settings, headers) {
        return denied.by_queue(asked);
    }
    if !state.endpoints.has_app(asked) {
        return unknown_app(&follow_up.endpoint_id);
    }
    let id = follow_up.request_id.as_str();
    // JavaScript sends 1 and 0, Python true and false.
    let with_logs = matches!(
        query::get(query, "logs").as_deref(),
        Some("1" | "true" | "True")
    );
    let now = state.clock.now();
    let known = {
        let mut machine = lock(&state.machine);
        let is_of_the_app =
            |job: &Job| !job.submission.sync && app(&job.submission.endpoint_id) == asked;
        machine.get(id, now).is_some_and(is_of_the_app)
            && machine.get_mut(id).is_some_and(Job::show)
    };
    if !known {
        return match follow_up.verb {
            Verb::Result => detail(404, "Request not found"),
            Verb::Status | Verb::Stream | Verb::Cancel => {
                json(404, &json!({ "status": "NOT_FOUND" }))
            }
        };
    }
    let mut response = match follow_up.verb {
        Verb::Status => status(state, id, base, with_logs),
        Verb::Stream => match Watcher::new(state, base.clone(), id, with_logs) {
            Some(watcher) => respond::events(match twist {
                Some((fault, connection)) => streams::body(watcher.events(), fault, connection),
                None => respond::stream(events::frames(watcher.events())),
            }),
            None => json(404, &json!({ "status": "NOT_FOUND" })),
        },
        Verb::Result => result(state, id, base),
        Verb::Cancel => cancel(state, id),
    };
    set(&mut response, "x-fal-request-id", id);
    response
}

fn status(state: &State, id: &str, base: &Base, with_logs: bool) -> Response {
    let machine = lock(&state.machine);
    let now = state.clock.now();
    let Some(job) = machine.get(id, now) else {
        return json(404, &json!({ "status": "NOT_FOUND" }));
    };
    let logs = if with_logs { Logs::From(0) } else { Logs::Off };
    let app = app(&job.submission.endpoint_id);
    let (status, body) = responses::status(&machine, job, &state.clock, now, (base, app), logs);
    drop(machine);
    json(status, &body)
}

fn result(state: &State, id: &str, base: &Base) -> Response {
    let machine = lock(&state.machine);
    let job = machine.get(id, state.clock.now());
    match job.map(|job| (job.phase, job.outcome.clone())) {
        Some((Phase::Completed, Some(outcome))) => {
            drop(machine);
            relay(&outcome, base)
        }
        Some(_) => detail(400, "Request is still in progress"),
        None => detail(404, "Request not found"),
    }
}

fn cancel(state: &Arc<State>, id: &str) -> Response {
    let cancelled = {
        let mut machine = lock(&state.machine);
        let cancelled = machine.cancel(id, state.clock.now());
        if cancelled == Cancelled::Removed {
            lock(&state.ledger).release(id, 499);
        }
        cancelled
    };
    if cancelled == Cancelled::Removed {
        webhook::notify(state, id);
    }
    let (status, word) = match cancelled {
        Cancelled::Removed => (200, "OK"),
        Cancelled::Requested => (202, "CANCELLATION_REQUESTED"),
        Cancelled::AlreadyCompleted => (400, "ALREADY_COMPLETED"),
        Cancelled::NotFound => (404, "NOT_FOUND"),
    };
    json(status, &json!({ "status": word }))
}

/// The app's or the platform's own answer, status, headers and body.
fn relay(outcome: &Outcome, base: &Base) -> Response {
    let mut response = json(outcome.status, &outcome.json(base));
    mark(&mut response, outcome);
    response
}

fn mark(response: &mut Response, outcome: &Outcome) {
    set(response, "x-fal-served-from", "emulator");
    for (name, value) in &outcome.headers {
        set(response, name, value);
    }
}

fn turned_away(state: &State, call: &Call<'_>) -> Option<Response> {
    if let Err(denied) = auth::check(&state.settings, call.headers) {
        return Some(denied.by_app(call.endpoint_id));
    }
    let called = state.endpoints.called(call.endpoint_id);
    called.is_none().then(|| unknown_app(call.endpoint_id))
}

fn unknown_app(endpoint_id: &str) -> Response {
    // The alias, which is how the service names the app.
    let app = endpoint_id.split('/').nth(1).unwrap_or(endpoint_id);
    detail(404, &format!("Application \"{app}\" not found"))
}

/// What FastAPI says to a body that is not JSON.
fn not_json(error: &serde_json::Error) -> Response {
    let entry = json!({
        "type": "json_invalid",
        "loc": ["body", error.column()],
        "msg": "JSON decode error",
        "input": {},
        "ctx": { "error": "Invalid JSON" },
    });
    let mut response = json(422, &json!({ "detail": [entry] }));
    set(&mut response, "x-fal-billable-units", "0");
    response
}

fn submission(
    state: &State,
    call: Call<'_>,
    input: Value,
    sync: bool,
) -> Result<Submission, Box<Response>> {
    let header = |name| respond::text(call.headers, name);
    let truth = |value: &str| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes");
    let start_timeout = header("x-fal-request-start-timeout")
        .or_else(|| header("x-fal-request-timeout"))
        .map(start_timeout)
        .transpose()?;
    let max_queue_length = match query::get(call.query, "fal_max_queue_length") {
        Some(limit) if !sync => Some(
            limit
                .parse()
                .map_err(|_| bad_request("fal_max_queue_length is not an integer."))?,
        ),
        _ => None,
    };
    let lifecycle = storage::lifecycle(call.headers)?;
    let webhook = match query::get(call.query, "fal_webhook") {
        Some(address) if !sync => {
            let target = Target::new(&address, call.headers, call.base);
            Some(target.ok_or_else(|| bad_request("fal_webhook is not an http(s) URL."))?)
        }
        _ => None,
    };
    Ok(Submission {
        endpoint_id: call.endpoint_id.into(),
        input: Arc::new(input),
        size: call.body.len(),
        sync,
        low_priority: !sync
            && header("x-fal-queue-priority").is_some_and(|word| word.eq_ignore_ascii_case("low")),
        start_deadline: start_timeout.map(|timeout| state.clock.now().saturating_add(timeout)),
        store_io: header("x-fal-store-io") != Some("0"),
        // Synchronous runs are never retried by the platform.
        no_retry: sync || header("x-fal-no-retry").is_some_and(truth),
        max_queue_length,
        lifecycle,
        webhook,
        plan: call.plan,
    })
}

/// Decimal seconds, more than a tenth.
fn start_timeout(text: &str) -> Result<Duration, Box<Response>> {
    text.parse::<f64>()
        .ok()
        .filter(|seconds| *seconds > 0.1)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| bad_request("The start timeout is not a number of seconds above 0.1."))
}

fn bad_request(text: &str) -> Box<Response> {
    Box::new(platform_error(400, "bad_request", text))
}
