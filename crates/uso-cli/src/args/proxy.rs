//! The arguments of `uso proxy`.

use std::net::SocketAddr;

use clap::Args;
use uso::MicroDollars;

use super::values;

#[derive(Debug, Args)]
#[command(
    after_help = "Pages use it as the proxyUrl of fal's JavaScript client: http://ADDR/api/fal/proxy. They send the token as \
Authorization: Bearer TOKEN, or once with a POST to /api/fal/session, for a cookie. Each purchase is a line on stdout before it is sent and another with its outcome; when stdout takes no line, nothing is bought. \
It speaks HTTP: put a server with TLS in front of it, unless only this machine can reach it.\n\nExamples:\n  uso proxy --allow-origin https://app.example\n  uso proxy --allow-origin http://localhost:5173 --emulator"
)]
pub(crate) struct ProxyArgs {
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7702")]
    pub(crate) listen: SocketAddr,
    /// Origin of pages that may call, such as https://app.example; once for each.
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) allow_origin: Vec<String>,
    /// Token of a caller; once for each caller. Other users of this machine can see a command line, so
    /// rather set the variable, with commas between several tokens.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "USO_PROXY_TOKEN",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) token: Vec<Hidden>,
    /// Requests that each caller may make in a minute.
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) requests_per_minute: u32,
    /// Estimated money that each caller may spend in 24 hours, at $0.10 a megapixel and one megapixel
    /// a picture at the least; a picture whose size only the service knows counts as 2048x2048.
    #[arg(long, value_name = "USD", default_value = "5.00", value_parser = values::dollars)]
    pub(crate) spend_per_day: MicroDollars,
    /// The largest body of a request, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20)]
    pub(crate) max_body: usize,
}

/// A secret argument, which no error and no log shows.
#[derive(Clone)]
pub(crate) struct Hidden(pub(crate) String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden(…)")
    }
}

impl From<String> for Hidden {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}
