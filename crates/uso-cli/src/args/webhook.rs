//! The arguments of `uso webhook`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

const VERIFY: &str = "\
Examples:
  uso webhook verify --jwks jwks.json --headers head.txt --body body.json
  uso webhook verify --jwks jwks.json --headers head.txt --body body.json --at 1764150000";

const LISTEN: &str = "\
Ctrl-C stops it; the exit code is then 0.

Examples:
  uso webhook listen
  uso webhook listen --listen 127.0.0.1:8080 --json";

#[derive(Debug, Args)]
pub(crate) struct WebhookArgs {
    #[command(subcommand)]
    pub(crate) command: WebhookCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WebhookCommand {
    /// Verifies a captured notification.
    #[command(after_help = VERIFY)]
    Verify(VerifyArgs),
    /// Receives notifications, verifies them, and records the request ids of purchases whose
    /// response was lost; no API key is needed.
    #[command(after_help = LISTEN)]
    Listen(ListenArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The public keys: a file, or a URL; fal's are at /.well-known/jwks.json of rest.fal.ai.
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) jwks: String,
    /// The headers of the request, one `Name: value` a line; the request line may come first.
    #[arg(long, value_name = "FILE")]
    pub(crate) headers: PathBuf,
    /// The request's body, byte for byte.
    #[arg(long, value_name = "FILE")]
    pub(crate) body: PathBuf,
    /// The time of its arrival in seconds since 1970. Default: now.
    #[arg(long, value_name = "UNIX_SECONDS")]
    pub(crate) at: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct ListenArgs {
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7701")]
    pub(crate) listen: SocketAddr,
}
