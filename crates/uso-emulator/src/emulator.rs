//! The emulator as a value: builder, control and snapshots.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::endpoints::Endpoints;
use crate::ledger::Ledger;
use crate::lock::lock;
use crate::picture::PictureMode;
use crate::queue::{Retention, driver};
use crate::requests::LoggedRequest;
use crate::scenario::Scenario;
use crate::schema::Schema;
use crate::server::{self, tls};
use crate::settings::Settings;
use crate::state::State;
use crate::webhook;
use crate::webhook::attempts::WebhookAttempt;
use crate::webhook::policy::WebhookPolicy;
use crate::webhook::signer::Signer;

/// A running emulator. Dropping it stops it.
pub struct Emulator {
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

impl Emulator {
    /// Starts one with every default, on a free port of the loopback interface.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Starts one that differs from the defaults.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::default()
    }

    /// Scheme, address and port, such as `http://127.0.0.1:41234`.
    pub fn origin(&self) -> String {
        self.state.origin()
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.state.addr
    }

    /// Ledger of all purchases so far.
    pub fn ledger(&self) -> Ledger {
        lock(&self.state.ledger).snapshot()
    }

    /// The newest requests, oldest of them first; some ten thousands are kept.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.state.requests.snapshot()
    }

    /// Replaces the faults that are still to come.
    pub fn set_scenario(&self, scenario: Scenario) {
        *lock(&self.state.scenario) = scenario;
    }

    /// Waits until a job runs and gives its request id; at once if one does. With several, the
    /// one that was submitted first.
    pub async fn when_running(&self) -> String {
        let mut changes = lock(&self.state.machine).listen();
        loop {
            changes.borrow_and_update();
            if let Some(id) = lock(&self.state.machine).first_running() {
                return id.to_string();
            }
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Waits until this request runs or has ended. False if it ended without ever running; a
    /// request that is not known yet is waited for.
    pub async fn when_started(&self, request_id: &str) -> bool {
        let mut changes = lock(&self.state.machine).listen();
        loop {
            changes.borrow_and_update();
            if let Some(started) = lock(&self.state.machine).has_started(request_id) {
                return started;
            }
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Moves the emulator's clock forward. Everything that is due by then happens: jobs start and
    /// end, start deadlines pass, keep-alives are sent, results expire.
    pub fn advance(&self, by: Duration) {
        self.state.clock.advance(by);
    }

    /// Takes all files of the CDN away, uploads and pictures alike, as if every one had expired.
    pub fn forget_files(&self) {
        self.state.files.forget();
    }

    /// Current time on the emulator's clock, which its signatures and log lines use.
    pub fn now(&self) -> SystemTime {
        let clock = &self.state.clock;
        clock.timestamp(clock.now()).into()
    }

    /// The attempts to deliver webhooks that have ended, oldest first; some ten thousands are kept.
    pub fn webhook_attempts(&self) -> Vec<WebhookAttempt> {
        self.state.webhooks.attempts()
    }

    /// Announces a request's end again. False if it has not ended, was submitted without a webhook,
    /// or is forgotten.
    pub fn resend_webhook(&self, request_id: &str) -> bool {
        webhook::notify(&self.state, request_id)
    }

    /// Replaces the key that signs webhooks and that is published.
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub fn rotate_webhook_key(&self) -> io::Result<()> {
        self.state.webhooks.signer().rotate()
    }

    /// Time at which the request became completed, in real time; `None` before that.
    pub fn completed_at(&self, request_id: &str) -> Option<Instant> {
        lock(&self.state.machine)
            .get(request_id, Duration::ZERO)?
            .completed_at
    }

    /// Closes the address and every connection, and ends all jobs.
    pub async fn shutdown(mut self) {
        self.accepting.abort();
        // Only ever cancelled; there is nothing to learn from how it ended.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.accepting.abort();
        self.state.stop();
    }
}

/// Builder of an emulator.
#[derive(Clone, Debug)]
pub struct EmulatorBuilder {
    listen: SocketAddr,
    tls: Option<(Vec<u8>, Vec<u8>)>,
    speed: f64,
    settings: Settings,
    scenario: Scenario,
    endpoints: Vec<Schema>,
}

impl Default for EmulatorBuilder {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            speed: 1.0,
            settings: Settings {
                inference_time: Duration::from_millis(5),
                concurrency: 2,
                allow_anonymous: false,
                allow_any_origin: false,
                keys: Vec::new(),
                cancellable: false,
                picture: PictureMode::default(),
                index_delay: Duration::ZERO,
                retention: Retention::default(),
                webhooks: WebhookPolicy::default(),
            },
            scenario: Scenario::default(),
            endpoints: Vec::new(),
        }
    }
}

impl EmulatorBuilder {
    /// Sets the address to listen on. Default: a free port of 127.0.0.1.
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen = addr;
        self
    }

    /// Speaks HTTPS (HTTP/2 and HTTP/1.1) with this certificate chain and key, both PEM, so that
    /// unmodified clients reach it under fal's host names. Default: plain HTTP.
    pub fn tls(mut self, certificate: Vec<u8>, key: Vec<u8>) -> Self {
        self.tls = Some((certificate, key));
        self
    }

    /// Sets the shortest time that a job takes; the picture itself may take longer. Default: 5 ms,
    /// so that tests are quick. For people, 1.5 s lets every state be seen.
    pub fn inference_time(mut self, duration: Duration) -> Self {
        self.settings.inference_time = duration;
        self
    }

    /// Divides the durations that the emulator makes up: inference time, indexing delay and the
    /// pauses between attempts at a webhook. What a
    /// caller sets (start timeouts) and what fal documents (keep-alives, retention) stay as they
    /// are. Default: 1. Values that are not above zero are ignored.
    pub fn speed(mut self, speed: f64) -> Self {
        self.speed = speed;
        self
    }

    /// Sets the number of requests that run at once; the others wait in the queue. Default: 2, as
    /// for new accounts of fal.
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.settings.concurrency = requests;
        self
    }

    /// Whether calls without a key are served. Default: no.
    pub fn allow_anonymous(mut self, allow: bool) -> Self {
        self.settings.allow_anonymous = allow;
        self
    }

    /// Whether callers under any `Host` name and pages of any origin are served. Default: no, only
    /// loopback names, fal's own names, and pages of this machine, since a page can make the
    /// emulator fetch URLs and call webhooks. fal itself lets pages of every origin in.
    pub fn allow_any_origin(mut self, allow: bool) -> Self {
        self.settings.allow_any_origin = allow;
        self
    }

    /// Adds an API key to those that are accepted. Without this option every key of the form
    /// `id:secret` is accepted.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.settings.keys.push(key.into());
        self
    }

    /// Whether a running job heeds a cancel and ends at once with 499. Default: no; it finishes and
    /// is billed, as an app without a cancel route does.
    pub fn cancellable(mut self, heeds: bool) -> Self {
        self.settings.cancellable = heeds;
        self
    }

    /// Sets the effort for each picture. Default: [`PictureMode::Plain`], so that tests are quick
    /// in debug builds.
    pub fn picture(mut self, mode: PictureMode) -> Self {
        self.settings.picture = mode;
        self
    }

    /// Sets the delay after which a started request is in the Platform API's listing. Default:
    /// none.
    pub fn index_delay(mut self, delay: Duration) -> Self {
        self.settings.index_delay = delay;
        self
    }

    /// Keeps small results this long, as payload storage does (30 days at fal). Default: off, so
    /// that results are gone after one hour, or after six minutes if they have 10 KB and more; the
    /// stricter reading of what fal documents.
    pub fn payload_storage(mut self, period: Duration) -> Self {
        self.settings.retention.stored = Some(period);
        self
    }

    /// Sets the retry policy of webhook deliveries. Default: fal's documented times, as far as
    /// there are any.
    pub fn webhooks(mut self, policy: WebhookPolicy) -> Self {
        self.settings.webhooks = policy;
        self
    }

    /// Serves another endpoint too, by the OpenAPI document that fal publishes for it. Inputs are
    /// checked against its schema; outputs are made up, with a file on the CDN behind each address,
    /// and billed as one unit.
    ///
    /// # Errors
    ///
    /// When the document does not describe an endpoint; the error says what is missing.
    pub fn endpoint(mut self, document: &str) -> io::Result<Self> {
        let invalid = |why| io::Error::new(io::ErrorKind::InvalidInput, why);
        self.endpoints
            .push(Schema::read(document).map_err(invalid)?);
        Ok(self)
    }

    /// Sets the faults to play. Default: none.
    pub fn scenario(mut self, scenario: Scenario) -> Self {
        self.scenario = scenario;
        self
    }

    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on, or the certificate or its key cannot be used.
    pub async fn start(self) -> io::Result<Emulator> {
        let mut settings = self.settings;
        for duration in [
            &mut settings.inference_time,
            &mut settings.index_delay,
            &mut settings.webhooks.first_pause,
            &mut settings.webhooks.longest_pause,
        ] {
            *duration = faster(*duration, self.speed);
        }
        let acceptor = match &self.tls {
            Some((certificate, key)) => Some(tls::acceptor(certificate, key)?),
            None => None,
        };
        let endpoints = Endpoints::read(self.endpoints).map_err(io::Error::other)?;
        let listener = TcpListener::bind(self.listen).await?;
        let addr = listener.local_addr()?;
        let state = Arc::new(State::new(
            settings,
            endpoints,
            Signer::new()?,
            self.scenario,
            addr,
            acceptor.is_some(),
        ));
        state.spawn(driver::keep_deadlines(Arc::clone(&state)));
        let accepting = tokio::spawn(server::accept(listener, acceptor, Arc::clone(&state)));
        Ok(Emulator { state, accepting })
    }
}

fn faster(duration: Duration, speed: f64) -> Duration {
    if speed > 0.0 {
        Duration::try_from_secs_f64(duration.as_secs_f64() / speed).unwrap_or(duration)
    } else {
        duration
    }
}
