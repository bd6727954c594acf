//! The integration tests: the crates as their users see them.

// The helpers of tests are not tests to the linter, and may end one as they do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod answers;
mod architecture;
mod batch;
mod browser;
mod cli;
mod codegen;
mod corpus;
mod emulator;
mod endpoints;
mod examples;
mod facade;
#[cfg(unix)]
mod fleet;
mod guides;
mod hostile;
mod journal;
mod mcp;
mod money;
mod official;
mod pictures;
mod proofs;
mod properties;
mod proxy;
mod references;
mod secrets;
mod studio;
#[cfg(unix)]
mod survival;
mod tls;
mod transport;
mod uploads;
mod verdict;
mod watching;
mod webhook;
