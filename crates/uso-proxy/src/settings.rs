//! Settings of the proxy: pages, endpoints and limits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use uso_transport::{EndpointId, MicroDollars, Result};

use crate::cors::Origins;
use crate::endpoint::{Endpoint, Pricing};
use crate::memory_records::MemoryRecords;
use crate::records::{PurchaseLimits, Records};

/// Settings of a [`Proxy`](crate::Proxy); each explains its default.
///
/// ```
/// use uso_proxy::Settings;
/// use uso_transport::MicroDollars;
///
/// let settings = Settings::new()
///     .allow_origin("https://app.example")?
///     .spending_per_day(MicroDollars::new(2_000_000));
/// # Ok::<(), uso_transport::Error>(())
/// ```
#[derive(Clone)]
pub struct Settings {
    pub(crate) origins: Origins,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) allow_run: bool,
    pub(crate) requests_per_minute: u32,
    pub(crate) requests_at_once: u32,
    pub(crate) max_body: usize,
    pub(crate) limits: PurchaseLimits,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) body_within: Duration,
    pub(crate) reading_within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl Settings {
    /// The defaults: no page may call, and `fal-ai/uso` is the one endpoint.
    pub fn new() -> Self {
        Self {
            origins: Origins::default(),
            endpoints: vec![Endpoint {
                id: EndpointId::uso(),
                price: Pricing::OfUso,
            }],
            allow_run: false,
            requests_per_minute: 600,
            requests_at_once: 32,
            max_body: 4 << 20,
            limits: PurchaseLimits::default(),
            records: Arc::new(MemoryRecords::new()),
            body_within: Duration::from_secs(60),
            reading_within: Duration::from_secs(30),
        }
    }

    /// Lets the pages of an origin call, such as `https://app.example` or `http://localhost:5173`.
    /// Call it once for each. Default: none, and a page's own server counts as well, since browsers
    /// name their page's origin with every POST.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](uso_transport::ErrorKind::Config) when it is no origin, or `*`.
    pub fn allow_origin(mut self, origin: &str) -> Result<Self> {
        self.origins.allow(origin)?;
        Ok(self)
    }

    /// Lets pages use another endpoint as well, at an estimated price for each request: the sizes
    /// and prices of other endpoints are not known here. Default: `fal-ai/uso` alone.
    #[must_use]
    pub fn endpoint(mut self, id: EndpointId, price: MicroDollars) -> Self {
        self.endpoints.retain(|known| known.id != id);
        self.endpoints.push(Endpoint {
            id,
            price: Pricing::Each(price),
        });
        self
    }

    /// Lets pages run an endpoint without the queue (`fal.run`). Default: no, 400. The response to a run
    /// is the picture itself: when the browser leaves, or a server in between gives up, the picture is
    /// paid for and gone, while a request in the queue can be collected.
    #[must_use]
    pub fn allow_run(mut self) -> Self {
        self.allow_run = true;
        self
    }

    /// Requests of each caller: so many a minute in the long run, and so many at once. Default: 600,
    /// since the official client asks for a job's status twice a second, and a page may follow a
    /// few jobs.
    #[must_use]
    pub fn requests_per_minute(mut self, requests: u32) -> Self {
        self.requests_per_minute = requests;
        self
    }

    /// Requests of each caller that are under way at once, open status streams included; one more
    /// gets 429. Default: 32, some pages that follow a few jobs each. Of all callers together, 400
    /// status streams may be open (503 beyond it), so that a connection is always left for short
    /// requests.
    #[must_use]
    pub fn requests_at_once(mut self, requests: u32) -> Self {
        self.requests_at_once = requests;
        self
    }

    /// Estimated money that each caller may spend in any 24 hours. Default: $5, some 47 pictures of
    /// the default size.
    ///
    /// A purchase counts at the published price of $0.10 a megapixel before it is sent, and no longer
    /// counts when nothing was bought. The amount is an estimate and no upper bound: how the service
    /// rounds megapixels is not published, so a picture counts as one megapixel at the least, and a
    /// purchase as one picture; where only the service knows the size (`keep_size`), a picture counts
    /// as 2048 by 2048 pixels, the largest content picture that the service was seen to take. The
    /// record has both amounts. A size or a number that could be read in two ways is refused with 400.
    #[must_use]
    pub fn spending_per_day(mut self, limit: MicroDollars) -> Self {
        self.limits.spending_per_day = limit;
        self
    }

    /// The largest body of a request, in bytes; a larger one is refused with 413. Default: 4 MiB,
    /// room for references as data URIs, although an upload is better for those.
    ///
    /// Bodies are held until the service has answered. 64 MiB of all callers are (four of the
    /// largest where that is more; 503 beyond it), and a quarter of that of one caller (429).
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets the number of submitted requests that are kept with their callers, and the time for which
    /// they are kept. Default: 100 000 (some 40 MB) and 24 hours.
    ///
    /// A caller reaches a request while it is kept. When there is no room for another request, nothing
    /// more is bought (503): a request that is forgotten could not be collected, and is paid for.
    #[must_use]
    pub fn keep_requests(mut self, at_most: usize, kept_for: Duration) -> Self {
        self.limits.requests_kept = at_most;
        self.limits.requests_kept_for = kept_for;
        self
    }

    /// Sets the number of kept requests of a single caller, who buys nothing more while there are so
    /// many (429). Default: 5 000. The limit keeps one caller from filling the room of the others with
    /// requests that cost nothing, since the service finds an input's faults only after it has taken
    /// it.
    #[must_use]
    pub fn keep_requests_of_each(mut self, at_most: usize) -> Self {
        self.limits.requests_kept_each = at_most;
        self
    }

    /// Sets the time in which a request's body must arrive; a slower body gets 408. Default: 60
    /// seconds, in which the largest body needs 0.6 Mbit/s.
    #[must_use]
    pub fn body_within(mut self, limit: Duration) -> Self {
        self.body_within = limit;
        self
    }

    /// Sets the time after which the proxy drops a response to a purchase that the page does not read.
    /// Default: 30 seconds. Only the response is lost: the purchase is recorded before, and its
    /// request can be asked for.
    #[must_use]
    pub fn reading_within(mut self, limit: Duration) -> Self {
        self.reading_within = limit;
        self
    }

    /// Sets the storage of purchases. Default: [`MemoryRecords`], which a restart forgets.
    #[must_use]
    pub fn records(mut self, records: impl Records) -> Self {
        self.records = Arc::new(records);
        self
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("origins", &self.origins)
            .field("endpoints", &self.endpoints)
            .field("allow_run", &self.allow_run)
            .field("requests_per_minute", &self.requests_per_minute)
            .field("requests_at_once", &self.requests_at_once)
            .field("max_body", &self.max_body)
            .field("limits", &self.limits)
            .field("body_within", &self.body_within)
            .field("reading_within", &self.reading_within)
            .finish_non_exhaustive()
    }
}
