//! A list with one of each fault.

use std::time::Duration;

use super::fault::Fault;
use super::odd::{OddListing, OddResult};

impl Fault {
    /// Sample of every fault, for test matrices.
    pub fn samples() -> Vec<Self> {
        let accepted = ACCEPTED.map(Self::AcceptThenStatus);
        let anonymous = [302, 409, 503].map(Self::AcceptThenStatusWithoutId);
        let pages = [404, 410, 422, 499, 502, 504].map(Self::GatewayPage);
        let mut samples = single();
        samples.extend(accepted);
        samples.extend(anonymous);
        samples.extend(pages);
        samples.extend(OddResult::ALL.map(Self::OddResult));
        samples.extend(OddListing::ALL.map(Self::OddListing));
        samples
    }
}

/// Statuses that an accepted submit may be answered with, and that refuse nothing.
const ACCEPTED: [u16; 12] = [302, 303, 402, 409, 410, 412, 425, 451, 499, 500, 503, 504];

fn single() -> Vec<Fault> {
    vec![
        Fault::Drop,
        Fault::AcceptThenDrop,
        Fault::Hang,
        Fault::AcceptThenHang,
        Fault::Delay(Duration::from_secs(1)),
        Fault::SlowHeaders,
        Fault::Throttled { retry_after: None },
        Fault::Throttled {
            retry_after: Some(1),
        },
        Fault::ConcurrencyLimit,
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(504),
        Fault::AcceptThenGatewayPage(502),
        Fault::AcceptThenGatewayPage(504),
        Fault::Locked,
        Fault::Forbidden,
        Fault::Unauthorized,
        Fault::UserTimeout,
        Fault::StringDetail,
        Fault::Answer {
            status: 500,
            body: "out of order".to_owned(),
        },
        Fault::Gone,
        Fault::TokenExpired,
        Fault::Redirect("http://127.0.0.1:9".to_owned()),
        Fault::NeverStarts,
        Fault::Requeue,
        Fault::FilesGone,
        Fault::FailsWith {
            status: 503,
            error_type: "runner_disconnected".to_owned(),
        },
        Fault::ModelAnswers {
            status: 500,
            body: serde_json::json!({ "detail": "GPU error" }),
        },
        Fault::BilledRefusal {
            body: serde_json::json!({ "detail": "No face was found" }),
        },
        Fault::InvisibleFor(2),
        Fault::MistypedPicture,
        Fault::BillableUnits(None),
        Fault::BillableUnits(Some("1,05".to_owned())),
        Fault::TruncatedJson,
        Fault::Undecodable,
        Fault::Body("{}".to_owned()),
        Fault::NullFields,
        Fault::UnknownFields,
        Fault::UnknownStatus,
        Fault::UnknownLogLevel,
        Fault::DeepJson(10_000),
        Fault::ForeignUrls("http://127.0.0.1:9".to_owned()),
        Fault::EmptyError,
        Fault::ForeignRequestId,
        Fault::ForeignFailure,
        Fault::LoneSurrogateLog,
        Fault::EmptyListing,
        Fault::TruncatedBody,
        Fault::CutCloseDelimited,
        Fault::CutChunked,
        Fault::ShortChunked,
        Fault::ShortLength,
        Fault::UnaskedPartial,
        Fault::CorruptBody,
        Fault::WrongContentType,
        Fault::HugeBody(10 << 30),
        Fault::EndlessBody,
        Fault::MislabelledGzip,
        Fault::GzipBomb,
        Fault::EndStream,
        Fault::CutStream,
        Fault::CutMidEvent,
        Fault::CutAfterCompleted,
        Fault::SilentStream,
        Fault::KeepAlivesOnly,
        Fault::InProgressForever,
        Fault::EndlessLine,
        Fault::SplitEvents,
        Fault::Withhold,
        Fault::Duplicate,
        Fault::Tamper,
        Fault::RetiredKey,
        Fault::NullPayload,
    ]
}
