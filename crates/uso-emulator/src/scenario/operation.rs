//! Operations: the kinds of requests that faults and the log tell apart.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

use super::variants::all;

/// Operation of a request.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum Operation {
    /// Into the queue.
    Submit,
    /// Synchronous run.
    Run,
    /// Status of a request.
    Status,
    /// Status stream of a request.
    Stream,
    /// Result of a request.
    Result,
    /// Cancel a request.
    Cancel,
    /// Download from the CDN.
    File,
    /// The beginning of an upload: a presigned address, or an upload in parts.
    Initiate,
    /// A token of the CDN.
    Token,
    /// A whole file on its way up.
    Upload,
    /// A part of a file on its way up.
    Part,
    /// The end of an upload in parts.
    Complete,
    /// A link to a protected file.
    Sign,
    /// The public keys of webhooks.
    Jwks,
    /// An attempt to deliver a webhook, which the emulator itself makes.
    Webhook,
    /// The endpoint's OpenAPI document.
    OpenApi,
    /// Platform API: past requests of an endpoint.
    Listing,
    /// A CORS preflight.
    Preflight,
    /// The emulator's own pages.
    Page,
    /// Anything that is not served.
    Other,
}

impl Operation {
    /// Each of them.
    pub const ALL: [Self; Self::VARIANTS.len()] = all();

    /// Whether it belongs to the Platform API, whose errors have an envelope of their own.
    pub(crate) fn is_platform(self) -> bool {
        self == Self::Listing
    }

    /// The name that the request log, scenario files and comparisons use.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// So that a test can say `request.operation == "submit"`.
impl PartialEq<&str> for Operation {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}
