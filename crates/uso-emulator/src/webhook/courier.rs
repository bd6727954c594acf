//! Delivery of a notification: attempts, pauses and faults.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future;
use http::Request;
use http::header::{CONTENT_TYPE, USER_AGENT};

use super::attempts::{AttemptOutcome, WebhookAttempt};
use super::notification::Notification;
use super::policy::WebhookPolicy;
use crate::clock::Moment;
use crate::lock::lock;
use crate::scenario::{Fault, Operation};
use crate::state::State;

/// Delivers until it is taken, refused for good, or of no more use.
pub(super) async fn deliver(state: Arc<State>, notification: Notification) {
    let policy = state.settings.webhooks.clone();
    for number in 1..=policy.retries.saturating_add(1) {
        let fault = lock(&state.scenario).strike(Operation::Webhook);
        if let Some(Fault::Delay(by)) = fault {
            let due = state.clock.now().saturating_add(by);
            state.clock.sleep_until(due).await;
        }
        let at = state.clock.now();
        let outcome = match fault {
            _ if !notification.target.is_local() => AttemptOutcome::NotLocal,
            Some(Fault::Withhold) => AttemptOutcome::Withheld,
            _ => {
                attempt(
                    &state,
                    &notification,
                    fault.as_ref(),
                    limit(&policy, number),
                )
                .await
            }
        };
        let is_last = is_final(&outcome);
        state.webhooks.note(WebhookAttempt {
            request_id: notification.request_id.to_string(),
            number,
            at: state.clock.rfc3339(at),
            outcome,
            fault: fault.map(|fault| fault.name().to_owned()),
        });
        if is_last {
            return;
        }
        let next = state.clock.now().saturating_add(pause(&policy, number));
        state.clock.sleep_until(next).await;
        let id = &notification.request_id;
        if lock(&state.machine).get(id, state.clock.now()).is_none() {
            return;
        }
    }
}

fn limit(policy: &WebhookPolicy, number: u32) -> Duration {
    match number {
        1 => policy.first_timeout,
        _ => policy.retry_timeout,
    }
}

/// The pause after the attempt of this number.
fn pause(policy: &WebhookPolicy, number: u32) -> Duration {
    let factor = 2_u32.saturating_pow(number.saturating_sub(1).min(30));
    policy
        .first_pause
        .saturating_mul(factor)
        .min(policy.longest_pause)
}

fn is_final(outcome: &AttemptOutcome) -> bool {
    match outcome {
        AttemptOutcome::Answered(status) => (200..400).contains(status),
        AttemptOutcome::NotLocal | AttemptOutcome::Withheld => true,
        AttemptOutcome::TimedOut | AttemptOutcome::Unreachable => false,
    }
}

async fn attempt(
    state: &State,
    notification: &Notification,
    fault: Option<&Fault>,
    limit: Duration,
) -> AttemptOutcome {
    let due = state.clock.now().saturating_add(limit);
    if fault == Some(&Fault::Duplicate) {
        let twice = [(); 2].map(|()| send(state, notification, fault, due));
        let outcomes = future::join_all(twice).await;
        // Taken is taken, also when only one of the two was.
        let taken = outcomes.iter().find(|outcome| is_final(outcome)).cloned();
        return taken
            .or_else(|| outcomes.into_iter().next())
            .unwrap_or(AttemptOutcome::Unreachable);
    }
    send(state, notification, fault, due).await
}

async fn send(
    state: &State,
    notification: &Notification,
    fault: Option<&Fault>,
    due: Moment,
) -> AttemptOutcome {
    let Some(request) = signed(state, notification, fault) else {
        return AttemptOutcome::Unreachable;
    };
    let sending = state.fetcher.send(&notification.target.url, request);
    tokio::select! {
        // An answer that is there counts, however far the clock was moved meanwhile.
        biased;
        sent = sending => match sent {
            Ok(response) => AttemptOutcome::Answered(response.status().as_u16()),
            Err(_) => AttemptOutcome::Unreachable,
        },
        () = state.clock.sleep_until(due) => AttemptOutcome::TimedOut,
    }
}

/// Each attempt is signed anew, since a receiver refuses signatures that are five minutes old.
fn signed(
    state: &State,
    notification: &Notification,
    fault: Option<&Fault>,
) -> Option<Request<Bytes>> {
    let mut body = notification.body(fault);
    let seconds = state.clock.timestamp(state.clock.now()).as_second();
    let ids = (&*notification.request_id, &*notification.target.user_id);
    let retired = fault == Some(&Fault::RetiredKey);
    let signature = state
        .webhooks
        .signer()
        .sign(ids, seconds, body.as_bytes(), retired);
    if fault == Some(&Fault::Tamper) {
        body = body.replacen("\"status\":", "\"Status\":", 1);
    }
    Request::post("/")
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, "uso-emulator")
        .header("x-fal-webhook-request-id", ids.0)
        .header("x-fal-webhook-user-id", ids.1)
        .header("x-fal-webhook-timestamp", seconds)
        .header("x-fal-webhook-signature", signature)
        .body(body.into())
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_repetitions_have_room_in_the_hour_of_a_small_result() {
        let policy = WebhookPolicy::default();
        let pauses: Vec<u64> = (1..=policy.retries)
            .map(|number| pause(&policy, number).as_secs())
            .collect();
        assert_eq!(pauses[..7], [5, 10, 20, 40, 80, 120, 120]);
        assert!(pauses.iter().sum::<u64>() < 3600);
        assert_eq!(limit(&policy, 1).as_secs(), 15);
        assert_eq!(limit(&policy, 2).as_secs(), 120);
    }

    #[test]
    fn only_yes_and_elsewhere_end_the_attempts() {
        for status in [200, 204, 299, 301, 307] {
            assert!(is_final(&AttemptOutcome::Answered(status)), "{status}");
        }
        for status in [400, 401, 404, 410, 413, 500, 503] {
            assert!(!is_final(&AttemptOutcome::Answered(status)), "{status}");
        }
        assert!(!is_final(&AttemptOutcome::TimedOut));
    }
}
