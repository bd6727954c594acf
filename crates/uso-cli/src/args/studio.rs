//! The arguments of `uso studio`.

use std::net::SocketAddr;

use clap::Args;
use uso::MicroDollars;

use super::values;

#[derive(Debug, Args)]
#[command(
    after_help = "The page is at the printed address, whose fragment is the token that lets a browser in; the token stays the same until its file is removed. \
Every job is a row of the journal: reloading the page, another tab and a restart lose nothing. It speaks HTTP: put a server with TLS in front of it, unless only this machine can reach it.\n\nExamples:\n  uso studio --emulator\n  uso studio --budget 5 --open\n  uso studio --allow-host https://studio.example"
)]
pub(crate) struct StudioArgs {
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7703")]
    pub(crate) listen: SocketAddr,
    /// A further name or address under which browsers reach the page, such as studio.lan; once for
    /// each. Needed for every address but this machine's own. With https:// in front, the name of a
    /// TLS server that passes requests on with their Host.
    #[arg(long, value_name = "HOST", value_parser = values::page_host)]
    pub(crate) allow_host: Vec<String>,
    /// The most that the page may spend until the command ends.
    #[arg(long, value_name = "USD", default_value = "1.00", value_parser = values::dollars)]
    pub(crate) budget: MicroDollars,
    /// Opens the page in the browser.
    #[arg(long)]
    pub(crate) open: bool,
}
