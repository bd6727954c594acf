//! `uso estimate`: size and price, nothing sent.

use std::process::ExitCode;

use serde_json::{Value, json};
use uso::Estimate;

use crate::args::GenerateArgs;
use crate::exit::Failure;
use crate::output::Printer;

pub(crate) async fn run(args: &GenerateArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let request = args.request()?;
    let estimate = request.estimate().await?;
    // The references are checked as well, so that what is estimated could also be sent.
    request.preview().await?;
    let count = match estimate.images {
        1 => "1 picture".to_owned(),
        several => format!("{several} pictures"),
    };
    let text = match (estimate.size, estimate.price()) {
        (Some((width, height)), Some(price)) => {
            format!("{count} of {width}x{height}, about {price}")
        }
        _ => format!(
            "{count} in the size of the content picture, which only the service sees; the price follows from it"
        ),
    };
    printer.data(&to_json(&estimate), &[text]);
    printer.say("the published price is $0.10 a megapixel; how fal rounds is not published");
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn to_json(estimate: &Estimate) -> Value {
    json!({
        "images": estimate.images,
        "width": estimate.size.map(|(width, _)| width),
        "height": estimate.size.map(|(_, height)| height),
        "pixels": estimate.pixels(),
        "micro_dollars": estimate.price().map(uso::MicroDollars::get),
    })
}
