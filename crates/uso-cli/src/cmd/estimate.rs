//! `uso estimate`: size and price, nothing sent.

use std::process::ExitCode;

use crate::args::PictureArgs;
use crate::failure::Failure;
use crate::picture_request::{Kind, PictureRequest};
use crate::price;
use crate::printer::Printer;

pub(crate) async fn run(args: &PictureArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let kind = Kind::of_estimate(args);
    let request = PictureRequest::read(kind, args)?.request;
    // The pictures are checked as well, so that what is estimated could also be sent.
    let estimate = request.preview().await?.estimate();
    printer.data(&price::to_json(&estimate), &[price::line(&estimate)])?;
    let command = match kind {
        Kind::Restyle => "uso restyle",
        Kind::Generate => "uso generate",
    };
    printer.say(&format!(
        "for {command} with the same words; the published price is {}, and fal does not publish how it rounds",
        price::PUBLISHED
    ));
    Ok(ExitCode::SUCCESS)
}
