//! The limits of a purchase that the user sets.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use uso::{Estimate, MicroDollars};

use crate::args::MoneyOptions;
use crate::escape;
use crate::failure::Failure;
use crate::price;
use crate::printer::Printer;

/// Refuses a purchase above `--max-cost`.
pub(crate) fn check_limit(estimate: &Estimate, limit: Option<MicroDollars>) -> Result<(), Failure> {
    let Some(limit) = limit else {
        return Ok(());
    };
    match estimate.price() {
        Some(price) if price <= limit => Ok(()),
        Some(price) => Err(Failure::budget(format!(
            "the estimated price is {price}, and --max-cost is {limit}; nothing was sent"
        ))
        .with_hint("make fewer or smaller pictures, or raise --max-cost or USO_MAX_COST")),
        None => Err(Failure::budget(
            "the price cannot be estimated, since only the service sees the content picture; nothing was sent",
        )
        .with_hint("give the size with --size, or give the picture as a file")),
    }
}

/// Asks a person before a purchase above `--ask-above`.
pub(crate) fn ask(
    estimate: &Estimate,
    money: &MoneyOptions,
    printer: &Printer,
) -> Result<(), Failure> {
    let Some(limit) = money.ask_above.filter(|_| !money.yes) else {
        return Ok(());
    };
    let price = match estimate.price() {
        Some(price) if price <= limit => return Ok(()),
        Some(price) => format!("about {}", price::rounded(price)),
        None => "an unknown amount".to_owned(),
    };
    let message = format!("this costs {price}, more than --ask-above {limit}; nothing was sent");
    let stdin = std::io::stdin();
    if !(printer.terminal && stdin.is_terminal()) {
        return Err(Failure::budget(message)
            .with_hint("there is no terminal to ask on; answer with --yes, or raise --ask-above"));
    }
    let mut answer = String::new();
    let question = escape::line(&format!("this costs {price}. Buy it? [y/N] ")).into_owned();
    // A terminal that is gone answers nothing below.
    let _ = write!(std::io::stderr(), "{question}");
    let _ = stdin.lock().read_line(&mut answer);
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::budget(
            "not bought: the question was not answered with yes; nothing was sent",
        )),
    }
}
