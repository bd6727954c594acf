//! Verifies the webhook deliveries that fal signs, and hands each to its handler once.
//!
//! This crate is for web back ends that receive deliveries and need nothing else of ours: it knows
//! headers, raw bytes, public keys and the time. It must not know the network, an API key, a file
//! or an async runtime; whoever has those brings the keys ([`KeySource`]; the facade `uso` has one
//! that fetches them) and the clock ([`Clock`]).
//!
//! ```
//! use uso_webhook::{KeySet, Receiver};
//!
//! # async fn example(request: http::Request<Vec<u8>>) -> Result<(), Box<dyn std::error::Error>> {
//! let keys = KeySet::from_jwks(br#"{"keys":[{"x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}]}"#)?;
//! let receiver = Receiver::new(keys);
//! match receiver.receive(request).await {
//!     Ok(delivery) => println!("{}: {:?}", delivery.request_id(), delivery.notification().status()),
//!     Err(rejection) => println!("answered with {}: {rejection}", rejection.status()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What is verified
//!
//! fal signs four lines with Ed25519: the request id, the user id, the time, and the SHA-256 of the
//! raw body (fal docs, webhooks). All four header values are taken exactly as they came, every key
//! of the set is tried, and the time may differ from ours by 300 seconds. A delivery that differs
//! from a signed one in any byte is refused, and refusing it costs no more than accepting it.
//!
//! The signature does not bind the address that was called, and it says that fal sent the delivery,
//! not that it is about a request of yours: anybody may name your address in a request of their
//! own. So either ask for your account ([`Verifier::for_user`]), or look at the attempt id in the
//! path ([`Delivery::last_segment`]), as the facade does when it adopts a purchase.
//!
//! # Handling each once
//!
//! Deliveries repeat. [`once`] gives the first of a request to a handler, tells the others that it
//! was handled, and lets a later one try again when the handler failed; what it needs to remember
//! is behind [`DeliveryStore`]. Answer 2xx within 15 seconds, do long work later, and never
//! redirect: fal takes a 3xx for a permanent failure.
//!
//! # axum
//!
//! With the feature `axum`, [`Delivery`] is an extractor for any state that a [`Receiver`] can be
//! taken from, and [`Rejection`] and [`Once`] are responses.

mod clock;
mod delivery;
#[cfg(feature = "axum")]
mod extract;
mod keys;
mod notification;
mod once;
mod receiver;
mod rejection;
mod verify;

pub use crate::clock::Clock;
pub use crate::delivery::Delivery;
pub use crate::keys::{InvalidKeySet, KeyFuture, KeySet, KeySource, KeysUnavailable};
pub use crate::notification::{NoOutput, Notification, NotificationStatus};
pub use crate::once::{Claim, DeliveryStore, Lease, MemoryStore, Once, OnceError, once};
pub use crate::receiver::Receiver;
pub use crate::rejection::Rejection;
pub use crate::verify::Verifier;
