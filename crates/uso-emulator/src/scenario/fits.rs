//! Operations that each fault applies to.

use super::fault::Fault;
use super::operation::Operation;

impl Fault {
    /// Whether the fault applies to this operation.
    pub fn fits(&self, operation: Operation) -> bool {
        use Operation as On;
        match self {
            _ if matches!(operation, On::Page | On::Preflight | On::Other) => false,
            Self::Withhold
            | Self::Duplicate
            | Self::Tamper
            | Self::RetiredKey
            | Self::NullPayload => operation == On::Webhook,
            _ if operation == On::Webhook => matches!(self, Self::Delay(_) | Self::OddResult(_)),
            Self::NeverStarts
            | Self::Requeue
            | Self::FilesGone
            | Self::FailsWith { .. }
            | Self::ModelAnswers { .. }
            | Self::BilledRefusal { .. }
            | Self::MistypedPicture => matches!(operation, On::Submit | On::Run),
            Self::InvisibleFor(_) => operation == On::Submit,
            Self::BillableUnits(_) | Self::OddResult(_) => {
                matches!(operation, On::Run | On::Result)
            }
            Self::TokenExpired => matches!(operation, On::Upload | On::Part | On::Complete),
            Self::UnknownStatus => matches!(operation, On::Submit | On::Status | On::Stream),
            Self::UnknownLogLevel
            | Self::LoneSurrogateLog
            | Self::EmptyError
            | Self::ForeignRequestId
            | Self::ForeignFailure => matches!(operation, On::Status | On::Stream),
            Self::ForeignUrls(_) => matches!(
                operation,
                On::Submit | On::Run | On::Status | On::Stream | On::Result
            ),
            Self::TruncatedJson
            | Self::Undecodable
            | Self::NullFields
            | Self::UnknownFields
            | Self::DeepJson(_) => operation != On::File,
            Self::EmptyListing | Self::OddListing(_) => operation == On::Listing,
            Self::TruncatedBody
            | Self::CorruptBody
            | Self::HugeBody(_)
            | Self::EndlessBody
            | Self::MislabelledGzip
            | Self::GzipBomb => operation != On::Stream,
            Self::CutCloseDelimited
            | Self::CutChunked
            | Self::ShortChunked
            | Self::ShortLength
            | Self::UnaskedPartial => matches!(
                operation,
                On::Submit | On::Run | On::Status | On::Result | On::File | On::Listing
            ),
            Self::EndStream
            | Self::CutStream
            | Self::CutMidEvent
            | Self::CutAfterCompleted
            | Self::SilentStream
            | Self::KeepAlivesOnly
            | Self::InProgressForever
            | Self::SameLogForever
            | Self::EndlessLine
            | Self::SplitEvents => operation == On::Stream,
            _ => true,
        }
    }
}
