//! `uso list`: the recorded jobs.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use uso::{Client, MicroDollars};
use uso_journal::{Journal, Purchase};

use crate::args::{Global, ListArgs};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::journal;
use crate::price::rounded;
use crate::printer::Printer;
use crate::report::shown;

/// Jobs that are listed without `--all`.
const RECENT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Jobs that are read at a time.
const PAGE: u32 = 1000;

/// Characters of a request id that are shown; every command takes a start of an id.
const SHORT: usize = 8;

pub(crate) async fn run(
    global: &Global,
    args: &ListArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::open(global).await?;
    let journal = journal::open(global, &connection).await?;
    let jobs = read(&journal, &connection.client, args.all).await?;
    let mut lines = Vec::new();
    if !jobs.is_empty() {
        lines.push(format!(
            "{:5}  {:SHORT$}  {:9}  {:>4}  {:>6}  place",
            "id", "request", "state", "age", "cost"
        ));
        lines.extend(jobs.iter().map(line));
    }
    let documents: Vec<Value> = jobs.iter().map(to_json).collect();
    printer.data(&json!({ "jobs": documents }), &lines)?;
    let open = jobs.iter().filter(|job| !job.state.is_closed()).count();
    printer.say(match (jobs.len(), open) {
        (0, _) => "no job is recorded",
        (_, 0) => "nothing is unfinished",
        _ => "finish the open ones with: uso resume",
    });
    Ok(ExitCode::SUCCESS)
}

/// The recent jobs and those that are unfinished, newest first.
async fn read(journal: &Journal, client: &Client, all: bool) -> Result<Vec<Purchase>, Failure> {
    let since = SystemTime::now().checked_sub(RECENT).unwrap_or(UNIX_EPOCH);
    let mut read = Vec::new();
    loop {
        let mut page = journal.jobs(client).limit(PAGE);
        if let Some(last) = read.last().map(|job: &Purchase| job.id) {
            page = page.before(last);
        }
        let page = page.read().await?;
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    read.retain(|job| all || !job.state.is_closed() || job.changed_at >= since);
    Ok(read)
}

fn line(job: &Purchase) -> String {
    let request: String = job
        .request_id()
        .unwrap_or("-")
        .chars()
        .take(SHORT)
        .collect();
    format!(
        "{:5}  {request:SHORT$}  {:9}  {:>4}  {:>6}  {}",
        job.id.to_string(),
        job.state.as_str(),
        age(job.created_at),
        cost(job),
        shown(journal::place(job).as_ref()).display()
    )
}

/// The bill, or the upper bound that is reserved until there is one.
fn cost(job: &Purchase) -> String {
    match (job.cost.billed, job.cost.reserved) {
        (Some(billed), _) => rounded(billed),
        (None, Some(bound)) => format!("≤{}", rounded(bound)),
        (None, None) => "-".to_owned(),
    }
}

/// The age in its largest unit, such as `3m`.
fn age(since: SystemTime) -> String {
    let age = SystemTime::now().duration_since(since);
    let seconds = age.unwrap_or(Duration::ZERO).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A job without its input, whose prompt is private.
pub(crate) fn to_json(job: &Purchase) -> Value {
    let seconds = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_secs()
    };
    let paths = job
        .pictures
        .iter()
        .map(|saved| saved.path.to_string_lossy());
    json!({
        "id": job.id,
        "request_id": job.request_id(),
        "state": job.state,
        "reason": job.reason,
        "attempt": job.attempt,
        "batch": job.batch,
        "created_at": seconds(job.created_at),
        "changed_at": seconds(job.changed_at),
        "estimate_micro_dollars": job.cost.estimate.map(MicroDollars::get),
        "reserved_micro_dollars": job.cost.reserved.map(MicroDollars::get),
        "billed_micro_dollars": job.cost.billed.map(MicroDollars::get),
        "origin": job.origin,
        "place": journal::place(job),
        "paths": paths.collect::<Vec<_>>(),
    })
}
