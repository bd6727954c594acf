//! Checks of a run before anything is sent: changed rows, files in the way, and the budget.

use std::collections::HashSet;
use std::path::PathBuf;

use serde_json::json;
use uso::MicroDollars;

use crate::args::BatchRunArgs;
use crate::batch::changes::Changes;
use crate::batch::plan::Plan;
use crate::batch::planned_row::PlannedRow;
use crate::batch::problem::Problem;
use crate::batch::purchases::{Known, Purchases};
use crate::batch::record::BatchRecord;
use crate::batch::session::Session;
use crate::batch::todo::Todo;
use crate::batch::{plan_text, sidecar};
use crate::failure::Failure;
use crate::price::rounded;
use crate::printer::Printer;

/// Refuses rows that were added or changed and cost money, unless they were accepted.
pub(super) fn refuse_changes(
    changes: &Changes<'_>,
    args: &BatchRunArgs,
    printer: &Printer,
) -> Result<(), Failure> {
    for line in changes.lines() {
        printer.say(&line);
    }
    if !changes.is_paid() || args.rows.accept_changes || args.money.dry_run {
        return Ok(());
    }
    let price = rounded(changes.price());
    let ids = |rows: &[&PlannedRow]| rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>();
    Err(Failure::input(format!(
        "{} added and {} changed since the last run, which would cost about {price}; nothing was sent",
        plan_text::counted(changes.added.len(), "row"),
        plan_text::counted(changes.changed.len(), "row"),
    ))
    .with_hint("buy them with --accept-changes, or go on with the rows as they were: uso batch resume")
    .with_partial(json!({ "changes": {
        "added": ids(&changes.added),
        "changed": ids(&changes.changed),
        "removed": changes.removed,
        "micro_dollars": changes.price().get(),
    }})))
}

/// Rows that were never begun, and whose file is there already.
pub(super) fn taken_files(
    record: &BatchRecord,
    bought: &Purchases,
    todo: &[&PlannedRow],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let new = todo.iter().filter(|row| {
        let is_new = |known: &Known| known.is_free();
        !row.is_open && bought.get(&row.key(&record.name)).is_none_or(is_new)
    });
    let mine: HashSet<PathBuf> = bought
        .values()
        .flat_map(|known| known.pictures.iter().map(|picture| picture.path.clone()))
        .collect();
    for row in new {
        for file in &row.files {
            let path = record.output.join(file);
            let sidecar = sidecar::path_of(&path);
            if !sidecar::may_be_written(&sidecar) {
                problems.push(Problem::of_row(
                    row.row.number,
                    format!(
                        "{} is there already, and is no sidecar, which is written there; remove it, or choose another folder or --name",
                        sidecar.display()
                    ),
                ));
            }
            if path.symlink_metadata().is_ok() && !mine.contains(&path) {
                problems.push(Problem::of_row(
                    row.row.number,
                    format!(
                        "{} is there already, and is no picture of this batch; remove it, or choose another folder or --name",
                        path.display()
                    ),
                ));
            }
        }
    }
    problems
}

/// Why the budget has no room for a single row; a budget without room for all rows is told.
pub(super) async fn check_budget(
    session: &Session,
    record: &BatchRecord,
    bought: &Purchases,
    todo: &[&PlannedRow],
    printer: &Printer,
) -> Result<Option<String>, Failure> {
    let Some(budget) = record.budget else {
        return Ok(None);
    };
    let new = Todo::of(todo.iter().copied(), |row| {
        bought.get(&row.key(&record.name))
    })
    .to_buy;
    let client = &session.connection.client;
    let committed = session.journal.batch_committed(client, &record.name).await;
    let committed = committed?;
    let left = MicroDollars::new(budget.saturating_sub(committed.get()));
    let shown = MicroDollars::new(budget);
    // What the journal compares as well.
    let cheapest = new.iter().filter_map(|row| row.bound).min();
    if let Some(cheapest) = cheapest.filter(|cheapest| *cheapest > left) {
        return Ok(Some(format!(
            "the budget of {shown} has {left} left, and the cheapest row can cost {cheapest}"
        )));
    }
    let (sum, _) = Plan::price(new.iter().copied());
    if sum > left {
        printer.warn(&format!(
            "the budget of {shown} does not suffice: {left} are left, and the rows cost about {}; the run stops before the purchase that would exceed it",
            rounded(sum)
        ));
    }
    Ok(None)
}
