//! Verdict on a purchase: what an HTTP response says about whether something was bought.
//!
//! The retry decision, [`Error`](crate::Error), a proxy and a command line all read this one pure
//! function, so that they cannot disagree about money.

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::kind::Operation;

/// Whether a request bought something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing was bought: the request may be sent again.
    NotBought,
    /// The service accepted the purchase.
    Bought,
    /// The response does not say. Sending the request again could buy twice.
    Unknown,
}

impl Verdict {
    /// The verdict on a request of this operation that got this response.
    ///
    /// `body` is the response's body, or its beginning, or nothing when it was not read: only the
    /// words of a 429 on a synchronous run are searched for, and without them the verdict is
    /// [`Verdict::Unknown`].
    ///
    /// | operation | status | verdict |
    /// | --- | --- | --- |
    /// | submit, run | 2xx | bought |
    /// | submit | 400, 401, 403, 404, 413, 422, 429 | not bought (fal's documentation) |
    /// | submit | 405, 415 | not bought (chosen; no documentation names them) |
    /// | run | 401, 403, 429 from a gate before any work | not bought |
    /// | submit, run | everything else | unknown |
    /// | everything else | any | not bought, because the request itself buys nothing |
    ///
    /// ```
    /// use http::HeaderMap;
    /// # use uso_transport::{Operation, Verdict};
    ///
    /// let of = |status| Verdict::of(Operation::Submit, status, &HeaderMap::new(), b"");
    /// assert_eq!(of(200), Verdict::Bought);
    /// assert_eq!(of(422), Verdict::NotBought);
    /// assert_eq!(of(409), Verdict::Unknown);
    /// ```
    pub fn of(operation: Operation, status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        match (operation, status) {
            (Operation::Submit | Operation::Run, 200..=299) => Self::Bought,
            (Operation::Submit, 400 | 401 | 403 | 404 | 413 | 422 | 429) => Self::NotBought,
            // Chosen: both refuse a request by its method or its type, before anything reads it.
            (Operation::Submit, 405 | 415) => Self::NotBought,
            (Operation::Run, 401 | 403) => Self::NotBought,
            (Operation::Run, 429) if is_from_gate(headers, body) => Self::NotBought,
            (Operation::Submit | Operation::Run, _) => Self::Unknown,
            _ => Self::NotBought,
        }
    }
}

/// Whether a 429 is the platform's concurrency limit, which refuses a request before any work. The
/// model itself may answer 429 after it has worked.
fn is_from_gate(headers: &HeaderMap, body: &[u8]) -> bool {
    const LIMIT: &[u8] = b"concurrent_requests_limit";
    let asks_for_retry = headers
        .get("x-fal-needs-retry")
        .is_some_and(|value| value.as_bytes() == b"1");
    asks_for_retry || body.windows(LIMIT.len()).any(|window| window == LIMIT)
}
