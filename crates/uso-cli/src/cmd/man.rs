//! `uso man`: manual pages from the definitions of the command line.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::args::{self, ManArgs};
use crate::failure::Failure;
use crate::printer::Printer;

pub(crate) fn run(args: &ManArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let folder = &args.folder;
    write_pages(folder)?;
    let shown = folder.display().to_string();
    printer.data(&json!({ "folder": shown }), std::slice::from_ref(&shown))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a page for each command.
pub(super) fn write_pages(folder: &Path) -> Result<(), Failure> {
    let unwritable = |error: std::io::Error| {
        Failure::io(format!(
            "manual pages cannot be written to {}: {error}",
            folder.display()
        ))
        .with_hint("name a folder that you may write to")
    };
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    clap_mangen::generate_to(args::command(), folder).map_err(unwritable)
}
