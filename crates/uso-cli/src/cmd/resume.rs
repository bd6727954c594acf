//! `uso resume`: finishes everything that was bought and not saved.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use uso::{Client, Event};
use uso_journal::{Cause, Journal, Progress as Step, Purchase, State};

use crate::args::{CollectOptions, Global, ResumeArgs};
use crate::batch::plan_text::counted;
use crate::cmd::generate::COMMAND_KEY;
use crate::cmd::list::to_json;
use crate::cmd::result::Place;
use crate::connection::Connection;
use crate::document::merged;
use crate::exit_code::{OTHER, OUTCOME_UNKNOWN, worst};
use crate::failure::Failure;
use crate::journal::{self, shown_id};
use crate::printer::Printer;
use crate::progress::{describe, interruption};
use crate::report::Report;
use crate::reservation;
use crate::signals::Signals;

/// How many are finished at once.
const AT_ONCE: usize = 4;

/// The outcome of one job.
struct Outcome {
    code: u8,
    document: Value,
}

/// What the work on every job needs.
#[derive(Clone)]
struct Collector {
    journal: Journal,
    client: Client,
    options: Arc<CollectOptions>,
    printer: Printer,
}

pub(crate) async fn run(
    global: &Global,
    args: &ResumeArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    if global.emulator {
        return Err(Failure::usage(
            "--emulator starts a new emulator, which has nothing to resume",
        )
        .with_hint("use an emulator that still runs with --base-url"));
    }
    if args.output.output.is_some() && args.ids.len() != 1 {
        return Err(
            Failure::usage("-o names the place of one job, and uso resume finishes all")
                .with_hint("give the id of the job: uso resume ID -o FILE"),
        );
    }
    let connection = Connection::waiting(global, args.timeout).await?;
    let collector = Collector {
        journal: journal::open(global, &connection).await?,
        client: connection.client.clone(),
        options: Arc::new(args.output.clone()),
        printer: *printer,
    };
    for (path, why) in journal::import(global, &collector.journal, &collector.client).await? {
        printer.warn(&format!("{} is left alone: {why}", path.display()));
    }
    if args.ids.is_empty() {
        let (journal, client) = (&collector.journal, &collector.client);
        journal::warn_of_other_accounts(journal, client, printer).await?;
    }
    let (mut waiting, mut outcomes, others_are_left) = match &args.ids[..] {
        [] => {
            let (waiting, left) = collector.unfinished().await?;
            (waiting, Vec::new(), left > 0)
        }
        ids => {
            let (waiting, outcomes) = collector.find(ids).await?;
            (waiting, outcomes, false)
        }
    };
    if waiting.is_empty() && outcomes.is_empty() {
        printer.data(&json!({ "resumed": [] }), &[])?;
        if !others_are_left {
            printer.say("nothing is unfinished");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut signals = Signals::listen().map_err(Failure::no_signals)?;
    let mut working = JoinSet::new();
    loop {
        while working.len() < AT_ONCE
            && let Some(purchase) = waiting.pop_front()
        {
            let collector = collector.clone();
            working.spawn(async move { collector.finish(purchase).await });
        }
        tokio::select! {
            ended = working.join_next() => match ended {
                Some(Ok(outcome)) => outcomes.push(outcome),
                Some(Err(error)) => {
                    printer.warn(&format!("the work on a job ended early: {error}"));
                    outcomes.push(Outcome { code: OTHER, document: Value::Null });
                }
                None => break,
            },
            signal = signals.next() => {
                let documents: Vec<Value> =
                    outcomes.into_iter().map(|outcome| outcome.document).collect();
                return Err(Failure::interrupted(signal, "interrupted: what is unfinished stays recorded")
                    .with_hint("go on with: uso resume")
                    .with_partial(json!({ "resumed": documents })));
            }
        }
    }
    let code = worst(outcomes.iter().map(|outcome| outcome.code));
    let documents: Vec<Value> = outcomes
        .into_iter()
        .map(|outcome| outcome.document)
        .collect();
    if printer.json {
        printer.data(&json!({ "resumed": documents, "exit_code": code }), &[])?;
    }
    Ok(ExitCode::from(code))
}

impl Collector {
    /// All that are unfinished, oldest first and those that are bought before the others; and how many
    /// rows are left to the batches, workers and agents that buy them.
    async fn unfinished(&self) -> Result<(VecDeque<Purchase>, usize), Failure> {
        let open = State::ALL.into_iter().filter(|state| !state.is_closed());
        let jobs = self.journal.jobs(&self.client).states(open);
        let mut open = jobs.read_all().await?;
        let all = open.len();
        open.retain(|purchase| !was_never_sent(purchase) || is_of_command(purchase));
        let left = all - open.len();
        if left > 0 {
            let rows = counted(left, "row");
            let wait = if left == 1 { "waits" } else { "wait" };
            self.printer.say(&format!(
                "{rows} {wait} for the batch, worker or agent that buys them, and stay as they are"
            ));
        }
        open.reverse();
        open.sort_by_key(|purchase| purchase.state != State::Submitted);
        Ok((open.into(), left))
    }

    /// The jobs that are asked for, and what is wrong with an id.
    async fn find(&self, ids: &[String]) -> Result<(VecDeque<Purchase>, Vec<Outcome>), Failure> {
        let mut outcomes = Vec::new();
        let mut found = VecDeque::new();
        for id in ids {
            match journal::find(&self.journal, &self.client, Some(id)).await? {
                Some(purchase) => found.push_back(purchase),
                None => {
                    self.printer.warn(&format!(
                        "{id}: it is not recorded; fetch it with: uso result {id}"
                    ));
                    let document = json!({ "request_id": id, "outcome": "not_recorded" });
                    outcomes.push(Outcome {
                        code: OTHER,
                        document,
                    });
                }
            }
        }
        Ok((found, outcomes))
    }

    /// Finishes one job as far as it can be.
    async fn finish(&self, purchase: Purchase) -> Outcome {
        if was_never_sent(&purchase) {
            return self.never_sent(purchase).await;
        }
        let label = shown_id(&purchase);
        let place = match Place::of(&self.options, &self.journal, &self.printer) {
            Ok(place) => place,
            Err(failure) => return self.failed(&purchase, failure),
        };
        let before = purchase.clone();
        let tell = self.teller(&label);
        let (purchase, failure) = match place.collect(&self.client, true, purchase, tell).await {
            Ok(collected) => collected,
            Err(failure) if failure.is_busy() => {
                return self.told(&before, 0, "busy", "another process works on it");
            }
            Err(failure) => return self.failed(&before, failure),
        };
        if purchase.state == State::Unknown {
            return self.unknown(&purchase);
        }
        if let (None, Some(id)) = (before.request_id(), purchase.request_id()) {
            self.printer.say(&format!("{label}: found as {id}"));
        }
        let report = Report::of(&purchase, failure);
        let document = report.document.clone();
        let shown = report.show(&place.show(), &self.printer, &shown_id(&purchase));
        let mut outcome = match shown.and(report.into_outcome()) {
            Ok(code) => Outcome {
                code,
                document: json!({ "outcome": "saved" }),
            },
            Err(failure) => self.failed(&purchase, failure),
        };
        outcome.document = merged(document, outcome.document);
        outcome
    }

    /// Closes a purchase whose process ended before anything was sent.
    async fn never_sent(&self, purchase: Purchase) -> Outcome {
        match self.journal.cancel(&self.client, purchase.id).await {
            Ok(_) => {
                reservation::release(purchase.target.as_ref());
                let line = "nothing was sent and nothing was bought; run the command again";
                self.told(&purchase, 0, "never_sent", line)
            }
            Err(error) => self.failed(&purchase, error.into()),
        }
    }

    /// Progress of one job in lines that name it.
    fn teller(&self, label: &str) -> impl Fn(&Step) + Send + Sync + 'static {
        let (printer, label) = (self.printer, label.to_owned());
        let host = self.client.config().base_urls().queue().host_str();
        let host = host.unwrap_or("the service").to_owned();
        let interruptions = AtomicU32::new(0);
        move |step| match step {
            Step::Warning(warning) => printer.warn(&format!("{label}: {warning}")),
            // As long as the service is down: fewer and fewer lines.
            Step::Job(Event::Interrupted(why)) => {
                let count = interruptions
                    .fetch_add(1, Ordering::Relaxed)
                    .saturating_add(1);
                if count.is_power_of_two() {
                    printer.say(&format!("{label}: {}", interruption(&host, why)));
                }
            }
            Step::Job(Event::Log(_)) => {}
            Step::Job(event) => {
                interruptions.store(0, Ordering::Relaxed);
                printer.say(&format!("{label}: {}", describe(event)));
            }
            _ => {}
        }
    }

    /// A purchase that the account's listing does not show, or not for certain.
    fn unknown(&self, purchase: &Purchase) -> Outcome {
        let reason = purchase.reason.as_ref();
        let give_up = format!("give it up with: uso cancel --write-off {}", purchase.id);
        let message = reason.map_or("", |reason| reason.message.as_str());
        let (word, line) = match reason.map(|reason| reason.cause) {
            Some(Cause::NotYetListed) => (
                "not_yet_known",
                format!(
                    "not yet known whether it was accepted: {message}; look again with uso resume"
                ),
            ),
            Some(Cause::NotListed) => (
                "not_listed",
                format!(
                    "it was most likely never accepted: its start deadline has passed, and it is not among the account's requests; {give_up}"
                ),
            ),
            Some(Cause::Undecidable) => (
                "undecidable",
                format!(
                    "it is not known whether it was accepted: {message}; look in fal's dashboard, then {give_up}"
                ),
            ),
            _ => (
                "unknown",
                "it is not known whether it was accepted".to_owned(),
            ),
        };
        self.told(purchase, OUTCOME_UNKNOWN, word, &line)
    }

    fn failed(&self, purchase: &Purchase, failure: Failure) -> Outcome {
        let code = failure.number();
        let document = merged(
            failure.to_json(),
            merged(to_json(purchase), json!({ "outcome": "failed" })),
        );
        if !self.printer.json {
            self.printer.failure(&failure.at(&shown_id(purchase)));
        }
        Outcome { code, document }
    }

    fn told(&self, purchase: &Purchase, code: u8, word: &str, line: &str) -> Outcome {
        self.printer
            .warn(&format!("{}: {line}", shown_id(purchase)));
        let told = json!({ "outcome": word, "message": line });
        Outcome {
            code,
            document: merged(to_json(purchase), told),
        }
    }
}

fn was_never_sent(purchase: &Purchase) -> bool {
    matches!(purchase.state, State::Pending | State::Reserved) && !purchase.in_work
}

/// Whether one run of a command made the purchase: no later run goes on with it.
fn is_of_command(purchase: &Purchase) -> bool {
    purchase.key.starts_with(COMMAND_KEY)
}
