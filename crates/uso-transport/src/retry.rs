//! Decision whether a request is sent again, as a pure function.

use std::time::Duration;

use crate::kind::Operation;

/// A service that names a longer delay is left to the caller, who may have something better to do.
const LONGEST_NAMED_DELAY: Duration = Duration::from_secs(60);

/// Retry policy of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    first_delay: Duration,
    longest_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(8),
        }
    }
}

impl RetryPolicy {
    /// Sets the largest number of attempts, the first included. Default: 6, which together with the
    /// delays spans a gateway's restart.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The upper end of the first delay; each further one doubles it. Default: 250 ms.
    #[must_use]
    pub fn first_delay(mut self, delay: Duration) -> Self {
        self.first_delay = delay;
        self
    }

    /// The upper end of every delay. Default: 8 s.
    #[must_use]
    pub fn longest_delay(mut self, delay: Duration) -> Self {
        self.longest_delay = delay;
        self
    }

    /// The upper end of the delay before attempt `attempt + 1`.
    fn ceiling(&self, attempt: u32) -> Duration {
        let factor = 2u32.saturating_pow(attempt.saturating_sub(1).min(20));
        self.first_delay
            .saturating_mul(factor)
            .min(self.longest_delay)
    }
}

/// Outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No connection was established.
    NotSent,
    /// The request was sent, or may have been, and no complete response came.
    Lost,
    /// A response came.
    Answered {
        /// Its HTTP status.
        status: u16,
        /// `Retry-After`, as a delay.
        retry_after: Option<Duration>,
        /// Whether the response says that repeating cannot change it: the caller's own start
        /// deadline passed (`X-Fal-Request-Timeout-Type: user`), the service asks for no retry
        /// (`X-Fal-Needs-Retry: 0`), or the response is the stored outcome of a finished job.
        is_final: bool,
    },
}

impl Outcome {
    /// The HTTP status, if a response came.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// Delay before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delay {
    /// A random one of at most this.
    UpTo(Duration),
    /// Exactly this, which the service named.
    Named(Duration),
}

impl Delay {
    pub(crate) fn random(self) -> Duration {
        match self {
            Self::UpTo(ceiling) => ceiling.mul_f64(fastrand::f64()),
            Self::Named(delay) => delay,
        }
    }
}

/// Decides whether attempt number `attempt` (the first is 1) is followed by another; `None` when
/// its outcome is taken as it is.
///
/// A submit or a synchronous run is sent again only when it provably did not leave, or when the
/// service refused it with 429 before queueing it. A 5xx is no such proof.
pub(crate) fn decide(
    operation: Operation,
    outcome: Outcome,
    attempt: u32,
    policy: &RetryPolicy,
) -> Option<Delay> {
    let (worthwhile, named_delay) = match outcome {
        Outcome::NotSent => (true, None),
        Outcome::Lost => (operation.is_idempotent(), None),
        Outcome::Answered { is_final: true, .. } => (false, None),
        Outcome::Answered {
            status: 429,
            retry_after,
            ..
        } => (true, retry_after),
        Outcome::Answered {
            status: 408 | 500 | 502 | 503 | 504,
            retry_after,
            ..
        } => (operation.is_idempotent(), retry_after),
        Outcome::Answered { .. } => (false, None),
    };
    if !worthwhile || attempt >= policy.attempts {
        return None;
    }
    match named_delay {
        Some(delay) => (delay <= LONGEST_NAMED_DELAY).then_some(Delay::Named(delay)),
        None => Some(Delay::UpTo(policy.ceiling(attempt))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> Outcome {
        Outcome::Answered {
            status,
            retry_after: None,
            is_final: false,
        }
    }

    const PURCHASES: [Operation; 2] = [Operation::Submit, Operation::Run];
    const IDEMPOTENT: [Operation; 6] = [
        Operation::Upload,
        Operation::Status,
        Operation::Stream,
        Operation::Result,
        Operation::Cancel,
        Operation::Download,
    ];

    #[test]
    fn a_purchase_is_repeated_only_when_nothing_was_bought() {
        let policy = RetryPolicy::default();
        for operation in PURCHASES {
            for outcome in [Outcome::NotSent, answered(429)] {
                let decision = decide(operation, outcome, 1, &policy);
                assert!(
                    matches!(decision, Some(Delay::UpTo(_))),
                    "{operation} {outcome:?}"
                );
            }
            for outcome in [
                200, 302, 400, 401, 403, 404, 408, 409, 413, 422, 499, 500, 502, 503, 504,
            ]
            .map(answered)
            .into_iter()
            .chain([Outcome::Lost])
            {
                assert_eq!(
                    decide(operation, outcome, 1, &policy),
                    None,
                    "{operation} {outcome:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_idempotent_is_repeated_after_passing_trouble() {
        let policy = RetryPolicy::default();
        for operation in IDEMPOTENT {
            for outcome in [408, 429, 500, 502, 503, 504]
                .map(answered)
                .into_iter()
                .chain([Outcome::Lost, Outcome::NotSent])
            {
                let decision = decide(operation, outcome, 1, &policy);
                assert!(
                    matches!(decision, Some(Delay::UpTo(_))),
                    "{operation} {outcome:?}"
                );
            }
            for status in [200, 202, 302, 400, 401, 403, 404, 410, 422, 499, 501] {
                assert_eq!(decide(operation, answered(status), 1, &policy), None);
            }
        }
    }

    #[test]
    fn a_final_response_is_never_repeated() {
        for operation in PURCHASES.into_iter().chain(IDEMPOTENT) {
            for status in [429, 500, 503, 504] {
                let outcome = Outcome::Answered {
                    status,
                    retry_after: None,
                    is_final: true,
                };
                assert_eq!(decide(operation, outcome, 1, &RetryPolicy::default()), None);
            }
        }
    }

    #[test]
    fn the_delay_doubles_to_its_cap_and_the_service_may_name_it() {
        let policy = RetryPolicy::default().attempts(9);
        let ceilings: Vec<u128> = (1..=8)
            .filter_map(|attempt| {
                match decide(Operation::Status, Outcome::Lost, attempt, &policy) {
                    Some(Delay::UpTo(ceiling)) => Some(ceiling.as_millis()),
                    _ => None,
                }
            })
            .collect();
        assert_eq!(ceilings, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(decide(Operation::Status, Outcome::Lost, 9, &policy), None);

        let named = Duration::from_secs(3);
        let outcome = Outcome::Answered {
            status: 429,
            retry_after: Some(named),
            is_final: false,
        };
        assert_eq!(
            decide(Operation::Submit, outcome, 1, &policy),
            Some(Delay::Named(named))
        );
    }
}
