//! `uso upload`: a file of any size to a URL.

use std::process::ExitCode;
use std::time::UNIX_EPOCH;

use serde_json::json;
use uso::upload::{Lifecycle, Sent, Source, Upload};

use crate::args::{Expiry, Global, UploadArgs};
use crate::cmd::connect::Connection;
use crate::exit::Failure;
use crate::output::Printer;
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
    // First, so that nobody's input is read for nothing when there is no key.
    let connection = Connection::open(global).await?;
    let is_standard_input = args.file.as_os_str() == "-";
    let source = match is_standard_input {
        true => Source::reader(tokio::io::stdin()).await?,
        false => Source::file(&args.file).await?,
    };
    let progress = Progress::bytes(printer, source.len());
    let telling = progress.counter();
    let mut upload = Upload::new(source).on_progress(move |sent: Sent| telling(sent.sent));
    if let Some(name) = args.file.file_name().filter(|_| !is_standard_input) {
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
    let document = json!({
        "url": uploaded.url,
        "bytes": uploaded.bytes,
        "content_type": upload.known_content_type().unwrap_or("application/octet-stream"),
        "expires_at": expires_at,
    });
    printer.data(&document, &[uploaded.url]);
    Ok(ExitCode::SUCCESS)
}
