//! The faults that the emulator can play, and their names.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::odd::{OddListing, OddResult};

/// Fault that the emulator can play.
///
/// Faults whose name begins with *accept* let the request do its work first: a submission is
/// accepted, entered in the ledger and runs, and only the response is lost or replaced. All others
/// that refuse do so before any work.
#[derive(Clone, Debug, PartialEq, Deserialize, strum::Display, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum Fault {
    /// The connection closes before the request is worked on.
    Drop,
    /// The request is worked on; the connection closes before a response.
    AcceptThenDrop,
    /// No response, ever.
    Hang,
    /// The request is worked on and never answered.
    AcceptThenHang,
    /// The request is worked on and answered this much later on the emulator's clock; a webhook is
    /// delivered this much later. In files: a number of seconds.
    #[serde(deserialize_with = "seconds")]
    Delay(Duration),
    /// The response arrives one byte at a time, ten a second, beginning with its headers.
    SlowHeaders,

    /// 429 before any work.
    Throttled {
        /// Seconds for a `Retry-After` header; without them, none.
        retry_after: Option<u64>,
    },
    /// The 429 of the account's concurrency limit, with its needs-retry header.
    ConcurrencyLimit,
    /// A JSON error with this status and an `x-fal-request-id`, before any work.
    Status(u16),
    /// The same, and the connection closes in the middle of the body.
    CutStatus(u16),
    /// As [`Fault::Status`] after the work; a 3xx has a `Location` on the same host.
    AcceptThenStatus(u16),
    /// The same after the work, without an `x-fal-request-id`.
    AcceptThenStatusWithoutId(u16),
    /// A load balancer's HTML page with this status and no `x-fal-request-id`, before any work.
    GatewayPage(u16),
    /// The same after the work.
    AcceptThenGatewayPage(u16),
    /// 403: the balance is exhausted and the user is locked.
    Locked,
    /// 403: the key lacks the permission.
    Forbidden,
    /// 401: the key is not known.
    Unauthorized,
    /// 504 with `X-Fal-Request-Timeout-Type: user`.
    UserTimeout,
    /// 422 whose `detail` is a string.
    StringDetail,
    /// This response, before any work.
    Answer {
        /// HTTP status.
        status: u16,
        /// Its body, said to be JSON.
        body: String,
    },
    /// 410 Gone, before any work.
    Gone,
    /// 401: the CDN's token that came with the request has just expired.
    TokenExpired,
    /// 307 to the same path on this origin.
    Redirect(String),

    /// The job never reaches a runner; only a start timeout ends it.
    NeverStarts,
    /// The job loses its runner once and goes back to the queue; without server-side retries
    /// (`X-Fal-No-Retry`, synchronous runs) it fails instead.
    Requeue,
    /// By the time the job runs, the CDN has lost every file that it had.
    FilesGone,
    /// The job completes with a platform error.
    FailsWith {
        /// HTTP status of the result.
        status: u16,
        /// Such as `runner_disconnected`.
        error_type: String,
    },
    /// The job completes with this response of the model.
    ModelAnswers {
        /// HTTP status of the result.
        status: u16,
        /// Its JSON body.
        body: Value,
    },

    /// The first follow-up calls find no such request (404), as many as this says: a queue that is
    /// eventually consistent.
    InvisibleFor(u32),
    /// The picture is in the other format (JPEG for PNG, PNG for JPEG) than the result, its file
    /// name and the download's `Content-Type` say.
    MistypedPicture,
    /// The job completes with a refusal of the model's own (422), which says that a unit was billed
    /// all the same, as fal warns that it may be when a GPU had been at work.
    BilledRefusal {
        /// The JSON body of the result.
        body: Value,
    },
    /// `X-Fal-Billable-Units` of the response has this text; without one, the header is missing.
    BillableUnits(Option<String>),

    /// The JSON text ends in the middle.
    TruncatedJson,
    /// The body is not JSON.
    Undecodable,
    /// The body is this text; on a stream, every event's data.
    Body(String),
    /// Every field but the essential ones is `null`.
    NullFields,
    /// Unknown fields in every object.
    UnknownFields,
    /// The status word is `PAUSED`.
    UnknownStatus,
    /// A log line with an unknown level and an unknown source.
    UnknownLogLevel,
    /// Ten thousand levels of arrays, or as many as this says.
    DeepJson(u32),
    /// Every URL in the body leads to this origin.
    ForeignUrls(String),
    /// A `COMPLETED` status has an `error` that is the empty string.
    EmptyError,
    /// The status names another request.
    ForeignRequestId,
    /// The status names another request, which failed.
    ForeignFailure,
    /// A log line whose message holds half of a UTF-16 pair.
    LoneSurrogateLog,
    /// A result with a field that strict parsers refuse; on a webhook, its payload.
    OddResult(OddResult),
    /// The listing is empty.
    EmptyListing,
    /// A listing whose rows are hard to compare with a request.
    OddListing(OddListing),

    /// The connection closes in the middle of the body, whose length was announced.
    TruncatedBody,
    /// Half of the body without any length, ended by an orderly close of the connection; over
    /// HTTP/2, by an orderly end of the stream.
    CutCloseDelimited,
    /// Half of the body in chunks; the connection closes before the last chunk.
    CutChunked,
    /// Half of the body in chunks, with a proper last chunk.
    ShortChunked,
    /// Half of the body, with its own length as `Content-Length`.
    ShortLength,
    /// A 206 with half of the body, although no range was asked for.
    UnaskedPartial,
    /// Half the bytes of the body are replaced.
    CorruptBody,
    /// The body is said to be HTML.
    WrongContentType,
    /// A body of this many bytes, announced and sent.
    HugeBody(u64),
    /// A body without end.
    EndlessBody,
    /// The body is said to be compressed, and is not.
    MislabelledGzip,
    /// Ten gigabytes in ten megabytes.
    GzipBomb,

    /// The stream ends in order before `COMPLETED`.
    EndStream,
    /// The connection closes before `COMPLETED`.
    CutStream,
    /// The connection closes in the middle of the first event.
    CutMidEvent,
    /// The connection closes right after the `COMPLETED` event.
    CutAfterCompleted,
    /// No keep-alive comments, and no events but the first.
    SilentStream,
    /// Keep-alive comments, ten a second, and never an event, whatever becomes of the job.
    KeepAlivesOnly,
    /// `IN_PROGRESS` events, ten a second, whatever becomes of the job.
    InProgressForever,
    /// The same, each event with the same log line.
    SameLogForever,
    /// One event that never ends.
    EndlessLine,
    /// Every event arrives in pieces of a few bytes, which split characters.
    SplitEvents,

    /// The webhook is never delivered.
    Withhold,
    /// The webhook is delivered twice at the same time.
    Duplicate,
    /// The webhook's body is altered after it was signed.
    Tamper,
    /// The webhook is signed with a key that is no longer published.
    RetiredKey,
    /// The webhook's payload could not be included.
    NullPayload,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
}

impl Fault {
    /// Its name in scenario files and in the request log.
    pub fn name(&self) -> &'static str {
        self.into()
    }
}
