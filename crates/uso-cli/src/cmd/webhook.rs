//! `uso webhook`: deliveries, received or captured.

mod adopt;
mod captured;
mod listen;
mod verify;

use std::process::ExitCode;

use serde_json::{Value, json};
use uso::webhook::Delivery;

use crate::args::{Global, WebhookArgs, WebhookCommand};
use crate::exit::Failure;
use crate::output::Printer;

pub(crate) async fn run(
    global: &Global,
    args: &WebhookArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    if global.emulator {
        return Err(
            Failure::usage("--emulator starts a new one, which has nothing to deliver")
                .with_hint("use an emulator that still runs with --base-url"),
        );
    }
    match &args.command {
        WebhookCommand::Verify(args) => verify::run(global, args, printer).await,
        WebhookCommand::Listen(args) => listen::run(global, args, printer).await,
    }
}

/// A delivery in a line: whose, and how it ended.
fn describe(delivery: &Delivery) -> String {
    let id = delivery.request_id();
    let status = delivery.notification().status();
    let line = match delivery.notification().output() {
        Ok(output) => match output.images.map_or(0, |images| images.len()) {
            1 => format!("{id} {status}: 1 picture"),
            several => format!("{id} {status}: {several} pictures"),
        },
        Err(why) => format!("{id} {status}: {why}"),
    };
    // Anybody with an account may have a text of theirs delivered: it is none for a terminal.
    let plain = line.chars().filter(|letter| !letter.is_control());
    plain.take(500).collect()
}

/// A delivery as JSON: where the pictures are, and neither the prompt nor the pictures themselves.
fn to_json(delivery: &Delivery) -> Value {
    let notification = delivery.notification();
    let output = notification.output();
    let images = output
        .as_ref()
        .ok()
        .and_then(|output| output.images.as_ref());
    let images: Vec<Value> = images
        .into_iter()
        .flatten()
        .map(|image| {
            json!({
                "url": Some(&image.url).filter(|url| !url.starts_with("data:")),
                "content_type": image.content_type,
                "width": image.width,
                "height": image.height,
            })
        })
        .collect();
    json!({
        "request_id": delivery.request_id(),
        "gateway_request_id": notification.gateway_request_id(),
        "user_id": delivery.user_id(),
        "status": notification.status().as_str(),
        "error": notification.error(),
        "payload_error": notification.payload_error(),
        "seed": output.as_ref().ok().and_then(|output| output.seed),
        "images": images,
    })
}
