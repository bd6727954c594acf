//! A fal on your own machine: the queue, the CDN and the endpoint `fal-ai/uso`, emulated in one
//! process without account or network.
//!
//! It knows fal's published protocol and the endpoint's published schema, and nothing of the
//! clients that talk to it: it imports none of the workspace's crates, so that it cannot share
//! their mistakes.

mod auth;
mod clock;
mod emulator;
mod fetch;
mod files;
mod ledger;
mod lock;
mod model;
mod pages;
mod picture;
mod platform;
mod queue;
mod random;
mod requests;
mod scenario;
mod schema;
mod server;
mod state;

pub use emulator::{Emulator, EmulatorBuilder};
pub use ledger::{Billing, Ledger, Purchase};
pub use picture::PictureMode;
pub use requests::LoggedRequest;
pub use scenario::{Fault, Operation, Scenario, ScenarioError};
