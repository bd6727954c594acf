//! `uso generate` and `uso restyle`: buying pictures.

use std::process::ExitCode;

use serde_json::{Value, json};
use uso::pictures::{PreparedPicture, Sending};
use uso::purchase::{Prepared, Preview};
use uso::{Estimate, Request, UsoInput};

use crate::args::{Global, PictureArgs};
use crate::connection::Connection;
use crate::destination::{Destination, Wish};
use crate::failure::Failure;
use crate::output_names::Names;
use crate::picture_request::{Kind, PictureRequest};
use crate::price;
use crate::printer::Printer;
use crate::progress::Progress;
use crate::purchase::Purchase;
use crate::records::{Record, State, is_over};
use crate::reservation::Reservation;
use crate::saving::{Saving, save};
use crate::signals::Signals;
use crate::spending;
use crate::upload_cache::UploadCache;

/// Bytes of a saved picture for each of its pixels: a noisy PNG.
const BYTES_PER_PIXEL: u64 = 2;

pub(crate) async fn run(
    global: &Global,
    kind: Kind,
    args: &PictureArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    refuse_with_own_emulator(global, args)?;
    let PictureRequest {
        request,
        says_nothing,
        inputs,
        content_name,
        style_name,
        extension,
    } = PictureRequest::read(kind, args)?;
    if says_nothing {
        return Err(
            Failure::usage("there is neither a prompt nor a style; nothing was sent").with_hint(
                "describe the picture with --prompt, or give a style picture with --style",
            ),
        );
    }
    if args
        .output
        .output
        .as_deref()
        .is_some_and(|path| path.as_os_str() == "-")
        && printer.json
    {
        return Err(
            Failure::usage("-o - and --json both need standard output; nothing was sent")
                .with_hint("leave one of them out"),
        );
    }
    // Without a key there is no connection, and still a request to check and to show.
    let connection = match args.money.dry_run && global.emulator {
        true => Err(Failure::usage("a dry run needs no emulator")),
        false => {
            Connection::configured(global, |mut config| {
                if let Some(limit) = args.waiting.timeout {
                    config = config.finish_within(limit);
                }
                // The command looks for a lost response itself, and says so meanwhile.
                config.without_reconciliation()
            })
            .await
        }
    };
    let uploads = match &connection {
        Ok(connection) if !connection.is_emulated() => UploadCache::tell(&connection.client),
        // The emulator in this process forgets all uploads.
        _ => None,
    };
    let preview = match &connection {
        Ok(connection) => connection.client.preview(request.clone()).await?,
        Err(_) => request.preview().await?,
    };
    let estimate = preview.estimate();
    spending::check_limit(&estimate, args.money.max_cost)?;
    let names = Names {
        content: Some(content_name),
        style: style_name,
        seed: args.picture.seed,
        id: None,
        extension: Some(extension),
    };
    let count = usize::try_from(estimate.images).unwrap_or(1);
    let wish = Wish {
        output: args.output.output.as_deref(),
        name: args.output.name.as_deref(),
        force: args.output.force,
    };
    let destination = Destination::plan(wish, &names, count)?;
    destination.refuse_inputs(&inputs)?;
    if args.money.dry_run {
        return dry_run(&preview, &estimate, printer);
    }
    let connection = connection?;
    warn_of_unreachable_webhook(&connection, args, printer);
    printer.say(&price::line(&estimate));
    spending::ask(&estimate, &args.money, printer)?;
    if !connection.is_emulated() {
        // Before anything is uploaded: what cannot be recorded is not bought.
        State::locate()?.make()?;
    }
    let bytes = estimate
        .pixels()
        .unwrap_or(0)
        .saturating_mul(BYTES_PER_PIXEL);
    let desk = Buyer {
        uploads,
        connection,
        args,
        extension,
        printer,
    };
    // From here on a signal is handled here, until the command ends.
    let mut signals = Signals::listen()
        .map_err(|error| Failure::other(format!("signals cannot be received: {error}")))?;
    let mut reservation = Reservation::take(&destination, &names, count, bytes)?;
    let prepared = tokio::select! {
        prepared = desk.complete(preview) => prepared?,
        signal = signals.next() => return Err(Failure::interrupted(signal, "interrupted; nothing was bought")),
    };
    let outcome = desk.buy(&prepared, &mut reservation, &mut signals).await;
    match outcome {
        // Nothing was billed: the service no longer has a picture of an earlier upload.
        Err(failure) if failure.signal().is_none() && desk.is_gone(&prepared, &failure).await => {
            printer.say("an uploaded picture is gone at the service; uploading it again");
            let mut reservation = Reservation::take(&destination, &names, count, bytes)?;
            let prepared = tokio::select! {
                prepared = desk.prepare(request) => prepared?,
                signal = signals.next() => {
                    return Err(Failure::interrupted(signal, "interrupted; nothing was billed"));
                }
            };
            desk.buy(&prepared, &mut reservation, &mut signals).await
        }
        outcome => outcome,
    }
}

/// What outlives the command needs a service that does.
fn refuse_with_own_emulator(global: &Global, args: &PictureArgs) -> Result<(), Failure> {
    let refused = match (args.waiting.detach, args.waiting.webhook.is_some()) {
        _ if !global.emulator => return Ok(()),
        (true, _) => {
            "--detach cannot be used with --emulator: the emulator ends with this command, and the job with it"
        }
        (_, true) => {
            "--webhook cannot be used with --emulator: the emulator ends with this command, before it has notified"
        }
        _ => return Ok(()),
    };
    Err(Failure::usage(refused)
        .with_hint("run uso emulator in another terminal, and use it with --base-url"))
}

fn warn_of_unreachable_webhook(connection: &Connection, args: &PictureArgs, printer: &Printer) {
    let is_of_this_machine = |url: &String| url.trim_start().starts_with("http://");
    if args
        .waiting
        .webhook
        .as_ref()
        .is_some_and(is_of_this_machine)
        && connection.origin().starts_with("https://")
    {
        printer.warn(
            "the webhook is an address of this machine, which fal never calls; give one that the internet can reach",
        );
    }
}

/// What a purchase needs, however often it is tried.
struct Buyer<'a> {
    connection: Connection,
    /// None for the emulator in this process, which forgets all uploads.
    uploads: Option<UploadCache>,
    args: &'a PictureArgs,
    extension: &'static str,
    printer: &'a Printer,
}

impl Buyer<'_> {
    async fn prepare(&self, request: Request) -> Result<Prepared, Failure> {
        let preview = self.connection.client.preview(request).await?;
        self.complete(preview).await
    }

    /// Uploads the pictures, and says what was changed.
    async fn complete(&self, preview: Preview) -> Result<Prepared, Failure> {
        let progress = Progress::start(self.printer, "uploading the pictures");
        let prepared = self.connection.client.complete(preview).await?;
        for picture in prepared.pictures() {
            if !picture.changes.is_empty() || picture.sending == Sending::Upload {
                progress.line(&picture.to_string());
            }
        }
        let kept = self
            .uploads
            .as_ref()
            .map(|uploads| uploads.keep(&self.connection.client));
        if let Some(Err(error)) = kept {
            self.printer.warn(&format!(
                "the upload could not be recorded, and will be made again the next time: {error}"
            ));
        }
        Ok(prepared)
    }

    async fn is_gone(&self, prepared: &Prepared, failure: &Failure) -> bool {
        let Some(error) = failure.error() else {
            return false;
        };
        self.connection.client.forget_gone(prepared, error).await
    }

    async fn buy(
        &self,
        prepared: &Prepared,
        reservation: &mut Reservation,
        signals: &mut Signals,
    ) -> Result<ExitCode, Failure> {
        let Self {
            connection,
            printer,
            ..
        } = self;
        let recorded = match reservation.place() {
            Some(place) => place.clone(),
            // A later process has another standard output.
            None => crate::place::Place::Folder(std::env::current_dir().unwrap_or_default()),
        };
        let entry = match connection.is_emulated() {
            true => None,
            false => Some(State::locate()?.note(Record {
                origin: connection.origin(),
                account: Some(connection.client.config().account()),
                target: recorded,
                extension: Some(self.extension.to_owned()),
                intent: prepared.order().intent().clone(),
                ticket: None,
            })?),
        };
        if entry.is_some() {
            // From now on they belong to the record.
            reservation.keep();
        }
        let mut purchase = Purchase {
            entry,
            signals,
            printer,
        };
        let host = connection.client.config().base_urls().queue().host_str();
        let progress = Progress::start(printer, "submitting").about(host);
        let (job, leaving) = purchase
            .place(&connection.client, prepared.order(), &progress)
            .await?;
        let id = job.ticket().request_id();
        if let Some(signal) = leaving {
            drop(progress);
            return Err(purchase.detach_or_cancel(&job, signal).await);
        }
        if self.args.waiting.detach {
            drop(progress);
            return self.detach(&job, prepared);
        }
        progress.line(&format!("submitted as {id}"));
        let waited = tokio::select! {
            waited = job.wait_with(|event| progress.event(event)) => waited,
            signal = purchase.signals.next() => {
                drop(progress);
                return Err(purchase.detach_or_cancel(&job, signal).await);
            }
        };
        let output = match waited {
            Ok(output) => output,
            Err(error) => {
                if is_over(&error) {
                    purchase.finish();
                }
                return Err(error.into());
            }
        };
        progress.state("downloading");
        let saving = Saving {
            place: reservation.place(),
            extension: Some(self.extension),
            preview: self.args.output.preview,
            open: self.args.output.open,
        };
        let saved = tokio::select! {
            saved = save(&output, &job, saving) => saved,
            signal = purchase.signals.next() => {
                drop(progress);
                return Err(purchase.leave(&job, signal));
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

    fn detach(&self, job: &uso::Job, prepared: &Prepared) -> Result<ExitCode, Failure> {
        let id = job.ticket().request_id();
        let collect = format!("collect it with: uso result --wait {id}, or with uso resume");
        let document = json!({
            "request_id": id,
            "ticket": job.ticket(),
            "references": references(prepared.pictures()),
        });
        let printed = self.printer.try_data(&document, &[id.to_owned()]);
        printed.map_err(|error| {
            let message =
                format!("submitted as {id}, and standard output could not be written: {error}");
            Failure::io(message).with_hint(&*collect)
        })?;
        self.printer.say(&format!("submitted; {collect}"));
        Ok(ExitCode::SUCCESS)
    }
}

fn dry_run(preview: &Preview, estimate: &Estimate, printer: &Printer) -> Result<ExitCode, Failure> {
    let shown = without_pictures(&preview.input)?;
    let text = format!("{shown:#}");
    let value = json!({
        "dry_run": true,
        "input": shown,
        "references": references(&preview.pictures),
        "estimate": price::to_json(estimate),
    });
    printer.say(&price::line(estimate));
    printer.say("nothing is sent; this would be:");
    for picture in &preview.pictures {
        printer.say(&picture.to_string());
    }
    printer.data(&value, &[text])?;
    Ok(ExitCode::SUCCESS)
}

/// What became of each picture that goes in, as data.
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
