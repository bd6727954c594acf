//! Receiver of notifications, which [`Request::webhook`](crate::Request::webhook) asks for: a cache
//! of fal's public keys, and from `uso-webhook` the verification with them.
//!
//! ```no_run
//! use uso::webhook::{FalKeys, MemoryStore, Once, Receiver, once};
//! use uso::{BaseUrls, Config};
//!
//! # async fn example(request: http::Request<Vec<u8>>) -> uso::Result<()> {
//! // A receiver needs no API key.
//! let receiver = Receiver::new(FalKeys::new(&Config::keyless(BaseUrls::fal()?))?);
//! let handled = MemoryStore::default();
//! match receiver.receive(request).await {
//!     Ok(notification) => {
//!         let keep = || async { Ok::<_, std::io::Error>(println!("{notification:?}")) };
//!         let answer = match once(&handled, &notification, keep).await {
//!             Ok(kept) => kept.status().as_u16(),
//!             Err(_) => 500, // and fal comes again
//!         };
//!     }
//!     Err(rejection) => println!("answered with {}: {rejection}", rejection.status()),
//! }
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use uso_transport::{Config, Error, ErrorKind, Operation, Result, RetryPolicy, Transport};

pub use uso_webhook::{
    Claim, Clock, InvalidKeySet, KeyFuture, KeySet, KeySource, KeysUnavailable, Lease, MemoryStore,
    NoOutput, Notification, NotificationStatus, NotificationStore, Once, OnceError, Receiver,
    Rejection, Verifier, once,
};

/// The longest use of a key (fal docs, webhooks: cache keys for 24 hours).
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Age at which keys are fetched again; when that fails, they are used until [`LONGEST`].
const FRESH: Duration = Duration::from_secs(6 * 3600);

/// The shortest time between two fetches because of notifications that no key fits: any caller can
/// send one.
const BETWEEN_FORCED: Duration = Duration::from_secs(60);

/// Pause after a failed fetch.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The largest key document.
const MAX_DOCUMENT: usize = 64 << 10;

/// fal's public keys: fetched from the REST host when they are needed, and kept. Clones are cheap
/// and share what is kept.
///
/// They are fetched again after six hours, and used for 24 hours at the most while the host cannot
/// be reached. When none of them fits a notification, they are fetched once more, at most once
/// a minute, so that a rotation loses nothing. No API key is sent.
#[derive(Clone)]
pub struct FalKeys {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Transport,
    url: Option<String>,
    clock: Clock,
    kept: Mutex<Kept>,
    /// Held by the task that fetches; other tasks wait, or use the cached keys.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Kept {
    keys: Option<(KeySet, SystemTime)>,
    forced_at: Option<SystemTime>,
    failed: Option<(String, SystemTime)>,
}

impl FalKeys {
    /// The keys of the service whose hosts these settings name; see [`Config::keyless`] for a
    /// receiver without an API key. Nothing is fetched yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when TLS is needed and there are no root certificates.
    pub fn new(config: &Config) -> Result<Self> {
        Self::make(config, None, Clock::system())
    }

    /// Keys that are published at another URL: `https`, or `http` to this machine.
    ///
    /// # Errors
    ///
    /// As [`FalKeys::new`]; what is wrong with the URL shows when the keys are fetched.
    pub fn at(config: &Config, url: impl Into<String>) -> Result<Self> {
        Self::make(config, Some(url.into()), Clock::system())
    }

    /// As [`FalKeys::new`], with another clock to tell the keys' age by.
    ///
    /// # Errors
    ///
    /// As [`FalKeys::new`].
    pub fn with_clock(config: &Config, clock: Clock) -> Result<Self> {
        Self::make(config, None, clock)
    }

    fn make(config: &Config, url: Option<String>, clock: Clock) -> Result<Self> {
        // Less than the 15 seconds that fal waits for the first response. Not repeated, since the
        // service could name a longer delay: the next notification tries again.
        let config = config
            .without_key()
            .connect_within(Duration::from_secs(3))
            .answer_within(Duration::from_secs(5))
            .max_body(MAX_DOCUMENT)
            .retry(RetryPolicy::default().attempts(1));
        Ok(Self {
            shared: Arc::new(Shared {
                transport: Transport::new(config)?,
                url,
                clock,
                kept: Mutex::default(),
                fetching: Arc::default(),
            }),
        })
    }

    /// Fetches the keys now, whatever is kept.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the kept keys as they are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unreachable`] or [`ErrorKind::Server`] when they cannot be fetched,
    /// [`ErrorKind::Malformed`] when the document holds none.
    pub async fn fetch(&self) -> Result<KeySet> {
        self.shared.fetch().await
    }
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that long has passed; also when the clock was set back meanwhile.
    fn is_past(&self, since: SystemTime, limit: Duration) -> bool {
        let age = self.clock.now().duration_since(since);
        age.map_or(true, |age| age >= limit)
    }

    fn younger_than(&self, limit: Duration) -> Option<KeySet> {
        let kept = self.kept();
        let (keys, at) = kept.keys.as_ref()?;
        (!self.is_past(*at, limit)).then(|| keys.clone())
    }

    /// What the last fetch failed with, while it is too early for another.
    fn recent_failure(&self) -> Option<String> {
        let kept = self.kept();
        let (why, at) = kept.failed.as_ref()?;
        (!self.is_past(*at, AFTER_FAILURE)).then(|| why.clone())
    }

    async fn fetch(&self) -> Result<KeySet> {
        let fetched = self.transport.jwks(self.url.as_deref()).await;
        let fetched = fetched.and_then(|document| {
            KeySet::from_jwks(&document).map_err(|error| {
                let message = format!("the public keys of webhooks cannot be used: {error}");
                Error::new(Operation::Keys, ErrorKind::Malformed, message).with_raw_body(document)
            })
        });
        let now = self.clock.now();
        let mut kept = self.kept();
        match &fetched {
            Ok(keys) => {
                kept.keys = Some((keys.clone(), now));
                kept.failed = None;
            }
            Err(error) => kept.failed = Some((error.to_string(), now)),
        }
        fetched
    }

    async fn current(self: Arc<Self>) -> Result<KeySet, KeysUnavailable> {
        if let Some(keys) = self.younger_than(FRESH) {
            return Ok(keys);
        }
        if let Some(keys) = self.younger_than(LONGEST) {
            // The cached keys are good enough, so the caller does not wait for newer ones.
            if self.recent_failure().is_none()
                && let Ok(turn) = Arc::clone(&self.fetching).try_lock_owned()
            {
                tokio::spawn(async move {
                    let _turn = turn;
                    // The result is cached for the next notification.
                    let _ = self.fetch().await;
                });
            }
            return Ok(keys);
        }
        let fetched = to_its_end(async move {
            let _turn = self.fetching.lock().await;
            if let Some(keys) = self.younger_than(FRESH) {
                return Ok(keys);
            }
            if let Some(why) = self.recent_failure() {
                return Err(why);
            }
            self.fetch().await.map_err(|error| error.to_string())
        });
        let ended = || Err("the runtime ends".to_owned());
        fetched.await.unwrap_or_else(ended).map_err(KeysUnavailable)
    }

    async fn forced(self: Arc<Self>, seen: KeySet) -> Option<KeySet> {
        let looked = to_its_end(async move {
            let _turn = self.fetching.lock().await;
            let is_new = |keys: &KeySet| *keys != seen;
            if let Some(keys) = self.younger_than(LONGEST).filter(is_new) {
                return Some(keys);
            }
            let recent = self.kept().forced_at;
            if recent.is_some_and(|at| !self.is_past(at, BETWEEN_FORCED)) {
                return None;
            }
            self.kept().forced_at = Some(self.clock.now());
            self.fetch().await.ok().filter(is_new)
        });
        looked.await.flatten()
    }
}

/// Does the work in a task of its own. A server drops its handler when a caller hangs up, and callers
/// who hang up must not use up the fetches of others.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    tokio::spawn(work).await.ok()
}

impl KeySource for FalKeys {
    fn keys(&self) -> KeyFuture<'_, Result<KeySet, KeysUnavailable>> {
        Box::pin(Arc::clone(&self.shared).current())
    }

    fn newer<'a>(&'a self, seen: &'a KeySet) -> KeyFuture<'a, Option<KeySet>> {
        Box::pin(Arc::clone(&self.shared).forced(seen.clone()))
    }
}

impl fmt::Debug for FalKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.shared.kept();
        f.debug_struct("FalKeys")
            .field("keys", &kept.keys)
            .finish_non_exhaustive()
    }
}
