//! The subcommands, a file each, and what they share.

pub(crate) mod cancel;
pub(crate) mod completions;
pub(crate) mod connect;
pub(crate) mod emulator;
pub(crate) mod estimate;
pub(crate) mod generate;
pub(crate) mod proxy;
pub(crate) mod purchase;
pub(crate) mod result;
pub(crate) mod resume;
pub(crate) mod save;
pub(crate) mod status;
pub(crate) mod upload;
pub(crate) mod watch;
pub(crate) mod webhook;
