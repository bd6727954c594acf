//! `uso upload`: files of any size to URLs.

use std::path::Path;
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};
use uso::upload::{Lifecycle, Sent, Source, Upload};

use crate::args::values::Expiry;
use crate::args::{Global, UploadArgs};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::progress::Progress;

pub(crate) async fn run(
    global: &Global,
    args: &UploadArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    if global.emulator {
        return Err(Failure::usage(
            "--emulator ends with this command, and the uploaded file with it",
        )
        .with_hint("run uso emulator in another terminal, and use it with --base-url"));
    }
    if args
        .files
        .iter()
        .filter(|file| file.as_os_str() == "-")
        .count()
        > 1
    {
        return Err(Failure::usage(
            "- is given twice, and standard input can be read once",
        ));
    }
    // First, so that no input is read for nothing when there is no key.
    let connection = Connection::open(global).await?;
    let mut opened = Vec::new();
    for file in &args.files {
        let source = match file.as_os_str() == "-" {
            true => Source::reader(tokio::io::stdin()).await,
            false => Source::file(file).await,
        };
        let source = source.map_err(|error| {
            Failure::input(format!("{error}; nothing was uploaded"))
                .with_hint("check the path and its permissions")
        })?;
        opened.push((file, source));
    }
    let mut documents: Vec<Value> = Vec::new();
    for (file, source) in opened {
        match upload(&connection, args, file, source, printer).await {
            Ok(document) => {
                if !printer.json {
                    let url = document.get("url").and_then(Value::as_str);
                    printer.data(&Value::Null, &[url.unwrap_or_default().to_owned()])?;
                }
                documents.push(document);
            }
            Err(failure) => {
                let failure = match args.files.len() {
                    1 => failure,
                    _ => failure.at(&file.display().to_string()),
                };
                return Err(failure.with_partial(json!({ "uploads": documents })));
            }
        }
    }
    if printer.json {
        printer.data(&json!({ "uploads": documents }), &[])?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn upload(
    connection: &Connection,
    args: &UploadArgs,
    file: &Path,
    source: Source,
    printer: &Printer,
) -> Result<Value, Failure> {
    let progress = Progress::bytes(printer, source.len());
    let telling = progress.counter();
    let mut upload = Upload::new(source).on_progress(move |sent: Sent| telling(sent.sent));
    if let Some(name) = file.file_name().filter(|_| file.as_os_str() != "-") {
        upload = upload.file_name(&name.to_string_lossy());
    }
    upload = match args.expires {
        Some(Expiry::After(time)) => upload.lifecycle(&Lifecycle::new().expires_after(time)),
        Some(Expiry::Never) => upload.lifecycle(&Lifecycle::new().never_expires()),
        None => upload,
    };
    let uploaded = connection.client.upload(&mut upload).await;
    progress.end();
    let uploaded = uploaded?;
    let expires_at = uploaded
        .expires_at
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
        .map(|at| at.as_secs());
    Ok(json!({
        "file": file.to_string_lossy(),
        "url": uploaded.url,
        "bytes": uploaded.bytes,
        "content_type": upload.known_content_type().unwrap_or("application/octet-stream"),
        "expires_at": expires_at,
    }))
}
