//! `uso generate` and `uso restyle`: the main job.

use std::process::ExitCode;

use serde_json::{Value, json};
use uso::pictures::{PreparedPicture, Sending};
use uso::purchase::Prepared;
use uso::{Estimate, Request, UsoInput};

use crate::args::{Global, Knobs};
use crate::cmd::connect::Connection;
use crate::cmd::estimate::to_json as estimate_to_json;
use crate::cmd::purchase::Purchase;
use crate::cmd::save::{Place, save};
use crate::exit::Failure;
use crate::known::Known;
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
    if knobs.webhook.is_some() && global.emulator {
        return Err(Failure::usage(
            "--webhook cannot be used with --emulator: the emulator ends with this command, before it has delivered",
        )
        .with_hint("run uso emulator in another terminal, and use it with --base-url"));
    }
    let estimate = request.estimate().await?;
    if knobs.dry_run {
        return dry_run(&request, &estimate, printer).await;
    }
    check_budget(&estimate, knobs)?;
    let target = Target::of(knobs.output.as_deref())?;
    let connection = Connection::open(global).await?;
    let to_this_machine = |url: &String| url.trim_start().starts_with("http://");
    if knobs.webhook.as_ref().is_some_and(to_this_machine)
        && connection.origin().starts_with("https://")
    {
        printer.warn(
            "the webhook is an address of this machine, which fal never calls; give one that the internet can reach",
        );
    }
    let known = match connection.is_emulated() {
        true => None,
        false => {
            // Before anything is uploaded: what cannot be noted is not bought.
            State::locate()?.make()?;
            Known::tell(&connection.client)
        }
    };
    let desk = Desk {
        known,
        connection,
        target,
        extension: knobs.extension()?,
        detach: knobs.detach,
        printer,
    };
    let prepared = desk.prepare(&request).await?;
    // From here on a signal is heard by us alone, until the command ends.
    let mut signals = Signals::listen()
        .map_err(|error| Failure::other(format!("the signals cannot be listened for: {error}")))?;
    let outcome = desk.buy(&prepared, &mut signals).await;
    match outcome {
        // Nothing was billed: the service no longer has a picture of an earlier upload.
        Err(failure) if desk.is_gone(&prepared, &failure).await => {
            printer.say("an uploaded picture is gone at the service: it is uploaded again");
            let prepared = tokio::select! {
                prepared = desk.prepare(&request) => prepared?,
                () = signals.next() => {
                    return Err(Failure::other("interrupted; nothing was billed"));
                }
            };
            desk.buy(&prepared, &mut signals).await
        }
        outcome => outcome,
    }
}

/// What a purchase needs, however often it is tried.
struct Desk<'a> {
    connection: Connection,
    /// None for the emulator in this process, which forgets all uploads.
    known: Option<Known>,
    target: Target,
    extension: Option<&'static str>,
    detach: bool,
    printer: &'a Printer,
}

impl Desk<'_> {
    /// Makes the pictures fit, uploads them, and says what was changed.
    async fn prepare(&self, request: &Request) -> Result<Prepared, Failure> {
        let progress = Progress::start(self.printer, "preparing the pictures");
        let prepared = self.connection.client.prepare(request.clone()).await?;
        for picture in prepared.pictures() {
            if !picture.changes.is_empty() || picture.sending == Sending::Upload {
                progress.line(&picture.to_string());
            }
        }
        self.keep_known();
        Ok(prepared)
    }

    fn keep_known(&self) {
        let kept = self
            .known
            .as_ref()
            .map(|known| known.keep(&self.connection.client));
        if let Some(Err(error)) = kept {
            self.printer.warn(&format!(
                "the upload could not be noted, and will be made again the next time: {error}"
            ));
        }
    }

    async fn is_gone(&self, prepared: &Prepared, failure: &Failure) -> bool {
        let Some(error) = failure.error() else {
            return false;
        };
        self.connection.client.forget_gone(prepared, error).await
    }

    async fn buy(&self, prepared: &Prepared, signals: &mut Signals) -> Result<ExitCode, Failure> {
        let Self {
            connection,
            target,
            printer,
            ..
        } = self;
        let entry = match connection.is_emulated() {
            true => None,
            false => Some(State::locate()?.note(Record {
                origin: connection.origin(),
                account: Some(connection.client.config().account()),
                target: target.absolute()?,
                extension: self.extension.map(str::to_owned),
                intent: prepared.order().intent().clone(),
                ticket: None,
            })?),
        };
        let mut purchase = Purchase {
            entry,
            signals,
            printer,
        };
        let progress = Progress::start(printer, "submitting");
        let placed = purchase.place(&connection.client, prepared.order()).await;
        let (job, leaving) = placed.map_err(|failure| failure.beside(target.folder()))?;
        let id = job.ticket().request_id();
        if self.detach {
            drop(progress);
            printer.data(
                &json!({
                    "request_id": id,
                    "ticket": job.ticket(),
                    "references": references(prepared.pictures()),
                }),
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
            target,
            extension: self.extension,
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
        let code = saved
            .with("references", references(prepared.pictures()))
            .report(printer)?;
        if connection.is_emulated() {
            printer.say("emulated: nothing was bought, and the picture says so");
        }
        Ok(code)
    }
}

async fn dry_run(
    request: &Request,
    estimate: &Estimate,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let preview = request.preview().await?;
    let shown = without_pictures(&preview.input)?;
    let text = format!("{shown:#}");
    let value = json!({
        "dry_run": true,
        "input": shown,
        "references": references(&preview.pictures),
        "estimate": estimate_to_json(estimate),
    });
    printer.say("nothing is sent; this would be:");
    for picture in &preview.pictures {
        printer.say(&picture.to_string());
    }
    printer.data(&value, &[text]);
    Ok(ExitCode::SUCCESS)
}

/// What became of each picture, as data.
fn references(pictures: &[PreparedPicture]) -> Value {
    let references = pictures.iter().map(|picture| {
        json!({
            "role": picture.role,
            "name": picture.name,
            "sending": picture.sending.as_str(),
            "width": picture.size.map(|(width, _)| width),
            "height": picture.size.map(|(_, height)| height),
            "bytes": picture.bytes,
            "changes": picture.changes,
        })
    });
    references.collect()
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
