//! Driver of the queue: starts jobs, runs the model for them, ends them.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::outcome::Outcome;
use super::{Job, LogLine, Phase, Refused, Submission};
use crate::clock::Moment;
use crate::endpoints::Endpoint;
use crate::files::Lifecycle;
use crate::lock::lock;
use crate::model::Delivery;
use crate::state::State;
use crate::{made_up, model, random, webhook};

/// Accepts a submission, writes it into the ledger and lets it start if a runner is free.
pub(crate) fn submit(
    state: &Arc<State>,
    submission: Submission,
) -> Result<(Arc<str>, usize), Refused> {
    let request_id: Arc<str> = random::uuid().into();
    let now = state.clock.now();
    let (deadline, size) = (submission.start_deadline, submission.size);
    let (endpoint_id, input) = (
        Arc::clone(&submission.endpoint_id),
        Arc::clone(&submission.input),
    );
    let position = {
        let mut machine = lock(&state.machine);
        machine.submit(Arc::clone(&request_id), submission, now)?;
        // Under the same lock, so that no other call can start and end the job in between.
        let accepted = state.clock.timestamp(now);
        lock(&state.ledger).accept(&request_id, &endpoint_id, (input, size), accepted);
        machine.position(&request_id).unwrap_or_default()
    };
    if deadline.is_some() {
        state.deadline_set.notify_one();
    }
    start_jobs(state);
    Ok((request_id, position))
}

pub(crate) fn start_jobs(state: &Arc<State>) {
    let started = lock(&state.machine).start(state.clock.now());
    for request_id in started {
        state.spawn(run(Arc::clone(state), request_id));
    }
}

/// Ends waiting jobs as their start deadlines pass, for as long as the emulator lives.
pub(crate) async fn keep_deadlines(state: Arc<State>) {
    loop {
        let next = lock(&state.machine).next_deadline();
        match next {
            None => state.deadline_set.notified().await,
            Some(deadline) => tokio::select! {
                () = state.deadline_set.notified() => continue,
                () = state.clock.sleep_until(deadline) => {}
            },
        }
        let expired = {
            let mut machine = lock(&state.machine);
            let expired = machine.expire(state.clock.now());
            for request_id in &expired {
                lock(&state.ledger).release(request_id, 504);
            }
            expired
        };
        for request_id in expired {
            webhook::notify(&state, &request_id);
        }
    }
}

/// One attempt of one job. Boxed, because the end of one job starts the next.
fn run(state: Arc<State>, request_id: Arc<str>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let Some(attempt) = Attempt::begin(&state, &request_id) else {
            return;
        };
        let due = attempt
            .started
            .saturating_add(state.settings.inference_time);
        let work = async {
            if let Some(end) = attempt.ends_with {
                state.clock.sleep_until(due).await;
                return (*end).clone();
            }
            if attempt.files_gone {
                state.files.forget();
            }
            let delivery = Delivery {
                lifecycle: attempt.lifecycle,
                mistyped: attempt.mistyped,
            };
            let outcome = match state.endpoints.called(&attempt.endpoint_id) {
                Some(Endpoint::Uso(schema, path)) => {
                    model::answer(&state, schema, path, &attempt.input, &delivery).await
                }
                Some(Endpoint::Other(schema)) => {
                    made_up::answer(&state, schema, &attempt.input, &delivery)
                }
                None => Outcome::from_app(404, Value::Null),
            };
            // A refused input fails at once; a picture takes its time.
            if outcome.pixels > 0 {
                state.clock.sleep_until(due).await;
            }
            outcome
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = heeded_cancel(&state, &request_id) => Outcome::cancelled(),
        };
        end(&state, &request_id, attempt.number, attempt.lost, outcome);
        webhook::notify(&state, &request_id);
        start_jobs(&state);
    })
}

/// Returns when the job is cancelled, if this app heeds cancels; else never.
async fn heeded_cancel(state: &State, request_id: &str) {
    let bell = lock(&state.machine)
        .get_mut(request_id)
        .map(|job| job.listen());
    let cancelled = || {
        let mut machine = lock(&state.machine);
        machine
            .get_mut(request_id)
            .is_some_and(|job| job.cancel_requested)
    };
    if let Some(mut bell) = bell.filter(|_| state.settings.cancellable) {
        while !cancelled() {
            if bell.changed().await.is_err() {
                return future::pending().await;
            }
        }
        return;
    }
    future::pending::<()>().await;
}

struct Attempt {
    number: u32,
    started: Moment,
    endpoint_id: Arc<str>,
    input: Arc<Value>,
    lifecycle: Lifecycle,
    files_gone: bool,
    mistyped: bool,
    ends_with: Option<Arc<Outcome>>,
    /// This attempt loses its runner.
    lost: bool,
}

impl Attempt {
    fn begin(state: &State, request_id: &str) -> Option<Self> {
        let mut machine = lock(&state.machine);
        let job = machine.get_mut(request_id)?;
        let started = job.started?;
        plan_logs(job, started, state.settings.inference_time);
        if job.attempt > 1 {
            job.gateway_request_id = Some(random::uuid().into());
        }
        Some(Self {
            number: job.attempt,
            started,
            endpoint_id: Arc::clone(&job.submission.endpoint_id),
            input: Arc::clone(&job.submission.input),
            lifecycle: job.submission.lifecycle,
            files_gone: job.submission.plan.files_gone,
            mistyped: job.submission.plan.mistyped,
            ends_with: job.submission.plan.ends_with.clone(),
            lost: job.attempt <= job.submission.plan.lost_runners,
        })
    }
}

fn end(state: &State, request_id: &str, attempt: u32, lost: bool, outcome: Outcome) {
    let now = state.clock.now();
    let mut machine = lock(&state.machine);
    let Some(job) = machine.get_mut(request_id) else {
        return;
    };
    if lost && !job.submission.no_retry {
        machine.requeue(request_id, attempt, now);
        state.deadline_set.notify_one();
        return;
    }
    let outcome = if lost {
        Outcome::from_platform(503, "runner_disconnected", "Runner disconnected")
    } else {
        outcome
    };
    let (pixels, status) = (outcome.pixels, outcome.status);
    // The purchase is written before any caller can see the completion.
    let mut ledger = lock(&state.ledger);
    if pixels > 0 {
        ledger.bill(request_id, pixels);
    } else {
        ledger.release(request_id, status);
    }
    drop(ledger);
    machine.complete(request_id, attempt, outcome, now);
}

/// The lines a job will have written by the end, in order; they show as their time comes.
fn plan_logs(job: &mut Job, started: Moment, inference: Duration) {
    debug_assert_eq!(job.phase, Phase::Running);
    let input = &job.submission.input;
    let references = input
        .get("input_image_urls")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    let steps = input
        .get("num_inference_steps")
        .and_then(Value::as_u64)
        .unwrap_or(28)
        .min(50);
    let mut line = |part: u32, message: String| {
        job.logs.push(LogLine {
            at: started.saturating_add(inference / 8 * part),
            message,
        });
    };
    line(0, format!("emulated: loading {references} reference(s)"));
    for quarter in 1..=4 {
        let step = steps * u64::from(quarter) / 4;
        line(quarter * 2 - 1, format!("emulated: step {step}/{steps}"));
    }
}
