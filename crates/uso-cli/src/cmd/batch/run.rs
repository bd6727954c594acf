//! `uso batch run`: plans a manifest, and buys what is not done yet.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;
use uso::MicroDollars;

use super::checks::{check_budget, refuse_changes, taken_files};
use super::new::text;
use super::offer;
use crate::args::{BatchRunArgs, Global};
use crate::batch::changes::Changes;
use crate::batch::manifest_rows::column_name;
use crate::batch::plan::{Plan, Wishes};
use crate::batch::planned_row::PlannedRow;
use crate::batch::problem::Problem;
use crate::batch::problems::Problems;
use crate::batch::purchases;
use crate::batch::record::{BatchRecord, check_name, now};
use crate::batch::row::Row;
use crate::batch::session::Session;
use crate::batch::tally::Tally;
use crate::batch::todo::Todo;
use crate::batch::vary::Variation;
use crate::batch::{going_on, manifest, plan_text, report};
use crate::failure::Failure;
use crate::printer::Printer;
use crate::reservation;
use crate::spending;

pub(crate) async fn run(
    global: &Global,
    args: &BatchRunArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    if let Some(name) = &args.rows.batch {
        check_name(name)?;
    }
    if args.rows.offer && args.pace.listen.is_some() {
        return Err(Failure::usage(
            "--listen cannot be used with --offer, which buys nothing; give it to uso batch work",
        ));
    }
    let (rows, problems) = rows(args)?;
    // Without a key there is no account, and still a plan to show.
    let session = match args.money.dry_run {
        true => Session::dry(global, printer).await,
        false => Session::paced(global, &args.pace).await,
    };
    let source = std::path::absolute(&args.source).unwrap_or_else(|_| args.source.clone());
    let before = session
        .as_ref()
        .ok()
        .and_then(|session| match &args.rows.batch {
            Some(name) => session.records.find(Some(name)).ok(),
            None => session.records.of_source(&source),
        });
    let template = before.as_ref().and_then(|before| before.template.clone());
    let wishes = Wishes {
        name: args.output.name.clone().or(template),
        max_cost: args.money.limit.max_cost,
    };
    let mut plan = Plan::of(rows, problems, &wishes).await;
    let mut problems = std::mem::take(&mut plan.problems);
    let session = match session {
        Err(_) if !problems.is_empty() => return Err(plan_text::refuse(&problems, printer)),
        Err(_) if args.money.dry_run => {
            write_sheet(args, &plan, printer)?;
            let todo = Todo::of(plan.rows.iter(), |_| None);
            return dry_run(&plan, &todo, None, printer);
        }
        session => session?,
    };
    let name = match (&before, &args.rows.batch) {
        (Some(before), _) => before.name.clone(),
        (None, Some(name)) => name.clone(),
        (None, None) => new_name(&session, &source).await?,
    };
    let record = record(name, args, &source, before.as_ref());
    let client = &session.connection.client;
    let bought = purchases::read(&session.journal, client, &record.name).await?;
    let todo = Todo::of(plan.rows.iter(), |row| bought.get(&row.key(&record.name)));
    // Of rows with problems, too, the names and the prices are looked at.
    let all: Vec<&PlannedRow> = todo.rows.iter().copied().chain(&plan.refused).collect();
    problems.extend(taken_files(&record, &bought, &all));
    let short = check_budget(&session, &record, &bought, &all, printer).await?;
    if !problems.is_empty() {
        problems.extend(short.map(Problem::whole));
        return Err(plan_text::refuse(&problems, printer));
    }
    write_sheet(args, &plan, printer)?;
    let old_rows = match &before {
        Some(before) => Some(session.records.rows(&before.name)?),
        None => None,
    };
    let changes = Changes::of(&record.name, &plan.rows, old_rows.as_deref(), &bought);
    refuse_changes(&changes, args, printer)?;
    if let Some(short) = short {
        let failure = Failure::budget(format!("{short}; nothing was sent"));
        return Err(failure.with_hint("raise --budget"));
    }
    if !todo.rows.is_empty() {
        going_on::refuse_other_accounts(&session, &record).await?;
    }
    if args.money.dry_run {
        let bounds = todo.to_buy.iter().filter_map(|row| row.bound);
        let bound = MicroDollars::new(bounds.map(MicroDollars::get).sum());
        let caps = spending::warn_of_caps(&session.journal, client, bound, printer).await;
        return dry_run(&plan, &todo, caps.as_deref(), printer);
    }
    for line in plan_text::summary(&plan, &todo) {
        printer.say(&line);
    }
    // Before the record, which knows the rows of the last offer.
    let taken_back = match args.rows.offer {
        true => offer::take_back(&session, &record.name, &plan.rows, &changes, &bought).await?,
        false => 0,
    };
    let frozen: Vec<Row> = plan.rows.iter().map(|row| row.row.clone()).collect();
    if before.is_some() {
        session.records.write(&record, Some(&frozen))?;
    } else if !session
        .records
        .begin(&record, &frozen, args.rows.batch.is_some())?
    {
        // Another process began this batch meanwhile; both go on with it.
        return Box::pin(run(global, args, printer)).await;
    }
    reservation::writable_folder(&record.output)?;
    going_on::write_missing_sidecars(&session, &record, &bought, &plan.rows, printer).await?;
    let tally = Tally {
        total: plan.rows.len(),
        done_before: plan.rows.len() - todo.rows.len(),
        ..Tally::default()
    };
    let todo: Vec<PlannedRow> = todo.rows.into_iter().cloned().collect();
    if args.rows.offer {
        return offer::offer(&session, &record, todo, taken_back, printer).await;
    }
    going_on::run(&session, &record, &bought, todo, tally, printer).await
}

/// The rows of the manifest with the defaults and variations of the command line.
fn rows(args: &BatchRunArgs) -> Result<(Vec<Row>, Problems), Failure> {
    let manifest = manifest::read(&args.source)?;
    let options = &args.rows;
    let mut defaults = Vec::new();
    for style in &options.style {
        defaults.push(("style".to_owned(), text(style)?));
    }
    let prompt = options.prompt.iter().cloned();
    defaults.extend(prompt.map(|prompt| ("prompt".to_owned(), prompt)));
    for pair in &options.set {
        let (column, value) = pair.split_once('=').ok_or_else(|| {
            Failure::usage(format!("--set: {pair:?} has no = between column and value"))
        })?;
        defaults.push((column_name(column), value.trim().to_owned()));
    }
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let mut rows = manifest.rows;
    for row in &mut rows {
        row.complete(&defaults);
    }
    for vary in &options.vary {
        rows = Variation::parse(vary)?.apply(rows);
    }
    for row in &mut rows {
        row.resolve(&here);
    }
    if rows.is_empty() && manifest.problems.is_empty() {
        return Err(Failure::input("the manifest has no rows; nothing was sent")
            .with_hint("the first row of a CSV file names the columns, such as content,style; uso batch new DIR writes one"));
    }
    Ok((rows, manifest.problems))
}

/// The name of a batch that has no record. Rows that the journal has under this name may be those of
/// this manifest, or of another one: only the caller knows whether they are to be bought again.
async fn new_name(session: &Session, source: &Path) -> Result<String, Failure> {
    let name = session.records.free_name(source);
    let jobs = session.journal.jobs(&session.connection.client);
    let rows = jobs.batch(&name).count().await?;
    let rows: u64 = rows.iter().map(|(_, count)| count).sum();
    // Another process may have begun this batch meanwhile; both go on with it.
    if rows == 0 || session.records.of_source(source).is_some() {
        return Ok(name);
    }
    let rows = plan_text::counted(usize::try_from(rows).unwrap_or(usize::MAX), "row");
    let message = format!(
        "the journal has {rows} of a batch {name}, and no record says which manifest it had; nothing was sent"
    );
    let source = source.display();
    Err(Failure::usage(message).with_hint(format!(
        "to go on with it: uso batch run {source} --batch {name}; to buy every row as a batch of its own, give another name: --batch NAME"
    )))
}

/// The record of this run: what the command line says, and otherwise what held before.
fn record(
    name: String,
    args: &BatchRunArgs,
    source: &Path,
    before: Option<&BatchRecord>,
) -> BatchRecord {
    let usual = || {
        let stem = source.file_stem().unwrap_or_default().to_string_lossy();
        source.with_file_name(format!("{stem}-pictures"))
    };
    let output = args.output.output.as_ref();
    let output = output.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    BatchRecord {
        name,
        source: source.to_owned(),
        output: output
            .or_else(|| before.map(|before| before.output.clone()))
            .unwrap_or_else(usual),
        template: args
            .output
            .name
            .clone()
            .or(before.and_then(|before| before.template.clone())),
        budget: args
            .money
            .batch
            .budget
            .map(MicroDollars::get)
            .or(before.and_then(|before| before.budget)),
        concurrency: args
            .pace
            .concurrency
            .or(before.and_then(|before| before.concurrency)),
        locked_for: args
            .pace
            .locked_for
            .map(|time| time.as_secs())
            .or(before.and_then(|before| before.locked_for)),
        ran_at: now(),
    }
}

fn write_sheet(args: &BatchRunArgs, plan: &Plan, printer: &Printer) -> Result<(), Failure> {
    let Some(file) = &args.money.sheet else {
        return Ok(());
    };
    let rows = plan.rows.iter().map(|row| (&row.row, row.price));
    let title = format!("Contact sheet of {}", args.source.display());
    report::write_sheet(&title, rows, file)?;
    printer.say(&format!("the contact sheet is {}", file.display()));
    Ok(())
}

fn dry_run(
    plan: &Plan,
    todo: &Todo<'_>,
    caps: Option<&[Value]>,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    for line in plan_text::summary(plan, todo) {
        printer.say(&line);
    }
    printer.say(match todo.to_buy.is_empty() {
        true => "nothing is sent, and nothing would be bought",
        false => "nothing is sent; these would be bought:",
    });
    let rows = plan_text::rows(&todo.to_buy);
    printer.data(&plan_text::to_json(plan, todo, caps), &rows)?;
    Ok(ExitCode::SUCCESS)
}
