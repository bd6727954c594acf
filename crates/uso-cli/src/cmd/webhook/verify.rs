//! `uso webhook verify`: checks a notification that was captured.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use uso::Config;
use uso::webhook::{Clock, FalKeys, KeySet, Rejection, Verifier};

use super::captured;
use super::describe::{describe, to_json};
use crate::args::{Global, VerifyArgs};
use crate::bounded_file;
use crate::connection::base_urls;
use crate::document::merged;
use crate::failure::Failure;
use crate::printer::Printer;

/// Most bytes of a file that was captured: a notification holds whole pictures in sync mode.
const LARGEST: u64 = 256 << 20;

pub(super) async fn run(
    global: &Global,
    args: &VerifyArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let headers = captured::headers(&read(&args.headers)?).map_err(|line| {
        let path = args.headers.display();
        Failure::usage(format!("line {line} of {path} is no header"))
            .with_hint("write one `Name: value` a line, and the body into a file of its own")
    })?;
    let body = read(&args.body)?;
    let keys = keys(global, &args.jwks).await?;
    let mut verifier = Verifier::new().max_body(usize::MAX);
    if let Some(at) = args.at {
        let at = UNIX_EPOCH.checked_add(Duration::from_secs(at));
        let at = at.ok_or_else(|| Failure::usage("--at is no time that can be told"))?;
        verifier = verifier.clock(Clock::of(move || at));
    }
    let notification = verifier.verify(&keys, &headers, body).map_err(refused)?;
    let document = merged(to_json(&notification), json!({ "verified": true }));
    let line = format!("verified: {}", describe(&notification));
    printer.data(&document, &[line])?;
    Ok(ExitCode::SUCCESS)
}

fn refused(rejection: Rejection) -> Failure {
    let failure = Failure::refused(rejection.as_str(), format!("not verified: {rejection}"));
    match rejection {
        Rejection::TooOld { .. } | Rejection::TooNew { .. } => failure.with_hint(
            "a captured notification is checked at the time of its arrival: give it with --at UNIX_SECONDS",
        ),
        Rejection::NoKeyFits => failure.with_hint(
            "the body must be the bytes as they came, without a line break added, and the keys those of that time",
        ),
        _ => failure,
    }
}

async fn keys(global: &Global, place: &str) -> Result<KeySet, Failure> {
    if place.starts_with("https://") || place.starts_with("http://") {
        let keys = FalKeys::at(&Config::keyless(base_urls(global)?), place)?;
        return Ok(keys.fetch().await?);
    }
    let document = read(Path::new(place))?;
    KeySet::from_jwks(&document).map_err(|error| {
        Failure::usage(format!("{place} cannot be used: {error}"))
            .with_hint("save https://rest.fal.ai/.well-known/jwks.json, or give its URL to --jwks")
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    bounded_file::read(path, LARGEST)
        .map_err(|error| Failure::input(format!("{} cannot be read: {error}", path.display())))
}
