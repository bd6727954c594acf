//! The arguments of `uso webhook`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct WebhookArgs {
    #[command(subcommand)]
    pub(crate) command: WebhookCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WebhookCommand {
    /// Checks a delivery that was captured.
    Verify(VerifyArgs),
    /// Receives deliveries, verifies them, and notes purchases whose answer was lost; no key is
    /// needed.
    Listen(ListenArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The public keys: a file, or a URL such as https://rest.fal.ai/.well-known/jwks.json.
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) jwks: String,
    /// The request's headers, one `Name: value` a line; the request line may come first.
    #[arg(long, value_name = "FILE")]
    pub(crate) headers: PathBuf,
    /// The request's body, byte for byte.
    #[arg(long, value_name = "FILE")]
    pub(crate) body: PathBuf,
    /// When it arrived, in seconds since 1970; now, when it is not given.
    #[arg(long, value_name = "UNIX_SECONDS")]
    pub(crate) at: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct ListenArgs {
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7701")]
    pub(crate) listen: SocketAddr,
}
