//! What the integration tests share: the pictures that ship with the project, and the way to run
//! an emulator, a client and the command. It must not hold a test itself; those are in `it`.

pub mod measure;
pub mod pictures;
pub mod rig;
#[cfg(unix)]
pub mod terminal;

/// The README's examples compile, and run where they can.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
