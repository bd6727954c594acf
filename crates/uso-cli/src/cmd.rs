//! The subcommands, one file each.

pub(crate) mod batch;
pub(crate) mod budget;
pub(crate) mod cancel;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod emulator;
pub(crate) mod estimate;
pub(crate) mod generate;
pub(crate) mod journal;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod man;
pub(crate) mod mcp;
pub(crate) mod proxy;
pub(crate) mod prune;
pub(crate) mod rerun;
pub(crate) mod result;
pub(crate) mod resume;
pub(crate) mod skill;
pub(crate) mod status;
pub(crate) mod studio;
pub(crate) mod upload;
pub(crate) mod watch;
pub(crate) mod webhook;
