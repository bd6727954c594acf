//! The limits of a purchase that the user sets.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use serde_json::{Value, json};
use uso::{Client, Estimate, MicroDollars};
use uso_journal::Journal;

use crate::args::MoneyOptions;
use crate::escape;
use crate::failure::Failure;
use crate::price;
use crate::printer::Printer;

/// Refuses a purchase that may cost more than `--max-cost`.
pub(crate) fn check_limit(estimate: &Estimate, limit: Option<MicroDollars>) -> Result<(), Failure> {
    let (Some(limit), Some(bound)) = (limit, price::quote(estimate).bound) else {
        return Ok(());
    };
    if bound <= limit {
        return Ok(());
    }
    let why = match estimate.size {
        Some(_) => "",
        None => ", since only the service sees the content picture",
    };
    Err(Failure::budget(format!(
        "the price is at most {bound}{why}, and --max-cost is {limit}; nothing was sent"
    ))
    .with_hint("make fewer or smaller pictures, or raise --max-cost or USO_MAX_COST"))
}

/// Warns of the caps of the account that have no room for purchases of this much; returns them as
/// data. `None` where the journal cannot be read.
pub(crate) async fn warn_of_caps(
    journal: &Journal,
    client: &Client,
    bound: MicroDollars,
    printer: &Printer,
) -> Option<Vec<Value>> {
    let budget = match journal.budget(client).await {
        Ok(budget) => budget,
        Err(error) => {
            warn_of_no_caps(&error.into(), printer);
            return None;
        }
    };
    let caps = [
        ("day", "for 24 hours", budget.day_cap, budget.day_committed),
        (
            "total",
            "in total",
            budget.total_cap,
            budget.total_committed,
        ),
    ];
    let mut exceeded = Vec::new();
    for (name, words, cap, committed) in caps {
        let Some(cap) = cap else { continue };
        let left = MicroDollars::new(cap.get().saturating_sub(committed.get()));
        if bound > left {
            printer.warn(&format!(
                "the cap of {cap} {words} has {left} left, and this costs up to {bound}: a purchase that exceeds it is refused; uso budget changes the cap"
            ));
            exceeded.push(json!({
                "cap": name,
                "cap_micro_dollars": cap.get(),
                "left_micro_dollars": left.get(),
            }));
        }
    }
    Some(exceeded)
}

/// Says that a dry run could not read the journal.
pub(crate) fn warn_of_no_caps(why: &Failure, printer: &Printer) {
    printer.warn(&format!(
        "the journal cannot be read, so that no cap was checked: {}",
        why.chain()
    ));
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
    let price = match (price::quote(estimate).bound, estimate.price()) {
        (Some(bound), _) if bound <= limit => return Ok(()),
        (_, Some(price)) if price > limit => format!("about {}", price::rounded(price)),
        (Some(bound), _) => format!("up to {}", price::rounded(bound)),
        (None, _) => "an unknown amount".to_owned(),
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
