//! Why a notification is rejected.

use http::StatusCode;

use crate::clock::TOLERANCE;

/// Why a notification is rejected.
///
/// `Display` is one lower-case fragment that quotes nothing of the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// One of the four signed headers is missing or empty.
    #[error("the header {name} is missing")]
    MissingHeader {
        /// Name of the header, in lower case.
        name: &'static str,
    },
    /// One of the four signed headers is given more than once, and only one value was signed.
    #[error("the header {name} is given more than once")]
    DuplicateHeader {
        /// Name of the header, in lower case.
        name: &'static str,
    },
    /// One of the four signed headers cannot be what fal sends.
    #[error("the header {name} is not {expected}")]
    MalformedHeader {
        /// Name of the header, in lower case.
        name: &'static str,
        /// Expected form of the value.
        expected: &'static str,
    },
    /// One of the four signed headers is longer than any that fal sends.
    #[error("the header {name} is longer than {limit} bytes")]
    HeaderTooLong {
        /// Name of the header, in lower case.
        name: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The body is larger than the limit of the receiver.
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body is incomplete.
    #[error("the body is incomplete")]
    BodyUnreadable,
    /// The signature is older than the tolerance allows: a replay, a very late notification, or a
    /// wrong clock.
    #[error("the notification was signed {seconds} s ago, and the limit is {TOLERANCE} s")]
    TooOld {
        /// Seconds since the time of the signature.
        seconds: u64,
    },
    /// The signature is further in the future than the tolerance allows: one of the two clocks is
    /// wrong.
    #[error(
        "the notification was signed {seconds} s in the future, and the limit is {TOLERANCE} s; one of the two clocks is wrong"
    )]
    TooNew {
        /// Seconds until the time of the signature.
        seconds: u64,
    },
    /// No public key fits the signature: the request was altered, or fal did not send it.
    #[error("no public key fits the signature")]
    NoKeyFits,
    /// fal signed the notification, and its request is of another account.
    #[error("the notification is about a request of another account")]
    OtherUser,
    /// The signature is valid, but the body is no notification.
    #[error("the signature is valid, but the body is no notification: {why}")]
    MalformedBody {
        /// Description of the fault, without a quotation of the body.
        why: String,
    },
    /// The signature is valid, but the body names another request than the header.
    #[error("the signature is valid, but the body names another request than the header")]
    RequestIdMismatch,
    /// The public keys are not available, so the signature could not be checked.
    #[error("the public keys are not available: {why}")]
    KeysUnavailable {
        /// Why not.
        why: String,
    },
}

impl Rejection {
    /// The HTTP status to respond with: 401 for a signature or a time that does not hold, 403 for
    /// another account, 400 for a malformed request, 413 for a body that is too large, 503 when the
    /// keys are not available. fal sends the notification again after each of them.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoKeyFits | Self::TooOld { .. } | Self::TooNew { .. } => StatusCode::UNAUTHORIZED,
            Self::OtherUser => StatusCode::FORBIDDEN,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::KeysUnavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The reason as one word for logs and JSON, such as `no_key_fits`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::MissingHeader { .. } => "missing_header",
            Self::DuplicateHeader { .. } => "duplicate_header",
            Self::MalformedHeader { .. } => "malformed_header",
            Self::HeaderTooLong { .. } => "header_too_long",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyUnreadable => "body_unreadable",
            Self::TooOld { .. } => "too_old",
            Self::TooNew { .. } => "too_new",
            Self::NoKeyFits => "no_key_fits",
            Self::OtherUser => "other_user",
            Self::MalformedBody { .. } => "malformed_body",
            Self::RequestIdMismatch => "request_id_mismatch",
            Self::KeysUnavailable { .. } => "keys_unavailable",
        }
    }
}
