//! `uso batch new`: a manifest from the files of a folder.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::args::BatchNewArgs;
use crate::batch::{manifest, new_manifest, plan_text};
use crate::failure::Failure;
use crate::printer::Printer;

pub(crate) fn run(args: &BatchNewArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let mut read = manifest::read(&args.folder)?;
    if !read.problems.is_empty() {
        return Err(plan_text::refuse(&read.problems, printer));
    }
    let mut defaults = Vec::new();
    for style in &args.style {
        defaults.push(("style".to_owned(), text(style)?));
    }
    let prompt = args.prompt.iter().cloned();
    defaults.extend(prompt.map(|prompt| ("prompt".to_owned(), prompt)));
    let here = std::env::current_dir()
        .map_err(|error| Failure::io(format!("the current folder cannot be read: {error}")))?;
    for row in &mut read.rows {
        row.complete(&defaults);
        row.resolve(&here);
    }
    let rows = &read.rows;
    let unwritable =
        |error: std::io::Error| Failure::io(format!("the manifest cannot be written: {error}"));
    match &args.output {
        None => {
            let mut bytes = Vec::new();
            new_manifest::write(rows, &here, &mut bytes).map_err(unwritable)?;
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            printer.data(&json!({ "rows": rows.len(), "manifest": text }), &lines)?;
        }
        Some(path) => {
            let file = OpenOptions::new().write(true).create_new(true).open(path);
            let file = file.map_err(|error| unwritable(error).at(&path.display().to_string()))?;
            let folder = manifest::folder_of(path);
            new_manifest::write(rows, &folder, file).map_err(unwritable)?;
            let shown = path.display().to_string();
            printer.data(
                &json!({ "rows": rows.len(), "manifest": shown }),
                std::slice::from_ref(&shown),
            )?;
            printer.say(&format!(
                "{} rows; check and price them with: uso batch run {shown} --dry-run",
                rows.len()
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A reference as text, which a manifest is made of.
pub(super) fn text(reference: &OsStr) -> Result<String, Failure> {
    let text = reference.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        Failure::input(format!(
            "{:?} is not UTF-8, and a manifest is; rename the file",
            Path::new(reference).display().to_string()
        ))
    })
}
