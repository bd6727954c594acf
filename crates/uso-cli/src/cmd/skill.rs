//! `uso skill`: a page for agents that have a shell.

use std::process::ExitCode;

use serde_json::json;

use crate::failure::Failure;
use crate::printer::Printer;

/// The page, in the form of an agent skill.
const PAGE: &str = include_str!("../skill.md");

pub(crate) fn run(printer: &Printer) -> Result<ExitCode, Failure> {
    printer.data(&json!({ "skill": PAGE }), &[PAGE.trim_end().to_owned()])?;
    Ok(ExitCode::SUCCESS)
}
