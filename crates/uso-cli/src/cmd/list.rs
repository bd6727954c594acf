//! `uso list`: the recorded jobs.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use uso::MicroDollars;
use uso_journal::{Jobs, Purchase, State};

use crate::args::{Global, ListArgs};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::journal;
use crate::price::rounded;
use crate::printer::Printer;
use crate::report::shown;

/// Jobs that are listed without `--all`: so many, and not older.
const NEWEST: u32 = 50;
const RECENT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Characters of a request id that are shown; every command takes a start of an id.
const SHORT: usize = 8;

pub(crate) async fn run(
    global: &Global,
    args: &ListArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::open(global).await?;
    let journal = journal::open(global, &connection).await?;
    let jobs = journal.jobs(&connection.client);
    let mut listing = Listing::new(printer);
    match args.all {
        true => listing.add_all(jobs).await?,
        false => add_recent(&mut listing, jobs).await?,
    }
    listing.end()?;
    let (listed, open) = (listing.listed, listing.open);
    let all: u64 = journal
        .jobs(&connection.client)
        .count()
        .await?
        .iter()
        .map(|(_, count)| count)
        .sum();
    if all > listed {
        printer.say(&format!(
            "{listed} of {all} jobs; every one is listed by: uso list --all"
        ));
    }
    journal::warn_of_other_accounts(&journal, &connection.client, printer).await?;
    printer.say(match (listed, open) {
        (0, _) => "no job is recorded",
        (_, 0) => "nothing is unfinished",
        _ => "finish the open ones with: uso resume",
    });
    Ok(ExitCode::SUCCESS)
}

/// The newest jobs of the last weeks, and every older one that is unfinished.
async fn add_recent(listing: &mut Listing<'_>, jobs: Jobs) -> Result<(), Failure> {
    let since = SystemTime::now().checked_sub(RECENT).unwrap_or(UNIX_EPOCH);
    let mut jobs = jobs.limit(NEWEST);
    for job in &jobs.next_page().await? {
        if !job.state.is_closed() || job.changed_at >= since {
            listing.add(job)?;
        }
    }
    let open = State::ALL.into_iter().filter(|state| !state.is_closed());
    // The page after the newest.
    listing.add_all(jobs.states(open)).await
}

/// A list whose lines are printed while it is read, however long it is.
struct Listing<'a> {
    printer: &'a Printer,
    listed: u64,
    open: u64,
    /// The jobs as JSON: one document, which is printed only when every job is read.
    json: String,
}

impl<'a> Listing<'a> {
    fn new(printer: &'a Printer) -> Self {
        Self {
            printer,
            listed: 0,
            open: 0,
            json: String::new(),
        }
    }

    async fn add_all(&mut self, jobs: Jobs) -> Result<(), Failure> {
        journal::each(jobs, |job| self.add(&job)).await
    }

    fn add(&mut self, job: &Purchase) -> Result<(), Failure> {
        let is_first = self.listed == 0;
        self.listed += 1;
        self.open += u64::from(!job.state.is_closed());
        if self.printer.json {
            if !is_first {
                self.json.push(',');
            }
            self.json.push_str(&to_json(job).to_string());
            return Ok(());
        }
        let mut lines = Vec::new();
        if is_first {
            lines.push(format!(
                "{:5}  {:SHORT$}  {:9}  {:>4}  {:>6}  place",
                "id", "request", "state", "age", "cost"
            ));
        }
        lines.push(line(job));
        self.printer.data(&Value::Null, &lines)
    }

    fn end(&self) -> Result<(), Failure> {
        match self.printer.json {
            true => self
                .printer
                .json_text(&format!("{{\"jobs\":[{}]}}", self.json)),
            false => Ok(()),
        }
    }
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
