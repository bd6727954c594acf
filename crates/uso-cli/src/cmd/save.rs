//! Writing pictures: under the names that were asked for, or under free ones.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;
use uso::{Download, Error, Job, Output, Picture};

use crate::exit::{FLAGGED, Failure};
use crate::output::Printer;
use crate::progress::Progress;

/// Saves every picture and prints what came of it.
pub(crate) async fn save(
    output: &Output,
    job: &Job,
    target: Option<&Path>,
    printer: &Printer,
    progress: &Progress<'_>,
) -> Result<ExitCode, Failure> {
    let several = output.images().len() > 1;
    let mut saved = Vec::new();
    let mut flagged = false;
    for (position, picture) in output.images().iter().enumerate() {
        let number = several.then_some(position + 1);
        let download = place(picture, job, target, number).await?;
        flagged |= picture.is_flagged();
        saved.push(json!({
            "path": download.path,
            "bytes": download.bytes,
            "width": picture.width(),
            "height": picture.height(),
            "content_type": picture.content_type(),
            "flagged": picture.is_flagged(),
            "url": Some(picture.url()).filter(|url| !url.starts_with("data:")),
        }));
    }
    progress.end();
    let paths = saved
        .iter()
        .filter_map(|picture| picture["path"].as_str().map(str::to_owned));
    let paths: Vec<String> = paths.collect();
    let value = json!({
        "request_id": job.ticket().request_id(),
        "seed": output.seed().or(job.ticket().seed()),
        "prompt": output.prompt(),
        "billable_units": output.billable_units(),
        "images": saved,
    });
    printer.data(&value, &paths);
    if let Some(seed) = output.seed().or(job.ticket().seed()) {
        printer.say(&format!("seed {seed}"));
    }
    if flagged {
        printer.warn("the safety checker flagged the result; the picture is usually black then");
        return Ok(ExitCode::from(FLAGGED));
    }
    Ok(ExitCode::SUCCESS)
}

async fn place(
    picture: &Picture,
    job: &Job,
    target: Option<&Path>,
    number: Option<usize>,
) -> Result<Download, Error> {
    match target {
        Some(file) if !names_directory(file) => picture.save_over(numbered(file, number)).await,
        directory => {
            let directory = directory.unwrap_or(Path::new("."));
            if let Err(error) = tokio::fs::create_dir_all(directory).await {
                let message = format!("the directory {} cannot be made", directory.display());
                return Err(
                    Error::new(uso::Operation::Save, uso::ErrorKind::Io, message)
                        .with_source(error)
                        .with_ticket(job.ticket()),
                );
            }
            let extension = match picture.content_type() {
                Some("image/jpeg") => "jpg",
                Some("image/webp") => "webp",
                _ => "png",
            };
            let name = format!("uso-{}.{extension}", job.ticket().request_id());
            picture
                .save(free(&numbered(&directory.join(name), number)))
                .await
        }
    }
}

/// Whether the target is a directory: it is one, or it is written like one.
fn names_directory(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/')
}

/// `out.png` becomes `out-2.png` for the second of several.
fn numbered(file: &Path, number: Option<usize>) -> PathBuf {
    let Some(number) = number else {
        return file.to_owned();
    };
    let mut name = OsString::from(file.file_stem().unwrap_or_default());
    name.push(format!("-{number}"));
    if let Some(extension) = file.extension() {
        name.push(".");
        name.push(extension);
    }
    file.with_file_name(name)
}

/// The path, or the first numbered one beside it that is free.
fn free(path: &Path) -> PathBuf {
    let mut candidates =
        std::iter::once(path.to_owned()).chain((2..).map(|number| numbered(path, Some(number))));
    candidates
        .find(|candidate| !candidate.exists())
        .unwrap_or_else(|| path.to_owned())
}
