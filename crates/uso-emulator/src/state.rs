//! State that the handlers share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::endpoints::Endpoints;
use crate::fetch::Fetcher;
use crate::files::Files;
use crate::ledger::Book;
use crate::lock::lock;
use crate::queue::Machine;
use crate::requests::RequestLog;
use crate::scenario::Scenario;
use crate::server::admission::Admission;
use crate::settings::Settings;
use crate::storage::tokens::Tokens;
use crate::storage::uploads::Uploads;
use crate::webhook::attempts::Webhooks;
use crate::webhook::signer::Signer;

pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) endpoints: Endpoints,
    pub(crate) clock: Clock,
    pub(crate) machine: Mutex<Machine>,
    /// Wakes the keeper of start deadlines.
    pub(crate) deadline_set: Notify,
    /// Locked after the machine where both are needed.
    pub(crate) ledger: Mutex<Book>,
    pub(crate) requests: RequestLog,
    pub(crate) files: Arc<Files>,
    pub(crate) uploads: Uploads,
    pub(crate) tokens: Tokens,
    pub(crate) fetcher: Fetcher,
    pub(crate) webhooks: Webhooks,
    pub(crate) painters: Semaphore,
    pub(crate) scenario: Mutex<Scenario>,
    pub(crate) addr: SocketAddr,
    pub(crate) tls: bool,
    tasks: Mutex<JoinSet<()>>,
}

impl State {
    pub(crate) fn new(
        settings: Settings,
        endpoints: Endpoints,
        signer: Signer,
        scenario: Scenario,
        addr: SocketAddr,
        tls: bool,
    ) -> Self {
        let files = Arc::new(Files::default());
        let painters = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            machine: Mutex::new(Machine::new(settings.concurrency, settings.retention)),
            deadline_set: Notify::new(),
            settings,
            endpoints,
            clock: Clock::start(),
            ledger: Mutex::default(),
            requests: RequestLog::default(),
            fetcher: Fetcher::new(Arc::clone(&files), addr),
            files,
            uploads: Uploads::default(),
            tokens: Tokens::default(),
            webhooks: Webhooks::new(signer),
            painters: Semaphore::new(painters),
            scenario: Mutex::new(scenario),
            addr,
            tls,
            tasks: Mutex::default(),
        }
    }

    /// Runs a task that ends with the emulator at the latest.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    pub(crate) fn stop(&self) {
        lock(&self.tasks).abort_all();
    }

    pub(crate) fn admission(&self) -> Admission {
        Admission {
            any: self.settings.allow_any_origin,
            own: self.addr.ip(),
        }
    }

    pub(crate) fn origin(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.addr)
    }
}
