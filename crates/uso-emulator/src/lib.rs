//! Local stand-in for fal: queue, CDN, webhooks and the endpoint `fal-ai/uso` in one process,
//! without account, network or bill.
//!
//! ```
//! # async fn example() -> std::io::Result<()> {
//! use std::time::Duration;
//! use uso_emulator::{Emulator, Fault, Operation, Scenario};
//!
//! // The first submit is accepted and charged, and its response is lost.
//! let scenario = Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop);
//! let emulator = Emulator::builder()
//!     .inference_time(Duration::from_secs(60))
//!     .scenario(scenario)
//!     .start()
//!     .await?;
//!
//! // Point the client under test at it, with any key of the form `id:secret`.
//! # async fn submit_to(_origin: String) {}
//! let submitted = submit_to(emulator.origin());
//! let (request_id, ()) = tokio::join!(emulator.when_running(), submitted);
//!
//! emulator.advance(Duration::from_secs(60)); // the job ends now, without a wait
//!
//! assert_eq!(emulator.ledger().purchases().len(), 1, "bought once: {request_id}");
//! emulator.set_scenario(Scenario::new()); // from here on all goes well
//! # Ok(())
//! # }
//! ```
//!
//! # In a test
//!
//! - **Assert on money** with [`Emulator::ledger`]: every accepted submit is a [`Purchase`] from
//!   that moment. A purchase is billed when a picture was made, and free when the job ended in any
//!   other way.
//! - **Assert on traffic** with [`Emulator::requests`]: operation, status, connection and fault of
//!   each request; never a key, never a body.
//! - **Make calls fail** with a [`Scenario`] of [`Fault`]s. [`Fault::samples`] has one of each for
//!   test matrices; [`Scenario::from_json`] reads a file like [`Scenario::example`].
//! - **Move time** with [`Emulator::advance`]. Inference, start deadlines, keep-alives, retention,
//!   webhook pauses and indexing delay follow the emulator's clock. The clock also follows tokio's:
//!   under `#[tokio::test(start_paused = true)]` waits of the emulator and of the client take no
//!   real time, although the sockets are real.
//! - **Pictures** are tiny and flat unless [`PictureMode::Restyled`] is set, which decodes the
//!   references and draws for seconds in a debug build.
//! - **Serve another endpoint** with [`EmulatorBuilder::endpoint`]: inputs are checked against its
//!   document, and outputs are made up in its shape.
//!
//! # Addresses
//!
//! Under its own address the emulator serves fal's hosts by prefix: `/run`, `/queue`, `/rest`,
//! `/cdn` and `/platform`. Under fal's host names (by `Host` header, with
//! [`EmulatorBuilder::tls`]) it serves them unprefixed, so that fal's own clients run unmodified.
//! For people `/emulator` is a page with live tables: jobs with their pictures, requests, ledger and
//! webhooks. For tests in other languages `/emulator/requests`, `/emulator/ledger` and
//! `/emulator/webhooks` are JSON.
//!
//! Only loopback and fal's host names are answered, and only pages of this machine;
//! [`EmulatorBuilder::allow_any_origin`] lifts both limits.
//!
//! # Limits
//!
//! Everything is in memory. All purchases are kept; of the rest, the newest 20 000 requests, 20 000
//! jobs, 1 GiB of files and 256 MiB of inputs and results. Bodies above 64 MiB and files or parts
//! of files above 256 MiB are refused.
//!
//! The emulator reads fal's protocol and the endpoint's schema by itself and imports none of the
//! workspace's crates, so that it cannot share the mistakes of the clients that it tests.
//! [`parity`] lists where each behaviour comes from.

mod auth;
mod clock;
mod emulator;
mod endpoints;
mod fetch;
mod files;
mod ledger;
mod lock;
mod made_up;
mod model;
mod pages;
pub mod parity;
mod picture;
mod platform;
mod queue;
mod random;
mod requests;
mod scenario;
mod schema;
mod server;
mod settings;
mod state;
mod storage;
mod text;
mod webhook;

pub use emulator::{Emulator, EmulatorBuilder};
pub use ledger::{Billing, Ledger, Purchase};
pub use picture::PictureMode;
pub use requests::LoggedRequest;
pub use scenario::{Fault, OddListing, OddResult, Operation, Scenario, ScenarioError};
pub use webhook::attempts::{AttemptOutcome, WebhookAttempt};
pub use webhook::policy::WebhookPolicy;

// The examples of the README are compiled with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
