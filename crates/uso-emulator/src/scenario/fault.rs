//! The faults, and which operation each can befall.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Operation;

/// One thing that can go wrong.
///
/// Faults whose name begins with *accept* let the request do its work first: a submission is
/// accepted, entered in the ledger and runs, and only the answer is lost or replaced. All others
/// that refuse do so before any work.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fault {
    /// The connection closes before the request is worked on.
    Drop,
    /// The request is worked on; the connection closes before an answer.
    AcceptThenDrop,
    /// Nothing happens, for ever.
    Hang,
    /// The request is worked on and never answered.
    AcceptThenHang,
    /// The request is worked on and answered this much later on the emulator's clock; a webhook is
    /// delivered this much later. In files: a number of seconds.
    #[serde(deserialize_with = "seconds")]
    Delay(Duration),
    /// The answer arrives one byte at a time, ten a second, beginning with its headers.
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
    /// The same after the work.
    AcceptThenStatus(u16),
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
    /// Any answer at all, before any work.
    Answer {
        /// HTTP status.
        status: u16,
        /// Its body, said to be JSON.
        body: String,
    },
    /// 410.
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
    /// The job completes with an answer of the model's own.
    ModelAnswers {
        /// HTTP status of the result.
        status: u16,
        /// Its JSON body.
        body: Value,
    },

    /// The job completes with a refusal of the model's own (422), which says that a unit was billed
    /// all the same, as fal warns that it may be when a GPU had been at work.
    BilledRefusal {
        /// The JSON body of the result.
        body: Value,
    },

    /// The JSON text ends in the middle.
    TruncatedJson,
    /// The body is not JSON.
    Undecodable,
    /// The body is this text; on a stream, every event's data.
    Body(String),
    /// Every field but the essential ones is `null`.
    NullFields,
    /// Fields that nobody has heard of, in every object.
    UnknownFields,
    /// The status word is `PAUSED`.
    UnknownStatus,
    /// A log line with a level and a source that nobody has heard of.
    UnknownLogLevel,
    /// Ten thousand levels of arrays, or as many as this says.
    DeepJson(u32),
    /// Every URL in the body leads to this origin.
    ForeignUrls(String),
    /// The listing is empty.
    EmptyListing,

    /// The connection closes in the middle of the body, whose length was announced.
    TruncatedBody,
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
    /// One of each, with ordinary numbers where it takes some: for tables of tests.
    pub fn samples() -> Vec<Self> {
        vec![
            Self::Drop,
            Self::AcceptThenDrop,
            Self::Hang,
            Self::AcceptThenHang,
            Self::Delay(Duration::from_secs(1)),
            Self::SlowHeaders,
            Self::Throttled { retry_after: None },
            Self::Throttled {
                retry_after: Some(1),
            },
            Self::ConcurrencyLimit,
            Self::Status(500),
            Self::Status(503),
            Self::Status(504),
            Self::AcceptThenStatus(500),
            Self::AcceptThenStatus(503),
            Self::AcceptThenStatus(504),
            Self::GatewayPage(502),
            Self::GatewayPage(504),
            Self::AcceptThenGatewayPage(502),
            Self::AcceptThenGatewayPage(504),
            Self::Locked,
            Self::Forbidden,
            Self::Unauthorized,
            Self::UserTimeout,
            Self::StringDetail,
            Self::Answer {
                status: 500,
                body: "out of order".to_owned(),
            },
            Self::Gone,
            Self::TokenExpired,
            Self::Redirect("http://127.0.0.1:9".to_owned()),
            Self::NeverStarts,
            Self::Requeue,
            Self::FilesGone,
            Self::FailsWith {
                status: 503,
                error_type: "runner_disconnected".to_owned(),
            },
            Self::ModelAnswers {
                status: 500,
                body: serde_json::json!({ "detail": "GPU error" }),
            },
            Self::BilledRefusal {
                body: serde_json::json!({ "detail": "No face was found" }),
            },
            Self::TruncatedJson,
            Self::Undecodable,
            Self::Body("{}".to_owned()),
            Self::NullFields,
            Self::UnknownFields,
            Self::UnknownStatus,
            Self::UnknownLogLevel,
            Self::DeepJson(10_000),
            Self::ForeignUrls("http://127.0.0.1:9".to_owned()),
            Self::EmptyListing,
            Self::TruncatedBody,
            Self::CorruptBody,
            Self::WrongContentType,
            Self::HugeBody(10 << 30),
            Self::EndlessBody,
            Self::MislabelledGzip,
            Self::GzipBomb,
            Self::EndStream,
            Self::CutStream,
            Self::CutMidEvent,
            Self::CutAfterCompleted,
            Self::SilentStream,
            Self::EndlessLine,
            Self::SplitEvents,
            Self::Withhold,
            Self::Duplicate,
            Self::Tamper,
            Self::RetiredKey,
            Self::NullPayload,
        ]
    }

    /// Whether it can befall this operation.
    pub fn fits(&self, operation: Operation) -> bool {
        use Operation as On;
        match self {
            _ if matches!(operation, On::Page | On::Preflight | On::Other) => false,
            Self::Withhold
            | Self::Duplicate
            | Self::Tamper
            | Self::RetiredKey
            | Self::NullPayload => operation == On::Webhook,
            _ if operation == On::Webhook => matches!(self, Self::Delay(_)),
            Self::NeverStarts
            | Self::Requeue
            | Self::FilesGone
            | Self::FailsWith { .. }
            | Self::ModelAnswers { .. }
            | Self::BilledRefusal { .. } => matches!(operation, On::Submit | On::Run),
            Self::TokenExpired => matches!(operation, On::Upload | On::Part | On::Complete),
            Self::UnknownStatus => matches!(operation, On::Submit | On::Status | On::Stream),
            Self::UnknownLogLevel => matches!(operation, On::Status | On::Stream),
            Self::ForeignUrls(_) => matches!(
                operation,
                On::Submit | On::Run | On::Status | On::Stream | On::Result
            ),
            Self::TruncatedJson
            | Self::Undecodable
            | Self::NullFields
            | Self::UnknownFields
            | Self::DeepJson(_) => operation != On::File,
            Self::EmptyListing => operation == On::Listing,
            Self::TruncatedBody
            | Self::CorruptBody
            | Self::HugeBody(_)
            | Self::EndlessBody
            | Self::MislabelledGzip
            | Self::GzipBomb => operation != On::Stream,
            Self::EndStream
            | Self::CutStream
            | Self::CutMidEvent
            | Self::CutAfterCompleted
            | Self::SilentStream
            | Self::EndlessLine
            | Self::SplitEvents => operation == On::Stream,
            _ => true,
        }
    }

    /// Its name in scenario files and in the request log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::AcceptThenDrop => "accept-then-drop",
            Self::Hang => "hang",
            Self::AcceptThenHang => "accept-then-hang",
            Self::Delay(_) => "delay",
            Self::SlowHeaders => "slow-headers",
            Self::Throttled { .. } => "throttled",
            Self::ConcurrencyLimit => "concurrency-limit",
            Self::Status(_) => "status",
            Self::AcceptThenStatus(_) => "accept-then-status",
            Self::GatewayPage(_) => "gateway-page",
            Self::AcceptThenGatewayPage(_) => "accept-then-gateway-page",
            Self::Locked => "locked",
            Self::Forbidden => "forbidden",
            Self::Unauthorized => "unauthorized",
            Self::UserTimeout => "user-timeout",
            Self::StringDetail => "string-detail",
            Self::Answer { .. } => "answer",
            Self::Gone => "gone",
            Self::TokenExpired => "token-expired",
            Self::Redirect(_) => "redirect",
            Self::NeverStarts => "never-starts",
            Self::Requeue => "requeue",
            Self::FilesGone => "files-gone",
            Self::FailsWith { .. } => "fails-with",
            Self::ModelAnswers { .. } => "model-answers",
            Self::BilledRefusal { .. } => "billed-refusal",
            Self::TruncatedJson => "truncated-json",
            Self::Undecodable => "undecodable",
            Self::Body(_) => "body",
            Self::NullFields => "null-fields",
            Self::UnknownFields => "unknown-fields",
            Self::UnknownStatus => "unknown-status",
            Self::UnknownLogLevel => "unknown-log-level",
            Self::DeepJson(_) => "deep-json",
            Self::ForeignUrls(_) => "foreign-urls",
            Self::EmptyListing => "empty-listing",
            Self::TruncatedBody => "truncated-body",
            Self::CorruptBody => "corrupt-body",
            Self::WrongContentType => "wrong-content-type",
            Self::HugeBody(_) => "huge-body",
            Self::EndlessBody => "endless-body",
            Self::MislabelledGzip => "mislabelled-gzip",
            Self::GzipBomb => "gzip-bomb",
            Self::EndStream => "end-stream",
            Self::CutStream => "cut-stream",
            Self::CutMidEvent => "cut-mid-event",
            Self::CutAfterCompleted => "cut-after-completed",
            Self::SilentStream => "silent-stream",
            Self::EndlessLine => "endless-line",
            Self::SplitEvents => "split-events",
            Self::Withhold => "withhold",
            Self::Duplicate => "duplicate",
            Self::Tamper => "tamper",
            Self::RetiredKey => "retired-key",
            Self::NullPayload => "null-payload",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
