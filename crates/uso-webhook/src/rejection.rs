//! Why a delivery is refused, in a form that a handler can map.

use std::fmt;

use http::StatusCode;

/// Why a delivery is refused.
///
/// `Display` is one lower-case fragment that quotes nothing of the delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// One of the four signed headers is missing or empty.
    MissingHeader {
        /// Its name, in lower case.
        name: &'static str,
    },
    /// One of the four signed headers is there more than once, and only one of them was signed.
    DuplicateHeader {
        /// Its name, in lower case.
        name: &'static str,
    },
    /// One of the four signed headers cannot be what fal sends.
    MalformedHeader {
        /// Its name, in lower case.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// One of the four signed headers is longer than any that fal sends.
    HeaderTooLong {
        /// Its name, in lower case.
        name: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The body is larger than the receiver takes.
    BodyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body did not come whole.
    BodyUnreadable,
    /// It was signed longer ago than the tolerance allows: a replay, a very late delivery, or a
    /// wrong clock.
    TooOld {
        /// Seconds since it was signed.
        seconds: u64,
    },
    /// It was signed further in the future than the tolerance allows: one of the two clocks is
    /// wrong.
    TooNew {
        /// Seconds until then.
        seconds: u64,
    },
    /// No public key fits the signature: it was altered, or somebody else sent it.
    NoKeyFits,
    /// fal sent it, and it is about another account's request.
    OtherUser,
    /// It is signed, and its body is no notification.
    MalformedBody {
        /// What is wrong, without quoting it.
        why: String,
    },
    /// It is signed, and its body names another request than its header.
    RequestIdMismatch,
    /// The public keys could not be had, so nothing is known of the delivery.
    KeysUnavailable {
        /// Why not.
        why: String,
    },
}

impl Rejection {
    /// What a handler answers with: 401 for a signature or a time that does not hold, 403 for
    /// another account's, 400 for what is malformed, 413 for a body that is too large, 503 when the
    /// keys could not be had. fal delivers again after each of them.
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

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingHeader { name } => write!(f, "the header {name} is missing"),
            Self::DuplicateHeader { name } => {
                write!(f, "the header {name} is there more than once")
            }
            Self::MalformedHeader { name, expected } => {
                write!(f, "the header {name} is not {expected}")
            }
            Self::HeaderTooLong { name, limit } => {
                write!(f, "the header {name} is longer than {limit} bytes")
            }
            Self::BodyTooLarge { limit } => write!(f, "the body is larger than {limit} bytes"),
            Self::BodyUnreadable => f.write_str("the body did not come whole"),
            Self::TooOld { seconds } => write!(
                f,
                "it was signed {seconds} s ago, and the limit is {} s",
                crate::verify::TOLERANCE
            ),
            Self::TooNew { seconds } => write!(
                f,
                "it was signed {seconds} s in the future, and the limit is {} s; one of the two clocks is wrong",
                crate::verify::TOLERANCE
            ),
            Self::NoKeyFits => f.write_str("no public key fits the signature"),
            Self::OtherUser => f.write_str("it is about a request of another account"),
            Self::MalformedBody { why } => {
                write!(f, "it is signed, and its body is no notification: {why}")
            }
            Self::RequestIdMismatch => {
                f.write_str("it is signed, and its body names another request than its header")
            }
            Self::KeysUnavailable { why } => {
                write!(f, "the public keys could not be had: {why}")
            }
        }
    }
}

impl std::error::Error for Rejection {}
