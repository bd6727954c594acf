//! `uso batch status`: counts of a batch, from the journal alone.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::json;
use uso::MicroDollars;
use uso_journal::{Cause, State};

use crate::args::{BatchNameArgs, Global};
use crate::batch::pause_note::Paused;
use crate::batch::purchases::{self, Known, newest};
use crate::batch::session::Session;
use crate::exit_code::{FAILED, OUTCOME_UNKNOWN};
use crate::failure::Failure;
use crate::price::rounded;
use crate::printer::Printer;

/// Ids of unknown rows that are listed.
const SHOWN: usize = 20;

pub(crate) async fn run(
    global: &Global,
    args: &BatchNameArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let session = Session::open(global, None).await?;
    let record = session.records.find(args.name.as_deref())?;
    let rows = session.records.rows(&record.name)?;
    let client = &session.connection.client;
    let bought = purchases::read(&session.journal, client, &record.name).await?;
    let newest = newest(&record.name, &bought);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut causes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unknown = Vec::new();
    for row in &rows {
        let id = row.id();
        let known = newest.get(id.as_str());
        let state = match known {
            None => "not_begun",
            Some(known) if known.state == State::Done && !known.is_whole() => "file_missing",
            Some(known) => known.state.as_str(),
        };
        *counts.entry(state).or_default() += 1;
        if let Some(cause) = known.and_then(|known| known.cause) {
            *causes.entry(cause.as_str()).or_default() += 1;
        }
        if state == State::Unknown.as_str() {
            unknown.push(id);
        }
    }
    let done = counts.get("done").copied().unwrap_or_default();
    let sum = |amount: fn(&Known) -> Option<MicroDollars>| {
        let amounts = bought.values().filter_map(amount);
        MicroDollars::new(amounts.map(MicroDollars::get).sum())
    };
    let billed = sum(|known| known.cost.billed);
    let reserved = sum(Known::still_reserved);
    let committed = session.journal.batch_committed(client, &record.name);
    let counted = billed.get().saturating_add(reserved.get());
    let earlier = MicroDollars::new(committed.await?.get().saturating_sub(counted));
    let code = match (unknown.is_empty(), done == rows.len()) {
        (false, _) => OUTCOME_UNKNOWN,
        (true, true) => 0,
        (true, false) => FAILED,
    };
    let paused = session.records.pause_note(&record.name).read();
    let document = json!({
        "batch": record.name,
        "source": record.source.to_string_lossy(),
        "output": record.output.to_string_lossy(),
        "rows": rows.len(),
        "states": counts,
        "causes": causes,
        "unknown": unknown,
        "paused": paused,
        "in_work": bought.values().filter(|known| known.in_work).count(),
        "billed_micro_dollars": billed.get(),
        "reserved_micro_dollars": reserved.get(),
        "earlier_attempts_micro_dollars": earlier.get(),
        "budget_micro_dollars": record.budget,
        "exit_code": code,
    });
    let mut lines = vec![format!(
        "batch {}: {} rows: {}",
        record.name,
        rows.len(),
        listed(&counts)
    )];
    if let Some(Paused { since, why }) = paused {
        lines.push(format!("paused since {since}: {why}"));
    }
    if !causes.is_empty() {
        lines.push(format!("causes: {}", listed(&causes)));
    }
    let mut money = format!("{} billed, {} reserved", rounded(billed), rounded(reserved));
    if earlier > MicroDollars::new(0) {
        let earlier = rounded(earlier);
        money.push_str(&format!(
            ", {earlier} for earlier attempts whose bill is not known"
        ));
    }
    lines.push(money);
    if !unknown.is_empty() {
        let shown: Vec<&str> = unknown.iter().take(SHOWN).map(String::as_str).collect();
        let more = if unknown.len() > SHOWN {
            " and more"
        } else {
            ""
        };
        lines.push(format!(
            "unknown: {}{more}; uso batch reconcile {} asks the service",
            shown.join(" "),
            record.name
        ));
    }
    let count = |counts: &BTreeMap<&str, usize>, word| counts.get(word).copied().unwrap_or(0);
    let not_bought = count(&causes, Cause::NotBought.as_str());
    let failed = count(&counts, State::Failed.as_str()).saturating_sub(not_bought);
    for (rows, what, verb, end) in [
        (not_bought, "not bought", "resume", ""),
        (failed, "failed", "retry", " again"),
    ] {
        if rows > 0 {
            let name = &record.name;
            lines.push(format!(
                "{rows} {what}: uso batch {verb} {name} buys them{end}"
            ));
        }
    }
    printer.data(&document, &lines)?;
    Ok(ExitCode::from(code))
}

/// Counts as text, such as `3 done, 1 file missing`.
fn listed(counts: &BTreeMap<&str, usize>) -> String {
    let texts = counts
        .iter()
        .map(|(word, count)| format!("{count} {}", word.replace('_', " ")));
    texts.collect::<Vec<_>>().join(", ")
}
