//! Following of jobs: those that no process works on, after a restart of the studio or after an
//! error; and for its log lines a job that another process works on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uso::Event;
use uso_journal::{Cause, LocalId, Progress, Purchase, State};

use crate::shared::{KEY_PREFIX, Shared};

/// Pause between two looks for such jobs.
const LOOK: Duration = Duration::from_secs(2);

/// Age of the changes that are read at each look, and pause between two looks at every open job.
const RECENT: Duration = Duration::from_secs(10);
const FULL: Duration = Duration::from_secs(30);

/// Pauses between two attempts at one job.
const FIRST_PAUSE: Duration = Duration::from_secs(4);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Attempts at the jobs that were left, by job.
type Attempts = HashMap<LocalId, Attempt>;

/// The next attempt at a job, and the pause after it.
struct Attempt {
    due: Instant,
    pause: Duration,
}

/// Goes on with the jobs of studios until this one is closed.
pub(crate) async fn follow(shared: Arc<Shared>) {
    let mut attempts = Attempts::new();
    let mut closed = shared.closed.subscribe();
    let mut next_full = Instant::now();
    loop {
        let open = [State::Submitted, State::Unknown];
        let mut jobs = shared.journal.jobs(&shared.client).states(open);
        // The rows of a large batch are not read at every look.
        if Instant::now() < next_full {
            jobs = jobs.within(RECENT);
        } else {
            next_full = Instant::now() + FULL;
        }
        loop {
            // Another look follows where the journal cannot be read now.
            let page = jobs.next_page().await.unwrap_or_default();
            if page.is_empty() {
                break;
            }
            for job in page.iter().filter(|job| is_left(job)) {
                attempts
                    .entry(job.id)
                    .or_insert_with(|| Attempt::first(job));
            }
        }
        attempt(&shared, &mut attempts).await;
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = closed.wait_for(|closed| *closed) => return,
        }
    }
}

impl Attempt {
    fn first(job: &Purchase) -> Self {
        let now = Instant::now();
        Self {
            // An unknown purchase was looked up when its response was lost.
            due: match job.state {
                State::Submitted => now,
                _ => now + FIRST_PAUSE,
            },
            pause: FIRST_PAUSE,
        }
    }
}

/// Makes the attempts that are due, at jobs that no process works on.
async fn attempt(shared: &Arc<Shared>, attempts: &mut Attempts) {
    let now = Instant::now();
    let due = attempts.iter().filter(|(_, attempt)| attempt.due <= now);
    let due: Vec<LocalId> = due.map(|(id, _)| *id).collect();
    for id in due {
        let Ok(job) = shared.journal.get(&shared.client, id).await else {
            continue;
        };
        if job.in_work || shared.live.has(&job.key) {
            continue;
        }
        if !is_left(&job) {
            attempts.remove(&id);
        } else if let Some(attempt) = attempts.get_mut(&id) {
            attempt.due = now + attempt.pause;
            attempt.pause = (attempt.pause * 2).min(LONGEST_PAUSE);
            resume(shared, &job);
        }
    }
}

/// Whether nothing but time is needed to go on with a job of a studio.
fn is_left(job: &Purchase) -> bool {
    let cause = job.reason.as_ref().map(|reason| reason.cause);
    let is_open = match job.state {
        State::Submitted => true,
        State::Unknown => matches!(
            cause,
            Some(Cause::ProcessEnded | Cause::ResponseLost | Cause::NotYetListed) | None
        ),
        _ => false,
    };
    is_open && !job.in_work && job.key.starts_with(KEY_PREFIX)
}

/// Goes on with a job in a task of its own, unless this process works on it.
pub(crate) fn resume(shared: &Arc<Shared>, job: &Purchase) {
    let Some(tell) = shared.live.listener(&job.key, "queued") else {
        return;
    };
    let (shared, id) = (Arc::clone(shared), job.id);
    tokio::spawn(async move {
        let outcome = shared.journal.resume(&shared.client, id, tell).await;
        if let Err(error) = outcome {
            tracing::debug!(%id, %error, "a job could not be collected yet");
        }
    });
}

/// Watches a job that another process works on, until that process is done with it. Nothing is
/// recorded; the other process collects the job.
pub(crate) fn watch(shared: &Arc<Shared>, job: &Purchase) {
    let is_elsewhere = job.state == State::Submitted && job.in_work;
    let Some(ticket) = job.ticket.clone().filter(|_| is_elsewhere) else {
        return;
    };
    let Ok(turn) = Arc::clone(&shared.watched).try_acquire_owned() else {
        return;
    };
    let Some(tell) = shared.live.listener(&job.key, "queued") else {
        return;
    };
    let (shared, id) = (Arc::clone(shared), job.id);
    tokio::spawn(async move {
        let _turn = turn;
        let mut events = shared.client.job(ticket).events();
        let mut has_ended = false;
        while !*shared.closed.borrow() {
            let next = tokio::select! {
                event = events.next(), if !has_ended => Some(event),
                () = sleep(LOOK) => None,
            };
            match next {
                Some(Some(Ok(event))) => {
                    has_ended = matches!(event, Event::Completed(_));
                    tell(&Progress::Job(event));
                }
                // The row tells how the job ended.
                Some(_) => has_ended = true,
                None => {
                    let row = shared.journal.get(&shared.client, id).await;
                    if row.is_ok_and(|row| row.state != State::Submitted || !row.in_work) {
                        return;
                    }
                }
            }
        }
    });
}
