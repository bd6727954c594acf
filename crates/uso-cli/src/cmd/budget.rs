//! `uso budget`: what the account spent through the journal, and its caps.

use std::process::ExitCode;

use serde_json::json;
use uso::MicroDollars;

use crate::args::{BudgetArgs, Cap, Global};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::journal;
use crate::price::rounded;
use crate::printer::Printer;

pub(crate) async fn run(
    global: &Global,
    args: &BudgetArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::open(global).await?;
    let client = &connection.client;
    let journal = journal::open(global, &connection).await?;
    let mut budget = journal.budget(client).await?;
    if args.day.is_some() || args.total.is_some() {
        let new = |given: Option<Cap>, old| given.map_or(old, |cap| cap.0);
        let day = new(args.day, budget.day_cap);
        let total = new(args.total, budget.total_cap);
        journal.set_caps(client, day, total).await?;
        budget = journal.budget(client).await?;
    }
    let line = |name: &str, committed: MicroDollars, cap: Option<MicroDollars>| {
        let cap = cap.map_or_else(
            || "no cap".to_owned(),
            |cap| format!("cap {}", rounded(cap)),
        );
        format!("{name:9}  {} spent or reserved, {cap}", rounded(committed))
    };
    let lines = [
        line("24 hours", budget.day_committed, budget.day_cap),
        line("in total", budget.total_committed, budget.total_cap),
    ];
    let document = json!({
        "day": {
            "committed_micro_dollars": budget.day_committed.get(),
            "cap_micro_dollars": budget.day_cap.map(MicroDollars::get),
        },
        "total": {
            "committed_micro_dollars": budget.total_committed.get(),
            "cap_micro_dollars": budget.total_cap.map(MicroDollars::get),
        },
    });
    printer.data(&document, &lines)?;
    Ok(ExitCode::SUCCESS)
}
