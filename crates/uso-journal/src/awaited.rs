//! Jobs whose end a task of this process learns from a notification.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use uso::Job;
use uso::status::State;

/// How often the service is asked for the status of a job, since a notification can be lost.
const ASK: Duration = Duration::from_secs(60);

/// The awaited jobs, by request id. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Awaited(Arc<Mutex<HashMap<String, Arc<Notify>>>>);

impl Awaited {
    fn jobs(&self) -> MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the end of a job, `false` when it takes longer than this. One task waits for a job
    /// at a time.
    pub(crate) async fn end_of(&self, job: &Job, longest: Duration) -> bool {
        let expected = self.expect(job.request_id());
        let end = async {
            loop {
                // The notification may have come before it was expected, or never.
                match job.status().await.map(|status| status.state) {
                    Ok(State::Queued { .. } | State::Running) => {}
                    _ => return,
                }
                if timeout(ASK, expected.notified.notified()).await.is_ok() {
                    return;
                }
            }
        };
        timeout(longest, end).await.is_ok()
    }

    fn expect(&self, request_id: &str) -> Expected {
        let notified = Arc::<Notify>::default();
        let known = Arc::clone(&notified);
        self.jobs().insert(request_id.to_owned(), known);
        Expected {
            awaited: self.clone(),
            request_id: request_id.to_owned(),
            notified,
        }
    }

    /// Tells the task that waits for a job, if there is any.
    pub(crate) fn tell(&self, request_id: &str) {
        if let Some(notified) = self.jobs().get(request_id) {
            notified.notify_one();
        }
    }
}

/// A job whose notification is expected, until it is dropped.
#[derive(Debug)]
struct Expected {
    awaited: Awaited,
    request_id: String,
    notified: Arc<Notify>,
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.awaited.jobs().remove(&self.request_id);
    }
}
