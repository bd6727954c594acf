//! The arguments of the commands that neither buy nor collect.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use clap_complete::Shell;

use super::help;
use super::values::{self, Expiry};

#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// Files, or - for standard input.
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    /// Deletes the uploaded files after this time: 90s, 1h, 1d, 7d, 30d, 1y and the like, or never
    /// [default: the account's setting].
    #[arg(long, value_name = "TIME", value_parser = values::expiry)]
    pub(crate) expires: Option<Expiry>,
}

#[derive(Debug, Args)]
pub(crate) struct EmulatorArgs {
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7700")]
    pub(crate) listen: SocketAddr,
    /// A JSON file of faults to play; --scenario-example prints one.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) scenario: Option<PathBuf>,
    /// The OpenAPI document of another endpoint to serve too, with made-up outputs; repeatable.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) endpoint: Vec<PathBuf>,
    /// Prints an example of a scenario file, with every field, and exits.
    #[arg(long, conflicts_with_all = ["scenario", "tls_cert", "tls_key"])]
    pub(crate) scenario_example: bool,
    /// How many times faster than real time the emulated jobs run.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    pub(crate) speed: f64,
    /// Answers pages of every origin and every Host name, not only those of this machine.
    #[arg(long)]
    pub(crate) allow_any_origin: bool,
    /// Serves HTTPS with this certificate chain (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key", value_hint = ValueHint::FilePath)]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert", value_hint = ValueHint::FilePath)]
    pub(crate) tls_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL", required_unless_present = "install")]
    pub(crate) shell: Option<Shell>,
    /// Installs the completions of bash, fish and zsh and the manual pages, where the shells and man
    /// look for those of one user.
    #[arg(long, conflicts_with = "shell")]
    pub(crate) install: bool,
    /// The folder to install below, such as /usr/local [default: ~/.local].
    #[arg(long, value_name = "DIR", requires = "install", value_hint = ValueHint::DirPath)]
    pub(crate) prefix: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder to write the pages into, such as ~/.local/share/man/man1.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct JournalArgs {
    #[command(subcommand)]
    pub(crate) command: JournalCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// Makes the tables, or brings them to the newest version; run it with a role that may do so.
    #[command(after_help = help::JOURNAL)]
    Migrate,
}
