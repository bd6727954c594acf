//! Shared parts of the integration tests: the project's pictures, the properties of parsers, and
//! the start of an emulator, a client and the command. The library must not hold a test; the tests
//! are in `it`.

pub mod measure;
pub mod pictures;
#[cfg(unix)]
pub mod postgres;
pub mod properties;
pub mod rig;
#[cfg(unix)]
pub mod terminal;

/// The README's examples compile, and run where they can.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
