//! The project's own tasks as a library, so that tests can call them.
//!
//! It knows the schema, the repository's layout and nothing of the crates: what they do with the
//! generated types is their business.

pub mod ci;
pub mod codegen;
pub mod commands;
pub mod drift;
