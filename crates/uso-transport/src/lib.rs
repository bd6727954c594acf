//! fal's queue protocol over HTTP: submit, status, status stream, result, cancel, synchronous run,
//! upload and download, with errors that say what was sent and what to do next.
//!
//! This crate is the wall around HTTP: it is the only one that uses `reqwest`, and nothing of
//! `reqwest` shows in its public face. It moves JSON and knows tickets, deadlines and retries; it
//! must not know what a picture, a style or a content reference is. Most people want the facade
//! crate `uso`, which speaks in those roles.
//!
//! Where a rule of the service is stated in these docs, its source is fal's published
//! documentation of the queue unless another one is named.

mod answer;
mod attempt;
mod base_urls;
mod config;
mod download;
mod endpoint;
mod error;
mod fingerprint;
mod forward;
mod http;
mod jwks;
mod key;
mod money;
mod order;
mod platform;
mod reply;
mod retry;
mod status;
mod storage;
mod stream;
mod text;
mod ticket;
mod transport;
mod verdict;
mod watch;
mod webhook;
mod wire;

pub use crate::answer::Answer;
pub use crate::base_urls::BaseUrls;
pub use crate::config::Config;
pub use crate::download::{Download, Overwrite};
pub use crate::endpoint::{EndpointId, InvalidEndpointId};
pub use crate::error::{Billed, Delivery, Error, ErrorKind, Operation, Problem, Result};
pub use crate::fingerprint::Fingerprint;
pub use crate::forward::{Forward, Forwarded, ForwardedBody, Service};
pub use crate::key::ApiKey;
pub use crate::money::MicroDollars;
pub use crate::order::{Intent, Order};
pub use crate::retry::{Decision, Outcome, RetryPolicy, decide};
pub use crate::status::{Cancellation, Completion, LogLine, State, Status};
pub use crate::storage::{Access, Lifecycle, Sent, Source, Upload, Uploaded};
pub use crate::ticket::{InvalidRequestId, Ticket};
pub use crate::transport::Transport;
pub use crate::verdict::Verdict;
pub use crate::watch::{Update, Watch};
pub use crate::webhook::Webhook;
