//! Tool `wait`: follows purchases, and goes on with those that no process works on.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uso_journal::{Cause, LocalId, Purchase, State};

use super::arguments::WaitInput;
use super::output::{Job, Waited};
use super::refusal::Refusal;
use super::session::Session;

/// Wait unless another is asked for, and the longest one.
const USUAL: f64 = 8.0;
const LONGEST: f64 = 25.0;

/// Purchases of one call at most.
const MOST: usize = 8;

/// Pause between two looks at the rows.
const GLANCE: Duration = Duration::from_millis(100);

/// Pause between two attempts to go on with one purchase.
const PAUSE: Duration = Duration::from_secs(4);

pub(crate) async fn wait(
    session: &Session,
    input: WaitInput,
    cancelled: &CancellationToken,
) -> Result<Waited, Refusal> {
    if !(1..=MOST).contains(&input.ids.len()) {
        let why = format!("{} are given; 1 to {MOST} fit one call", input.ids.len());
        return Err(Refusal::argument("ids", why));
    }
    let seconds = input.seconds.unwrap_or(USUAL);
    if !(0.0..=LONGEST).contains(&seconds) {
        return Err(Refusal::argument("seconds", format!("0 to {LONGEST}")));
    }
    let mut purchases = Vec::new();
    for id in &input.ids {
        purchases.push(session.find(id).await?);
    }
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut attempts: HashMap<LocalId, Instant> = HashMap::new();
    let mut looked = Instant::now();
    loop {
        if looked.elapsed() >= PAUSE {
            looked = Instant::now();
            session.release_the_dead().await?;
        }
        for purchase in &purchases {
            resume_when_due(session, purchase, &mut attempts);
        }
        let is_settled = |purchase: &Purchase| match attempts.contains_key(&purchase.id) {
            true => has_ended(purchase) || is_given_up(purchase),
            false => has_ended(purchase),
        };
        if purchases.iter().all(is_settled) || Instant::now() >= end || cancelled.is_cancelled() {
            break;
        }
        sleep(GLANCE).await;
        for purchase in &mut purchases {
            *purchase = session.journal.get(&session.client, purchase.id).await?;
        }
    }
    Ok(Waited {
        all_ended: purchases.iter().all(has_ended),
        jobs: purchases.iter().map(Job::of).collect(),
    })
}

/// Whether a purchase changes no more by waiting: it is closed, or nothing was sent.
fn has_ended(purchase: &Purchase) -> bool {
    purchase.state.is_closed() || (purchase.state == State::Pending && !purchase.in_work)
}

/// Whether looking an unknown purchase up again cannot help.
fn is_given_up(purchase: &Purchase) -> bool {
    let cause = purchase.reason.as_ref().map(|reason| reason.cause);
    let is_final = matches!(cause, Some(Cause::NotListed | Cause::Undecidable));
    purchase.state == State::Unknown && is_final && !purchase.in_work
}

/// Goes on with a bought or unknown purchase in a task of its own, which outlives the call.
fn resume_when_due(
    session: &Session,
    purchase: &Purchase,
    attempts: &mut HashMap<LocalId, Instant>,
) {
    let id = purchase.id;
    let has_work = matches!(purchase.state, State::Submitted | State::Unknown);
    let now = Instant::now();
    let is_due = attempts.get(&id).is_none_or(|last| *last + PAUSE <= now);
    if !has_work || purchase.in_work || !is_due {
        return;
    }
    attempts.insert(id, now);
    let (journal, client) = (session.journal.clone(), session.client.clone());
    tokio::spawn(async move {
        // The row says why, where it could not be gone on with.
        let _ = journal.resume(&client, id, |_| {}).await;
    });
}
