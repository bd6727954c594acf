//! `uso generate` and `uso restyle`: the main job.

use std::process::ExitCode;

use serde_json::{Value, json};
use uso::{Estimate, Request, UsoInput};

use crate::args::{Global, Knobs};
use crate::cmd::connect::Connection;
use crate::cmd::estimate::to_json as estimate_to_json;
use crate::cmd::purchase::Purchase;
use crate::cmd::save::{Place, save};
use crate::exit::Failure;
use crate::output::Printer;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::state::{Record, State, is_over};
use crate::target::Target;

pub(crate) async fn run(
    global: &Global,
    request: Request,
    knobs: &Knobs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    if knobs.detach && global.emulator {
        return Err(Failure::usage(
            "--detach cannot be used with --emulator: the emulator ends with this command, and the job with it",
        )
        .with_hint("run uso emulator in another terminal, and use it with --base-url"));
    }
    let estimate = request.estimate().await?;
    if knobs.dry_run {
        let input = request.into_input().await?;
        let shown = without_pictures(&input)?;
        let text = format!("{shown:#}");
        let value =
            json!({ "dry_run": true, "input": shown, "estimate": estimate_to_json(&estimate) });
        printer.say("nothing is sent; this would be:");
        printer.data(&value, &[text]);
        return Ok(ExitCode::SUCCESS);
    }
    check_budget(&estimate, knobs)?;
    let target = Target::of(knobs.output.as_deref())?;
    let connection = Connection::open(global).await?;
    let order = connection.client.prepare(request).await?;
    let extension = knobs.extension()?;
    let entry = match connection.is_emulated() {
        true => None,
        false => Some(State::locate()?.note(Record {
            origin: connection.origin(),
            target: target.absolute()?,
            extension: extension.map(str::to_owned),
            intent: order.intent().clone(),
            ticket: None,
        })?),
    };
    let mut purchase = Purchase {
        entry,
        signals: Signals::listen().map_err(|error| {
            Failure::other(format!("the signals cannot be listened for: {error}"))
        })?,
        printer,
    };
    let progress = Progress::start(printer, "submitting");
    let placed = purchase.place(&connection.client, &order).await;
    let (job, leaving) = placed.map_err(|failure| failure.beside(target.folder()))?;
    let id = job.ticket().request_id();
    if knobs.detach {
        drop(progress);
        printer.data(
            &json!({ "request_id": id, "ticket": job.ticket() }),
            &[id.to_owned()],
        );
        printer.say(&format!(
            "submitted; collect it with: uso result {id}, or with uso resume"
        ));
        return Ok(ExitCode::SUCCESS);
    }
    progress.line(&format!("submitted as {id}"));
    if leaving {
        drop(progress);
        return purchase.detach_or_cancel(&job).await;
    }
    let waited = tokio::select! {
        waited = job.wait_with(|event| progress.event(event)) => waited,
        () = purchase.signals.next() => {
            drop(progress);
            return purchase.detach_or_cancel(&job).await;
        }
    };
    let output = match waited {
        Ok(output) => output,
        Err(error) => {
            if is_over(&error) {
                purchase.finish();
            }
            return Err(Failure::from(error).beside(target.folder()));
        }
    };
    progress.state("downloading");
    let place = Place {
        target: &target,
        extension,
        again: false,
    };
    let saved = tokio::select! {
        saved = save(&output, &job, &place) => saved,
        () = purchase.signals.next() => {
            drop(progress);
            return purchase.leave(&job);
        }
    };
    progress.end();
    if saved.complete {
        purchase.finish();
    }
    let code = saved.report(printer)?;
    if connection.is_emulated() {
        printer.say("emulated: nothing was bought, and the picture says so");
    }
    Ok(code)
}

fn check_budget(estimate: &Estimate, knobs: &Knobs) -> Result<(), Failure> {
    let Some(limit) = knobs.max_cost else {
        return Ok(());
    };
    match estimate.price() {
        Some(price) if price <= limit => Ok(()),
        Some(price) => Err(Failure::budget(format!(
            "it is estimated to cost {price}, and --max-cost is {limit}"
        ))
        .with_hint("nothing was sent; make fewer or smaller pictures, or raise --max-cost")),
        None => Err(Failure::budget(
            "the price cannot be estimated, since only the service sees the content picture",
        )
        .with_hint("nothing was sent; give the size with --size, or leave --max-cost out")),
    }
}

/// The input as it would be sent, with data URIs shortened to their type and length.
fn without_pictures(input: &UsoInput) -> Result<Value, Failure> {
    let mut value =
        serde_json::to_value(input).map_err(|error| Failure::other(error.to_string()))?;
    let references = value
        .get_mut("input_image_urls")
        .and_then(Value::as_array_mut);
    for reference in references.into_iter().flatten() {
        let shortened = reference
            .as_str()
            .filter(|text| text.starts_with("data:"))
            .map(|text| {
                let header = text.split(',').next().unwrap_or_default();
                format!("{header},… ({} bytes)", text.len())
            });
        if let Some(shortened) = shortened {
            *reference = Value::String(shortened);
        }
    }
    Ok(value)
}
