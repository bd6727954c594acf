//! Verifies the webhook notifications that fal signs, and deduplicates them.
//!
//! This crate is for web back ends that receive notifications and need nothing else of ours: it
//! works on headers, raw bytes, public keys and the time. The crate must not know a network, an API
//! key, a file or an async runtime; the application brings the keys ([`KeySource`]; the facade `uso`
//! has a source that fetches them) and the clock ([`Clock`]).
//!
//! ```
//! use uso_webhook::{KeySet, Receiver};
//!
//! # async fn example(request: http::Request<Vec<u8>>) -> Result<(), Box<dyn std::error::Error>> {
//! let keys = KeySet::from_jwks(br#"{"keys":[{"x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}]}"#)?;
//! let receiver = Receiver::new(keys);
//! match receiver.receive(request).await {
//!     Ok(notification) => println!("{}: {}", notification.request_id(), notification.status()),
//!     Err(rejection) => println!("respond with {}: {rejection}", rejection.status()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What is verified
//!
//! fal signs four lines with Ed25519: the request id, the user id, the time, and the SHA-256 of the
//! raw body (fal docs, webhooks). All four header values count exactly as they came, every key of
//! the set is tried, and the time may differ from ours by 300 seconds. A notification that differs
//! from a signed one in any byte is rejected, and a rejection costs no more than an acceptance.
//!
//! The signature does not cover the path, and it proves that fal sent the notification, not that it
//! is about a request of yours: any account may name your address in a request of its own. So either
//! accept your account alone ([`Verifier::for_user`]), or check the attempt id in the path
//! ([`Notification::attempt_id`], [`Notification::attempt_digest`]), as the facade does when it
//! adopts a purchase.
//!
//! Pictures come first: a signed body whose other fields are missing, new or of an unexpected type
//! is accepted, and the fields are kept as they came.
//!
//! # Deduplication
//!
//! fal repeats notifications. [`once`] gives the first of a request and a path to a handler,
//! reports the others as repeated, and lets a later one try again after a handler that failed; its
//! memory is a [`NotificationStore`]. Respond 2xx within 15 seconds, do long work later, and never
//! redirect: fal takes a 3xx for a permanent failure.
//!
//! # axum
//!
//! With the feature `axum`, [`Notification`] is an extractor for any state that has a [`Receiver`],
//! and [`Rejection`] and [`Once`] are responses.

mod body;
mod clock;
#[cfg(feature = "axum")]
mod extractor;
mod hex;
mod keys;
mod memory_store;
mod notification;
mod once;
mod receiver;
mod rejection;
mod status;
mod store;
mod verifier;

pub use crate::clock::Clock;
pub use crate::keys::{InvalidKeySet, KeyFuture, KeySet, KeySource, KeysUnavailable};
pub use crate::memory_store::MemoryStore;
pub use crate::notification::Notification;
pub use crate::once::{Once, OnceError, once};
pub use crate::receiver::Receiver;
pub use crate::rejection::Rejection;
pub use crate::status::{NoOutput, NotificationStatus};
pub use crate::store::{Claim, Lease, NotificationStore};
pub use crate::verifier::Verifier;

// The examples of the README are compiled with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
