//! `uso man`: manual pages from the definitions of the command line.

use std::path::Path;
use std::process::ExitCode;

use clap::Command;
use clap_mangen::Man;
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
    write_page(args::command(), folder).map_err(unwritable)
}

/// Writes the pages of a command and of those below it, but none about the help that each has.
fn write_page(command: Command, folder: &Path) -> std::io::Result<()> {
    let below = command
        .get_subcommands()
        .filter(|below| below.get_name() != "help");
    for command in below {
        write_page(command.clone(), folder)?;
    }
    Man::new(command).generate_to(folder).map(drop)
}
