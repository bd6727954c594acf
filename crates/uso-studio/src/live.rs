//! Live state of jobs in work beside their rows: queue position and log lines. Nothing here has
//! to survive: a new process follows the jobs again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;
use uso::Event;
use uso_journal::Progress;

/// Log lines that are kept of a job.
const LINES: usize = 200;

/// The progress of one job.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct JobProgress {
    /// `preparing`, `sending`, `queued`, `running` or `saving`.
    pub(crate) phase: &'static str,
    /// Requests ahead of it, where the service says so.
    pub(crate) position: Option<u64>,
    pub(crate) log: Vec<String>,
}

/// The progress of all jobs that this process works on, by the journal's key.
pub(crate) struct Live {
    jobs: Mutex<HashMap<String, JobProgress>>,
    version: watch::Sender<u64>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            jobs: Mutex::default(),
            version: watch::Sender::new(0),
        }
    }
}

impl Live {
    /// The listener of the work on a key, which begins in this phase; `None` while the key has one
    /// already. The work has ended when the listener is dropped.
    pub(crate) fn listener(
        self: &Arc<Self>,
        key: &str,
        phase: &'static str,
    ) -> Option<impl Fn(&Progress) + Send + Sync + 'static + use<>> {
        let mut jobs = self.jobs();
        if jobs.contains_key(key) {
            return None;
        }
        let job = JobProgress {
            phase,
            ..JobProgress::default()
        };
        jobs.insert(key.to_owned(), job);
        drop(jobs);
        let working = Working {
            live: Arc::clone(self),
            key: key.to_owned(),
        };
        Some(move |progress: &Progress| working.tell(progress))
    }

    pub(crate) fn of(&self, key: &str) -> Option<JobProgress> {
        self.jobs().get(key).cloned()
    }

    /// Whether this process works on the job, or watches it.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.jobs().contains_key(key)
    }

    /// Jobs whose submit may be under way.
    pub(crate) fn unsent(&self) -> usize {
        let unsent = |job: &&JobProgress| matches!(job.phase, "preparing" | "sending");
        self.jobs().values().filter(unsent).count()
    }

    /// Sees each change, of any job.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(crate) fn touch(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<String, JobProgress>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The work of this process on one job.
struct Working {
    live: Arc<Live>,
    key: String,
}

impl Working {
    fn tell(&self, progress: &Progress) {
        if let Some(job) = self.live.jobs().get_mut(&self.key) {
            job.take(progress);
        }
        self.live.touch();
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.live.jobs().remove(&self.key);
        self.live.touch();
    }
}

impl JobProgress {
    fn take(&mut self, progress: &Progress) {
        match progress {
            Progress::Sending => self.phase = "sending",
            Progress::Submitted(_) => self.phase = "queued",
            Progress::Job(Event::Queued { position }) => {
                self.phase = "queued";
                self.position = *position;
            }
            Progress::Job(Event::Running) => {
                self.phase = "running";
                self.position = None;
            }
            Progress::Job(Event::Log(line)) => {
                if self.log.len() >= LINES {
                    self.log.remove(0);
                }
                self.log.push(line.message.clone());
            }
            Progress::Job(Event::Completed(_)) => self.phase = "saving",
            _ => {}
        }
    }
}
