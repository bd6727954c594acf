//! The integration tests: the crates as their users see them.

mod answers;
mod architecture;
mod cli;
mod codegen;
mod corpus;
mod emulator;
mod facade;
mod official;
mod pictures;
mod tls;
mod watching;
