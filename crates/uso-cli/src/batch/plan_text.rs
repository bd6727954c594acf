//! A plan in the words of a person, and as JSON.

use serde_json::{Value, json};

use super::plan::Plan;
use super::planned_row::PlannedRow;
use super::problems::Problems;
use super::todo::Todo;
use crate::failure::Failure;
use crate::price;
use crate::printer::Printer;

/// Rows that are shown to a person; JSON has all.
const SHOWN: usize = 100;

/// The failure of a manifest that has problems.
pub(crate) fn refuse(problems: &Problems, printer: &Printer) -> Failure {
    let lines = problems.lines();
    let is_missing = |line: &String| line.contains("does not exist");
    let hint = match lines.iter().any(is_missing) {
        true => {
            "correct the rows that are named, and run the command again; paths in a manifest start in its folder"
        }
        false => "correct the rows that are named, and run the command again",
    };
    if !printer.json {
        for line in &lines {
            printer.warn(line);
        }
    }
    let count = match problems.count() {
        1 => "a problem".to_owned(),
        several => format!("{several} problems"),
    };
    Failure::input(format!("the manifest has {count}; nothing was sent"))
        .with_hint(hint)
        .with_partial(json!({
            "problem_count": problems.count(),
            "problems": problems.kept(),
        }))
}

/// What a run would do: how many rows and pictures, what it uploads, and its price.
pub(crate) fn summary(plan: &Plan, todo: &Todo<'_>) -> Vec<String> {
    let to_buy = &todo.to_buy;
    let pictures: u64 = to_buy.iter().map(|row| u64::from(row.images)).sum();
    let (sum, unpriced) = Plan::price(to_buy.iter().copied());
    let bytes: u64 = plan.inputs.values().map(|input| input.bytes).sum();
    let mut lines = vec![format!(
        "{} of {} to buy, {}, about {}",
        to_buy.len(),
        counted(plan.rows.len(), "row"),
        counted(usize::try_from(pictures).unwrap_or(usize::MAX), "picture"),
        price::rounded(sum),
    )];
    if unpriced > 0 {
        lines.push(format!(
            "{} in the size of a content picture that only the service sees, and are not in the price",
            match unpriced {
                1 => "1 row is".to_owned(),
                several => format!("{several} rows are"),
            }
        ));
    }
    if !to_buy.is_empty() {
        lines.push(format!(
            "{} of {:.1} MB to upload, each once; the service knows those that it got in the last days",
            counted(plan.inputs.len(), "file"),
            bytes as f64 / 1e6
        ));
    }
    let others = todo.others().into_iter().filter(|(count, _)| *count > 0);
    lines.extend(others.map(|(count, what)| format!("{} {what}", counted(count, "row"))));
    lines
}

/// The rows of a plan, with their files and prices.
pub(crate) fn rows(rows: &[&PlannedRow]) -> Vec<String> {
    let shown = rows.iter().take(SHOWN);
    let mut lines: Vec<String> = shown
        .map(|row| {
            let price = row
                .price
                .map_or_else(|| "no price".to_owned(), price::rounded);
            format!("{}\t{}\t{price}", row.id, row.files.join(" "))
        })
        .collect();
    if let Some(more) = rows.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines
}

pub(crate) fn to_json(plan: &Plan, todo: &Todo<'_>, caps: Option<&[Value]>) -> Value {
    let (sum, unpriced) = Plan::price(todo.to_buy.iter().copied());
    let rows: Vec<Value> = todo
        .to_buy
        .iter()
        .map(|row| {
            json!({
                "row": row.row.number,
                "id": row.id,
                "files": row.files,
                "images": row.images,
                "micro_dollars": row.price.map(uso::MicroDollars::get),
            })
        })
        .collect();
    json!({
        "dry_run": true,
        "rows_in_manifest": plan.rows.len(),
        "rows": rows,
        "rows_bought_before": todo.to_json(),
        "rows_without_price": unpriced,
        "micro_dollars": sum.get(),
        "caps_exceeded": caps,
        "uploads": {
            "files": plan.inputs.len(),
            "bytes": plan.inputs.values().map(|input| input.bytes).sum::<u64>(),
        },
    })
}

/// A number with its noun.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        several => format!("{several} {noun}s"),
    }
}
