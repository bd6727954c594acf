//! Tasks of the project as a library, for `cargo xtask` and the tests.
//!
//! The tasks know the schema, the layout of the repository and nothing of the crates' code.

pub mod ci;
pub mod code_map;
pub mod codegen;
pub mod commands;
pub mod drift;
pub mod engines;
pub mod package;
pub mod release;
mod steps;
