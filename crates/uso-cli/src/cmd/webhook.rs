//! `uso webhook`: notifications from the network or from a file.

mod captured;
mod describe;
mod listen;
mod verify;

use std::process::ExitCode;

use crate::args::{Global, WebhookArgs, WebhookCommand};
use crate::failure::Failure;
use crate::printer::Printer;

pub(crate) async fn run(
    global: &Global,
    args: &WebhookArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    if global.emulator {
        return Err(Failure::usage(
            "--emulator starts a new emulator, which has no notification to send",
        )
        .with_hint("name a running emulator with --base-url"));
    }
    match &args.command {
        WebhookCommand::Verify(args) => verify::run(global, args, printer).await,
        WebhookCommand::Listen(args) => listen::run(global, args, printer).await,
    }
}
