//! The arguments of `uso mcp`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use uso::MicroDollars;

use super::values;

#[derive(Debug, Args)]
pub(crate) struct McpArgs {
    /// Most that all agents may spend together through this journal, over all sessions. What is
    /// unfinished counts with its upper bound.
    #[arg(long, value_name = "USD", default_value = "1.00", value_parser = values::dollars)]
    pub(crate) budget: MicroDollars,
    /// Folder whose pictures agents may send, symbolic links resolved [default: the working folder].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) root: Option<PathBuf>,
    /// Folder that pictures are saved in [default: uso-pictures in the root].
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: Option<PathBuf>,
    /// Buys within the limits without a question to the user; by default a client that supports
    /// questions asks its user before each purchase.
    #[arg(short, long)]
    pub(crate) yes: bool,
}
