//! `uso generate` and `uso restyle`: the main job.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use uso::{Cancellation, Error, ErrorKind, Estimate, Job, Output, Request, UsoInput};

use crate::args::{Global, Knobs};
use crate::cmd::connect::Connection;
use crate::cmd::estimate::to_json as estimate_to_json;
use crate::cmd::save::save;
use crate::exit::Failure;
use crate::output::Printer;
use crate::progress::Progress;

/// How long a second Ctrl-C cancels, after the first has detached.
const SECOND_THOUGHTS: Duration = Duration::from_secs(2);

pub(crate) async fn run(
    global: &Global,
    request: Request,
    knobs: &Knobs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
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
    let connection = Connection::open(global).await?;
    let progress = Progress::start(printer, "submitting");
    let job = connection.client.submit(request).await?;
    let id = job.ticket().request_id();
    if knobs.detach && !connection.is_emulated() {
        drop(progress);
        printer.data(
            &json!({ "request_id": id, "ticket": job.ticket() }),
            &[id.to_owned()],
        );
        printer.say(&format!("submitted; collect it with: uso result {id}"));
        return Ok(ExitCode::SUCCESS);
    }
    progress.line(&format!("submitted as {id}"));
    let output = tokio::select! {
        output = follow(&job, &progress) => output?,
        () = interrupted() => {
            drop(progress);
            return detach_or_cancel(&job, connection.is_emulated(), printer).await;
        }
    };
    progress.state("downloading");
    let code = save(&output, &job, knobs.output.as_deref(), printer, &progress).await?;
    if connection.is_emulated() {
        printer.say("emulated: nothing was bought, and the picture says so");
    }
    Ok(code)
}

/// Follows the job to its output, telling its progress.
pub(crate) async fn follow(job: &Job, progress: &Progress<'_>) -> uso::Result<Output> {
    loop {
        let mut events = job.events();
        while let Some(event) = events.next().await {
            progress.event(&event?);
        }
        match job.output().await {
            // The end was told too early; the job is still on its way.
            Err(error) if error.kind() == ErrorKind::NotReady => {
                progress.line("the service told the end too early; looking again");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            outcome => return outcome,
        }
    }
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

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a signal handler there is nothing to wait for.
        std::future::pending::<()>().await;
    }
}

/// The first Ctrl-C detaches, a second one soon after cancels.
async fn detach_or_cancel(
    job: &Job,
    emulated: bool,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let id = job.ticket().request_id();
    if emulated {
        return Err(Failure::other(
            "interrupted; the emulated job is gone with its emulator",
        ));
    }
    printer.warn(&format!(
        "detached: the job goes on; collect it with: uso result {id}"
    ));
    printer.warn("press Ctrl-C again now to cancel it");
    let second = tokio::time::timeout(SECOND_THOUGHTS, interrupted()).await;
    if second.is_err() {
        printer.data(
            &json!({ "request_id": id, "detached": true, "ticket": job.ticket() }),
            &[],
        );
        return Ok(ExitCode::from(crate::exit::OTHER));
    }
    let said = match job
        .cancel()
        .await
        .map_err(|error: Error| Failure::from(error))?
    {
        Cancellation::Removed => "cancelled: it was still queued and is not billed",
        Cancellation::Requested => {
            "the cancellation is requested; the job may still complete, and is then billed"
        }
        Cancellation::AlreadyCompleted => "too late to cancel: the job had ended",
        _ => "the service took the cancellation",
    };
    printer.warn(said);
    printer.data(&json!({ "request_id": id, "cancelled": true }), &[]);
    Ok(ExitCode::from(crate::exit::OTHER))
}
