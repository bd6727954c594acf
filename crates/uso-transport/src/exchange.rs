//! Exchange: sends requests under the retry policy and the shared budget.
//!
//! There is one retry loop, [`Exchange::repeat`]; every operation of the crate goes through it.

mod budget;
mod clock;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use http::header::AGE;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

use self::budget::Budget;
pub(crate) use self::clock::Moment;
use self::clock::ServiceClock;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::http::{Http, Incoming, RequestBody};
use crate::kind::Operation;
use crate::requests::{Request, Requests};
use crate::response::{Response, date};
use crate::retry::{Outcome, decide};
use crate::verdict::Verdict;

type Sleep = fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// The settings, the connections and the retry budgets; clones share them.
#[derive(Clone)]
pub(crate) struct Exchange(Arc<Shared>);

struct Shared {
    config: Config,
    http: Http,
    /// Repeats of everything that belongs to a purchase.
    purchases: Budget,
    /// Repeats of uploads, which must not use up those of jobs that are paid for.
    uploads: Budget,
    clock: ServiceClock,
    sleep: Sleep,
}

/// What an attempt came to: its outcome for the retry decision, and its result for the caller.
pub(crate) struct Attempt<T> {
    outcome: Outcome,
    result: Result<T>,
}

impl From<Result<Response, Failure>> for Attempt<Response> {
    fn from(read: Result<Response, Failure>) -> Self {
        match read {
            Ok(response) => Self {
                outcome: response.outcome(),
                result: Ok(response),
            },
            Err(failure) => failure.into(),
        }
    }
}

impl<T> From<Failure> for Attempt<T> {
    fn from(failure: Failure) -> Self {
        Self {
            outcome: failure.outcome,
            result: Err(failure.error),
        }
    }
}

impl<T> Attempt<T> {
    /// An attempt that succeeded.
    pub(crate) fn done(value: T) -> Self {
        let outcome = Outcome::Answered {
            status: 200,
            retry_after: None,
            is_final: true,
        };
        Self {
            outcome,
            result: Ok(value),
        }
    }
}

impl Attempt<Response> {
    /// An attempt whose response is worth another one, whatever its words are.
    pub(crate) fn transient(response: Response) -> Self {
        let outcome = Outcome::Answered {
            status: response.status,
            retry_after: None,
            is_final: false,
        };
        Self {
            outcome,
            result: Ok(response),
        }
    }
}

/// A value, and what it took to get it.
pub(crate) struct Repeated<T> {
    pub(crate) value: T,
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
}

impl From<Repeated<Response>> for Response {
    fn from(repeated: Repeated<Response>) -> Self {
        Self {
            attempts: repeated.attempts,
            elapsed: repeated.elapsed,
            ..repeated.value
        }
    }
}

impl Exchange {
    pub(crate) fn new(config: Config) -> Result<Self> {
        Self::with_sleep(config, |delay| Box::pin(tokio::time::sleep(delay)))
    }

    fn with_sleep(config: Config, sleep: Sleep) -> Result<Self> {
        let http = Http::new(&config)?;
        Ok(Self(Arc::new(Shared {
            config,
            http,
            purchases: Budget::default(),
            uploads: Budget::default(),
            clock: ServiceClock::default(),
            sleep,
        })))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn requests(&self) -> Requests<'_> {
        Requests::new(&self.0.config)
    }

    fn budget(&self, operation: Operation) -> &Budget {
        match operation {
            Operation::Upload => &self.0.uploads,
            _ => &self.0.purchases,
        }
    }

    /// Takes one repeat out of the shared budget, if there is one left.
    pub(crate) fn may_repeat(&self, operation: Operation) -> bool {
        self.budget(operation).spend()
    }

    /// The retry loop: attempts until there is a result to take, or no attempt left.
    pub(crate) async fn repeat<T, F>(
        &self,
        operation: Operation,
        attempt: impl Fn() -> F,
    ) -> Result<Repeated<T>>
    where
        F: Future<Output = Attempt<T>>,
    {
        self.repeat_while(operation, || true, attempt).await
    }

    /// As [`Exchange::repeat`], and no attempt but the first begins when `may_repeat` says no: the
    /// machine may have slept through a pause.
    async fn repeat_while<T, F>(
        &self,
        operation: Operation,
        may_repeat: impl Fn() -> bool,
        attempt: impl Fn() -> F,
    ) -> Result<Repeated<T>>
    where
        F: Future<Output = Attempt<T>>,
    {
        let started = Instant::now();
        let budget = self.budget(operation);
        budget.earn();
        let mut attempts = 1;
        loop {
            let Attempt { outcome, result } = attempt().await;
            let delay = decide(operation, outcome, attempts, &self.0.config.retry);
            if let Some(delay) = delay
                && budget.spend()
            {
                let delay = delay.random();
                warn!(%operation, attempts, ?outcome, ?delay, "trying again");
                (self.0.sleep)(delay).await;
                if may_repeat() {
                    attempts += 1;
                    continue;
                }
            }
            let elapsed = started.elapsed();
            let status = outcome.status();
            debug!(%operation, attempts, status, ?elapsed, ?delay, "done");
            return match result {
                Ok(value) => Ok(Repeated {
                    value,
                    attempts,
                    elapsed,
                }),
                Err(error) => Err(error.with_attempts(attempts, elapsed)),
            };
        }
    }

    /// Sends a request in the retry loop and reads its response, whatever its status is.
    pub(crate) async fn send<B: Into<RequestBody>>(
        &self,
        operation: Operation,
        request: impl Fn() -> Request<B>,
    ) -> Result<Response> {
        self.send_while(operation, || true, request).await
    }

    /// As [`Exchange::send`], and sends again only while `may_repeat` allows it.
    pub(crate) async fn send_while<B: Into<RequestBody>>(
        &self,
        operation: Operation,
        may_repeat: impl Fn() -> bool,
        request: impl Fn() -> Request<B>,
    ) -> Result<Response> {
        let attempt = || async {
            self.attempt(operation, request().map(Into::into))
                .await
                .into()
        };
        let sent = self.repeat_while(operation, may_repeat, attempt).await;
        Ok(sent?.into())
    }

    /// As [`Exchange::send`]; a response outside 2xx is the error that it stands for.
    pub(crate) async fn send_accepted<B: Into<RequestBody>>(
        &self,
        operation: Operation,
        request: impl Fn() -> Request<B>,
    ) -> Result<Response> {
        self.accepted(self.send(operation, request).await?)
    }

    /// One attempt, from the connection to the last byte of the response.
    pub(crate) async fn attempt(
        &self,
        operation: Operation,
        request: Request<RequestBody>,
    ) -> Result<Response, Failure> {
        let config = &self.0.config;
        let limit = config.attempt_limit(operation, request.body.len());
        let deadline = from_now(limit);
        let asked = Moment::now();
        let Incoming {
            status,
            headers,
            body,
        } = self.0.http.send(operation, request, deadline).await?;
        self.read_clock(operation, &headers, asked);
        let reading = body.collect(config.max_body, config.stream_idle);
        let failure = match timeout_at(deadline, reading).await {
            Ok(Ok(body)) => return Ok(Response::new(operation, status.as_u16(), headers, body)),
            Ok(Err(failure)) => failure,
            Err(_) => {
                let seconds = limit.as_secs_f64();
                let why = format!("the response did not end within {seconds} s");
                Failure::lost(operation, &why)
            }
        };
        // The head of a response carries the request id, even if the body is lost.
        let head = Response::new(operation, status.as_u16(), headers, Bytes::new());
        // It may also refuse a purchase, whatever the words of the body are.
        if !operation.is_idempotent() && head.verdict() == Verdict::NotBought {
            return Ok(head);
        }
        Err(failure.map(|error| {
            let delivery = error.delivery();
            error
                .with_response(head.status, head.request_id())
                .with_delivery(delivery)
        }))
    }

    /// Reads the service's clock. Files and public keys may come from other hosts, and a response
    /// with an age from a cache.
    fn read_clock(&self, operation: Operation, headers: &HeaderMap, asked: Moment) {
        use Operation::{Download, Keys, Upload};
        if !matches!(operation, Upload | Download | Keys)
            && !headers.contains_key(AGE)
            && let Some(date) = date(headers)
        {
            self.0.clock.set(date, asked);
        }
    }

    /// Two times of the service's clock, one before `moment` and one after now, if it told the time.
    pub(crate) fn since(&self, moment: Moment) -> Option<(SystemTime, SystemTime)> {
        self.0.clock.since(moment)
    }

    /// Sends a request once and waits for the head of its response.
    pub(crate) async fn open<B: Into<RequestBody>>(
        &self,
        operation: Operation,
        request: Request<B>,
    ) -> Result<Incoming, Failure> {
        let request = request.map(Into::into);
        let limit = self.0.config.attempt_limit(operation, request.body.len());
        let deadline = from_now(limit);
        self.0.http.send(operation, request, deadline).await
    }

    /// Whether a status stream leaves room for other requests of the queue.
    pub(crate) fn has_room_for_stream(&self) -> bool {
        let queue = self.0.config.base_urls.queue();
        self.0.http.has_room_for_stream(queue)
    }

    /// A response of the service; one outside 2xx is the error that it stands for.
    pub(crate) fn accepted(&self, response: Response) -> Result<Response> {
        match response.is_success() {
            true => Ok(response),
            false => Err(self.refused(response)),
        }
    }

    /// The error that a response outside 2xx stands for.
    pub(crate) fn refused(&self, response: Response) -> Error {
        response.into_error(self.0.config.key.has_documented_form())
    }

    /// Waits, by the clock of the retry loop.
    pub(crate) async fn pause(&self, delay: Duration) {
        (self.0.sleep)(delay).await;
    }
}

/// A point in time that far away; "never" is a year, which no wait outlasts.
pub(crate) fn from_now(limit: Duration) -> Instant {
    after(Instant::now(), limit)
}

/// As [`from_now`], counted from another time.
pub(crate) fn after(start: Instant, limit: Duration) -> Instant {
    start + limit.min(Duration::from_secs(365 * 24 * 3600))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::base_urls::BaseUrls;
    use crate::key::ApiKey;
    use crate::kind::ErrorKind;
    use crate::retry::RetryPolicy;

    fn exchange(attempts: u32) -> Exchange {
        let urls = BaseUrls::single_origin("http://127.0.0.1:1").unwrap();
        let config = Config::new(ApiKey::new("id:secret").unwrap(), urls)
            .retry(RetryPolicy::default().attempts(attempts));
        // Not one test waits.
        Exchange::with_sleep(config, |_| Box::pin(std::future::ready(()))).unwrap()
    }

    async fn fails(exchange: &Exchange, operation: Operation) -> (u32, Error) {
        let counted = AtomicU32::new(0);
        let attempt = || async {
            counted.fetch_add(1, Ordering::Relaxed);
            Attempt::<()>::from(Failure::lost(operation, "it was tried"))
        };
        let outcome = exchange.repeat(operation, attempt).await;
        (counted.into_inner(), outcome.err().unwrap())
    }

    #[tokio::test]
    async fn the_loop_ends_with_the_policy_and_the_error_counts_the_attempts() {
        let exchange = exchange(4);
        let (made, error) = fails(&exchange, Operation::Status).await;
        assert_eq!((made, error.attempts()), (4, 4));
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        let (made, error) = fails(&exchange, Operation::Submit).await;
        assert_eq!((made, error.kind()), (1, ErrorKind::OutcomeUnknown));
    }

    #[tokio::test]
    async fn an_attempt_that_would_be_too_late_is_not_made() {
        let counted = AtomicU32::new(0);
        let attempt = || async {
            counted.fetch_add(1, Ordering::Relaxed);
            Attempt::<()>::from(Failure::not_sent(Operation::Submit, "it was tried"))
        };
        let in_time = || counted.load(Ordering::Relaxed) < 3;
        let exchange = exchange(30);
        let outcome = exchange.repeat_while(Operation::Submit, in_time, attempt);
        let error = outcome.await.err().unwrap();
        assert_eq!(
            (error.attempts(), error.kind()),
            (3, ErrorKind::Unreachable)
        );
        assert_eq!(counted.into_inner(), 3);
    }

    #[tokio::test]
    async fn operations_of_jobs_share_a_budget_and_uploads_have_their_own() {
        let exchange = exchange(1000);
        let (made, _) = fails(&exchange, Operation::Download).await;
        assert_eq!(made, 101, "the whole budget went into the first outage");
        let (made, _) = fails(&exchange, Operation::Status).await;
        assert_eq!(made, 1);
        let (made, _) = fails(&exchange, Operation::Upload).await;
        assert_eq!(made, 101);
    }
}
