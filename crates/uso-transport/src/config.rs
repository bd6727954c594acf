//! Settings of the transport: key, hosts, deadlines.

use std::time::Duration;

use crate::base_urls::BaseUrls;
use crate::error::{Error, Result};
use crate::http_options::HttpOptions;
use crate::key::ApiKey;
use crate::kind::{ErrorKind, Operation};
use crate::retry::RetryPolicy;

/// Bytes a second of a line that is slow and still of use.
const SLOW_LINE: u64 = 32 << 10;

/// Settings of a [`Transport`](crate::Transport); each explains its default.
///
/// ```
/// use std::time::Duration;
/// # use uso_transport::{ApiKey, BaseUrls, Config};
///
/// let config = Config::new(ApiKey::new("id:secret")?, BaseUrls::fal()?)
///     .finish_within(Duration::from_secs(300));
/// # Ok::<(), uso_transport::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) key: ApiKey,
    pub(crate) base_urls: BaseUrls,
    pub(crate) root_certificates: Vec<Vec<u8>>,
    pub(crate) connect_within: Duration,
    pub(crate) answer_within: Duration,
    pub(crate) start_within: Duration,
    pub(crate) finish_within: Duration,
    pub(crate) reconcile_within: Option<Duration>,
    pub(crate) stream_idle: Duration,
    pub(crate) status_every: Duration,
    pub(crate) max_body: usize,
    pub(crate) max_download: u64,
    pub(crate) multipart_from: u64,
    pub(crate) retry: RetryPolicy,
    pub(crate) http: HttpOptions,
}

impl Config {
    /// Settings with this key and these hosts, and the defaults for the rest.
    pub fn new(key: ApiKey, base_urls: BaseUrls) -> Self {
        Self {
            key,
            base_urls,
            root_certificates: Vec::new(),
            connect_within: Duration::from_secs(10),
            answer_within: Duration::from_secs(60),
            start_within: Duration::from_secs(600),
            finish_within: Duration::from_secs(3600),
            reconcile_within: Some(Duration::from_secs(120)),
            stream_idle: Duration::from_secs(45),
            status_every: Duration::from_secs(30),
            max_body: 32 << 20,
            max_download: 1 << 30,
            multipart_from: 32 << 20,
            retry: RetryPolicy::default(),
            http: HttpOptions::new(),
        }
    }

    /// Settings without a key, for what needs none: fetching the public keys of webhooks. The
    /// service refuses everything else.
    pub fn keyless(base_urls: BaseUrls) -> Self {
        Self::new(ApiKey::absent(), base_urls)
    }

    /// Copy of the settings without the key.
    #[must_use]
    pub fn without_key(&self) -> Self {
        Self {
            key: ApiKey::absent(),
            ..self.clone()
        }
    }

    /// Settings from the environment: `FAL_KEY`, or `FAL_KEY_ID` with `FAL_KEY_SECRET`; then
    /// `USO_BASE_URL` for one origin, or `FAL_RUN_HOST` and `FAL_QUEUE_RUN_HOST`
    /// (`queue.{FAL_RUN_HOST}` when it is not set).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when there is no key or a value is unusable.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// As [`Config::from_env`], from any source of variables.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when there is no key or a value is unusable.
    pub fn from_vars(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let key = match (set("FAL_KEY"), set("FAL_KEY_ID"), set("FAL_KEY_SECRET")) {
            (Some(key), _, _) => ApiKey::new(key)?,
            (None, Some(id), Some(secret)) => {
                ApiKey::new(format!("{}:{}", id.trim(), secret.trim()))?
            }
            _ => {
                return Err(Error::new(
                    Operation::Configure,
                    ErrorKind::Config,
                    "there is no API key",
                )
                .with_hint(
                    "set FAL_KEY (or FAL_KEY_ID and FAL_KEY_SECRET) to a key from fal's dashboard",
                ));
            }
        };
        Ok(Self::new(key, BaseUrls::from_vars(variable)?))
    }

    /// Trusts these certificates (PEM, one or several) besides the system's.
    ///
    /// The system's come from its own store, or from the file that `SSL_CERT_FILE` names.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// The longest time until a connection is established. Default: 10 s, since a connect that fails
    /// is safe to repeat and a slow one only delays that.
    #[must_use]
    pub fn connect_within(mut self, limit: Duration) -> Self {
        self.connect_within = limit;
        self
    }

    /// The longest time for one HTTP attempt, from the connection to the last byte of the response,
    /// and one more second for every 32 KiB that are sent. It should be longer than
    /// [`Config::connect_within`]. Default: 60 s; the response to a submit takes well under one.
    /// Streams and downloads are bounded by their idle time instead, and the synchronous run by
    /// [`Config::finish_within`].
    #[must_use]
    pub fn answer_within(mut self, limit: Duration) -> Self {
        self.answer_within = limit;
        self
    }

    /// The deadline for the service to *start* a job, counted from the submit. When it passes, the
    /// job never runs and nothing is billed. Default: 10 min, long enough for a cold start, short
    /// enough that an unknown outcome becomes known. The service wants more than one second.
    #[must_use]
    pub fn start_within(mut self, limit: Duration) -> Self {
        self.start_within = limit;
        self
    }

    /// The deadline for a job to *finish*, counted from the call that waits. When it passes the job
    /// still runs, and its ticket collects it. Default: 1 h, the service's own limit for one
    /// attempt.
    #[must_use]
    pub fn finish_within(mut self, limit: Duration) -> Self {
        self.finish_within = limit;
        self
    }

    /// Sets the time for which a submit whose response was lost is looked for among the account's
    /// requests, before it ends with [`ErrorKind::OutcomeUnknown`]. Default: 2 min; a request that
    /// starts at once is found within seconds, and one that waits longer is better looked for later,
    /// with the error's [`intent`](Error::intent).
    ///
    /// The listing shows only requests whose payloads are stored, and only to a key that may read
    /// it; without either, the submit ends with its unknown outcome.
    #[must_use]
    pub fn reconcile_within(mut self, limit: Duration) -> Self {
        self.reconcile_within = Some(limit);
        self
    }

    /// Never looks for a submit whose response was lost.
    #[must_use]
    pub fn without_reconciliation(mut self) -> Self {
        self.reconcile_within = None;
        self
    }

    /// Sets the time after which a silent status stream or download counts as broken. Default: 45 s,
    /// three of the service's keep-alive comments.
    #[must_use]
    pub fn stream_idle(mut self, limit: Duration) -> Self {
        self.stream_idle = limit;
        self
    }

    /// The longest time that a status stream may tell nothing new before the status is asked for
    /// beside it. Default: 30 s, since a stream is only a hint and a result may expire after six
    /// minutes.
    #[must_use]
    pub fn status_every(mut self, limit: Duration) -> Self {
        self.status_every = limit;
        self
    }

    /// The largest response that is held in memory, in bytes. Default: 32 MiB, room for four pictures
    /// of the default size as data URIs. Raise the limit for larger pictures in sync mode.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// The largest picture that is downloaded, in bytes. Default: 1 GiB; downloads are streamed to
    /// disk, so this bounds the disk and not the memory.
    #[must_use]
    pub fn max_download(mut self, bytes: u64) -> Self {
        self.max_download = bytes;
        self
    }

    /// Files above this many bytes are uploaded in parts of 10 MiB. Default: 32 MiB, since up to
    /// there a second attempt at the whole costs less than the two more requests.
    #[must_use]
    pub fn multipart_from(mut self, bytes: u64) -> Self {
        self.multipart_from = bytes;
        self
    }

    /// Sets the retry policy of idempotent requests.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Options of the HTTP layer: proxy, user agent, further headers, limits for each operation.
    #[must_use]
    pub fn http(mut self, options: HttpOptions) -> Self {
        self.http = options;
        self
    }

    /// The longest time that an attempt may take with a request body of this many bytes.
    pub(crate) fn attempt_limit(&self, operation: Operation, body: u64) -> Duration {
        let general = match operation {
            Operation::Run => self.finish_within,
            _ => self.answer_within,
        };
        let limit = self.http.timeout_of(operation).unwrap_or(general);
        // A slow line is not a lost response: a large body has the time to leave.
        limit.saturating_add(Duration::from_secs(body / SLOW_LINE))
    }

    /// The deadline that [`Config::finish_within`] set.
    pub fn finish_limit(&self) -> Duration {
        self.finish_within
    }

    /// The deadline that [`Config::start_within`] set.
    pub fn start_limit(&self) -> Duration {
        self.start_within
    }

    /// The limit that [`Config::answer_within`] set.
    pub fn answer_limit(&self) -> Duration {
        self.answer_within
    }

    /// Tells the keys of different accounts apart, without showing anything of the key: 16 hex
    /// digits of a digest of its id.
    pub fn account(&self) -> String {
        self.key.fingerprint()
    }

    /// Base URL of each of fal's services.
    pub fn base_urls(&self) -> &BaseUrls {
        &self.base_urls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<Config> {
        let pairs: Vec<(String, String)> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Config::from_vars(|name| {
            pairs
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
        })
    }

    #[test]
    fn the_environment_of_the_official_clients_is_honoured() {
        let config = from(&[("FAL_KEY", "a:b"), ("FAL_RUN_HOST", "fal.example")]).unwrap();
        assert_eq!(config.base_urls().run().as_str(), "https://fal.example/");
        assert_eq!(
            config.base_urls().queue().as_str(),
            "https://queue.fal.example/"
        );

        let config = from(&[("FAL_KEY_ID", "a"), ("FAL_KEY_SECRET", "b")]).unwrap();
        assert_eq!(
            config.base_urls().queue().as_str(),
            "https://queue.fal.run/"
        );
        assert!(config.key.has_documented_form());

        let both = [("FAL_KEY", " "), ("FAL_KEY_ID", "a")];
        assert_eq!(from(&both).unwrap_err().kind(), ErrorKind::Config);
    }
}
