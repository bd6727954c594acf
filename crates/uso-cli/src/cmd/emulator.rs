//! `uso emulator`: an emulator of the service on this machine, until Ctrl-C.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use uso_emulator::{Emulator, PictureMode, Scenario};

use crate::args::EmulatorArgs;
use crate::bounded_file;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::signals::Signals;

/// A scenario file with every field.
const SCENARIO_EXAMPLE: &str = include_str!("emulator/scenario_example.json");

/// Long enough for a person to see a job queue, run and end.
const INFERENCE_TIME: Duration = Duration::from_millis(1500);

/// Longest file that is read, in bytes. Documents of endpoints are some hundred KiB long.
const LONGEST: u64 = 16 << 20;

pub(crate) async fn run(args: &EmulatorArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    if args.scenario_example {
        let example: serde_json::Value = serde_json::from_str(SCENARIO_EXAMPLE)
            .map_err(|error| Failure::other(error.to_string()))?;
        printer.data(&example, &[SCENARIO_EXAMPLE.trim_end().to_owned()])?;
        return Ok(ExitCode::SUCCESS);
    }
    if !(args.speed.is_finite() && args.speed > 0.0) {
        return Err(Failure::usage(format!(
            "--speed is {}, and must be a number above 0",
            args.speed
        )));
    }
    let mut builder = Emulator::builder()
        .listen(args.listen)
        .speed(args.speed)
        .inference_time(INFERENCE_TIME)
        .picture(PictureMode::Restyled)
        .allow_any_origin(args.allow_any_origin);
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        builder = builder.tls(read("--tls-cert", certificate)?, read("--tls-key", key)?);
    }
    if let Some(path) = &args.scenario {
        let text = String::from_utf8_lossy(&read("--scenario", path)?).into_owned();
        let scenario = Scenario::from_json(&text);
        builder = builder.scenario(scenario.map_err(|error| {
            Failure::usage(format!("--scenario: {}: {error}", path.display()))
                .with_hint("see uso emulator --scenario-example for the format")
        })?);
    }
    for path in &args.endpoint {
        let text = String::from_utf8_lossy(&read("--endpoint", path)?).into_owned();
        builder = builder.endpoint(&text).map_err(|error| {
            Failure::usage(format!("--endpoint: {}: {error}", path.display()))
                .with_hint("give the OpenAPI document that fal publishes for the endpoint")
        })?;
    }
    let mut signals = Signals::listen().map_err(Failure::no_signals)?;
    let started = builder.start().await;
    let emulator = started.map_err(|error| Failure::cannot_listen(args.listen, &error))?;
    let origin = emulator.origin();
    printer.data(
        &json!({ "origin": origin }),
        &[format!("export USO_BASE_URL={origin} FAL_KEY=any:key")],
    )?;
    printer.say(&format!(
        "the emulator listens on {origin}; requests and purchases are at {origin}/emulator"
    ));
    printer.say("Ctrl-C stops it");
    signals.next().await;
    emulator.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// The content of the file that an option names.
fn read(option: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let read = bounded_file::read(path, LONGEST);
    read.map_err(|error| {
        let shown = path.display();
        Failure::input(format!("{option}: {shown} cannot be read: {error}"))
    })
}
