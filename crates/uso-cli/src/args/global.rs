//! Options that every command takes.

use std::path::PathBuf;
use std::sync::OnceLock;

use clap::{Args, ValueHint};
use uso_journal::Journal;

/// Options that every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Starts an emulator of the service in this process and uses it: free, offline, without a key.
    #[arg(
        long,
        global = true,
        conflicts_with = "base_url",
        help_heading = "Connection",
        display_order = 200
    )]
    pub(crate) emulator: bool,
    /// An emulator or a gateway that serves all of fal's hosts under this one origin [env:
    /// USO_BASE_URL].
    #[arg(long, global = true, value_name = "URL", help_heading = "Connection", display_order = 201, value_hint = ValueHint::Url)]
    pub(crate) base_url: Option<String>,
    /// The file that records the purchases, or a database that several machines share:
    /// postgres://USER@HOST/DATABASE [default: journal.db in the state folder].
    #[arg(long, global = true, value_name = "FILE|URL", env = "USO_JOURNAL", hide_env_values = true,
        help_heading = "Connection", display_order = 202, value_hint = ValueHint::FilePath)]
    pub(crate) journal: Option<PathBuf>,
    /// Prints JSON to standard output, errors included.
    #[arg(long, global = true, help_heading = "Output", display_order = 203)]
    pub(crate) json: bool,
    /// Prints no progress.
    #[arg(
        short,
        long,
        global = true,
        help_heading = "Output",
        display_order = 204
    )]
    pub(crate) quiet: bool,
    /// Prints each request with its response, and why it is repeated; -vv also the connections.
    /// Never a key, a prompt or a picture.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet", help_heading = "Output", display_order = 205)]
    pub(crate) verbose: u8,
    /// The journal on a server that the command has open, to be closed at its end.
    #[arg(skip)]
    pub(crate) open_journal: OnceLock<Journal>,
}
