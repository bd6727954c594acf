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

mod base_urls;
mod billed;
mod cdn_token;
mod confidential;
mod config;
mod download;
mod endpoint;
mod error;
mod event_reader;
mod exchange;
mod failure;
mod file_source;
mod fingerprint;
mod http;
mod http_options;
mod intent;
mod key;
mod keys;
mod kind;
mod lenient;
mod lifecycle;
mod money;
mod next_step;
mod order;
mod passthrough;
mod problem;
mod queue;
mod reconcile;
mod recovery;
mod refusal;
mod requests;
mod response;
mod retry;
mod sanitize;
mod status;
mod storage;
mod storage_response;
mod submission;
mod ticket;
mod transport;
mod verdict;
mod watch;
mod webhook;

pub use crate::base_urls::BaseUrls;
pub use crate::billed::Billed;
pub use crate::config::Config;
pub use crate::download::{Download, Expected, Overwrite};
pub use crate::endpoint::{EndpointId, InvalidEndpointId};
pub use crate::error::{Error, Result};
pub use crate::fingerprint::Fingerprint;
pub use crate::http_options::HttpOptions;
pub use crate::intent::Intent;
pub use crate::key::{ApiKey, InvalidKey};
pub use crate::kind::{Delivery, ErrorKind, Operation};
pub use crate::lifecycle::{Access, Lifecycle};
pub use crate::money::{InvalidAmount, MicroDollars};
pub use crate::next_step::NextStep;
pub use crate::order::Order;
pub use crate::passthrough::{Forward, Forwarded, ForwardedBody, Service};
pub use crate::problem::Problem;
pub use crate::recovery::Recovery;
pub use crate::response::Response;
pub use crate::retry::RetryPolicy;
pub use crate::status::{Cancellation, Completion, LogLine, State, Status};
pub use crate::storage::{Sent, Source, Upload, Uploaded};
pub use crate::submission::Submission;
pub use crate::ticket::{InvalidRequestId, Ticket};
pub use crate::transport::Transport;
pub use crate::verdict::Verdict;
pub use crate::watch::{Update, Watch};
pub use crate::webhook::Webhook;
