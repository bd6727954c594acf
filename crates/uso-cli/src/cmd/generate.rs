//! `uso generate` and `uso restyle`: buying pictures.

use std::process::ExitCode;

use serde_json::{Value, json};
use uso::pictures::PreparedPicture;
use uso::purchase::Preview;
use uso::{Estimate, UsoInput};
use uso_journal::{Journal, State};

use crate::args::{Global, PictureArgs};
use crate::connection::Connection;
use crate::destination::{Destination, Wish};
use crate::failure::Failure;
use crate::output_names::Names;
use crate::picture_request::{Kind, PictureRequest};
use crate::printer::Printer;
use crate::progress::Progress;
use crate::purchase::{Bought, Buyer};
use crate::report::{Report, Show};
use crate::reservation::Reservation;
use crate::signals::Signals;
use crate::standard_output::{self, StandardOutput};
use crate::{journal, price, spending};

/// Bytes of a saved picture for each of its pixels: a noisy PNG.
const BYTES_PER_PIXEL: u64 = 2;

/// Beginning of the journal's key of each purchase of these commands.
pub(crate) const COMMAND_KEY: &str = "command:";

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
        mut inputs,
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
    standard_output::refuse_json(args.output.output.as_deref(), printer)?;
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
    // Those that have no room, where they were looked at.
    let mut caps = None;
    let recorded = match &connection {
        Ok(connection) if args.money.dry_run => {
            let looked = journal::look(global, &connection.client).await;
            let looked = looked.inspect_err(|why| spending::warn_of_no_caps(why, printer));
            caps = looked.is_ok().then(Vec::new);
            looked.unwrap_or_default()
        }
        Ok(connection) => {
            let recorded = journal::open(global, connection)
                .await
                .map_err(|failure| failure.because(Some("nothing was sent".to_owned())))?;
            recorded.share_uploads(&connection.client).await?;
            Some(recorded)
        }
        Err(_) => None,
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
    inputs.extend(recorded.iter().flat_map(journal::own_files));
    destination.refuse_inputs(&inputs)?;
    if args.money.dry_run {
        if let (Some(journal), Ok(connection), Some(bound)) =
            (&recorded, &connection, price::quote(&estimate).bound)
        {
            caps = spending::warn_of_caps(journal, &connection.client, bound, printer).await;
        }
        return dry_run(&preview, &estimate, caps.as_deref(), printer);
    }
    let connection = connection?;
    let Some(recorded) = recorded else {
        return Err(Failure::other(
            "there is no journal to record the purchase in",
        ));
    };
    warn_of_unreachable_webhook(&connection, args, printer);
    printer.say(&price::line(&estimate));
    spending::ask(&estimate, &args.money, printer)?;
    let bytes = estimate
        .pixels()
        .unwrap_or(0)
        .saturating_mul(BYTES_PER_PIXEL);
    // From here on a signal is handled here, until the command ends.
    let mut signals = Signals::listen().map_err(Failure::no_signals)?;
    let mut reservation = Reservation::take(&destination, count, bytes)?;
    // A command that runs twice makes two pictures: each run is a purchase of its own.
    let key = format!("{COMMAND_KEY}{:016x}", fastrand::u64(..));
    let mut buy = recorded
        .purchase(&connection.client, key.clone(), request)
        .max_cost(args.money.max_cost);
    let stdout = matches!(destination, Destination::Stdout);
    let stdout = stdout.then(|| StandardOutput::new(&recorded));
    let target = stdout.as_ref().map(StandardOutput::target);
    if let Some(target) = target.or_else(|| reservation.target().cloned()) {
        buy = buy.target(target);
    }
    let buyer = Buyer {
        journal: &recorded,
        client: &connection.client,
        is_emulated: connection.is_emulated(),
        detach: args.waiting.detach,
        printer,
    };
    let host = connection.client.config().base_urls().queue().host_str();
    let progress = Progress::start(printer, "preparing the pictures").about(host);
    // The preview holds the pictures that were made fit, so that they are not made fit again.
    let bought = buyer.buy(buy, &mut signals, &progress).await;
    drop(preview);
    progress.end();
    if keeps_names(&recorded, &connection, &key).await {
        reservation.keep();
    }
    let Bought {
        purchase,
        pictures,
        failure,
    } = bought?;
    if purchase.state == State::Submitted && failure.is_none() {
        return detached(&purchase, &pictures, printer);
    }
    let show = Show {
        options: args.output.show,
        stdout,
    };
    let code = Report::of(&purchase, failure)
        .with(json!({ "references": references(&pictures) }))
        .print(show, printer)?;
    if connection.is_emulated() {
        printer.say("emulated: nothing was bought, and the picture says so");
    }
    Ok(code)
}

/// Whether the names that were taken wait for the pictures of a purchase.
async fn keeps_names(journal: &Journal, connection: &Connection, key: &str) -> bool {
    let purchase = journal.find(&connection.client, key).await;
    !connection.is_emulated() && purchase.is_ok_and(|purchase| purchase.state.may_be_bought())
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

fn detached(
    purchase: &uso_journal::Purchase,
    pictures: &[PreparedPicture],
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let id = journal::shown_id(purchase);
    let collect = format!("collect it with: uso result --wait {id}, or with uso resume");
    let document = json!({
        "id": purchase.id,
        "request_id": purchase.request_id(),
        "ticket": purchase.ticket,
        "references": references(pictures),
    });
    let printed = printer.try_data(&document, std::slice::from_ref(&id));
    printed.map_err(|error| {
        let message =
            format!("submitted as {id}, and standard output could not be written: {error}");
        Failure::io(message).with_hint(&*collect)
    })?;
    printer.say(&format!("submitted; {collect}"));
    Ok(ExitCode::SUCCESS)
}

fn dry_run(
    preview: &Preview,
    estimate: &Estimate,
    caps: Option<&[Value]>,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let shown = without_pictures(&preview.input)?;
    let text = format!("{shown:#}");
    let value = json!({
        "dry_run": true,
        "input": shown,
        "references": references(&preview.pictures),
        "estimate": price::to_json(estimate),
        "caps_exceeded": caps,
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
