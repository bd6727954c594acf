//! `uso resume`: finishes everything that was bought and not saved.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use uso::purchase::Recovery;
use uso::{Client, ErrorKind, Event, Job};

use crate::args::{CollectOptions, Global, ResumeArgs};
use crate::cmd::result::PlaceToSave;
use crate::connection::Connection;
use crate::exit_code::{OTHER, OUTCOME_UNKNOWN, worst};
use crate::failure::Failure;
use crate::printer::Printer;
use crate::progress::{describe, interruption};
use crate::recorded_jobs;
use crate::records::{Entry, Record, State, Taken, forget, is_over, may_be_elsewhere};
use crate::saving::{Saving, save};
use crate::signals::Signals;

/// How many are finished at once.
const AT_ONCE: usize = 4;

/// How long after its start deadline a purchase may take to appear among the account's requests.
const MARGIN: Duration = Duration::from_secs(60);

/// After the start deadline, how long a delivery may still prove a purchase that is announced: the
/// job runs, and fal delivers for an hour.
const DELIVERY_MARGIN: Duration = Duration::from_secs(24 * 3600);

/// The outcome of one record.
struct Outcome {
    code: u8,
    request_id: Option<String>,
    document: Value,
}

/// What the work on every record needs.
#[derive(Clone)]
struct Collector {
    client: Client,
    origin: String,
    wanted: Vec<String>,
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
    let state = State::locate()?;
    state.tidy();
    let mut waiting = state.records()?.into_iter();
    if waiting.len() == 0 && args.ids.is_empty() {
        printer.data(&json!({ "resumed": [] }), &[])?;
        printer.say("nothing is unfinished");
        return Ok(ExitCode::SUCCESS);
    }
    let connection = Connection::configured(global, |config| match args.timeout {
        Some(limit) => config.finish_within(limit),
        None => config,
    })
    .await?;
    let origin = connection.origin();
    let wanted = args
        .ids
        .iter()
        .map(|id| recorded_jobs::resolve(&origin, Some(id)));
    let wanted = wanted.collect::<Result<Vec<String>, Failure>>()?;
    let mut signals = Signals::listen()
        .map_err(|error| Failure::other(format!("signals cannot be received: {error}")))?;
    let collector = Collector {
        client: connection.client.clone(),
        origin,
        wanted: wanted.clone(),
        options: Arc::new(args.output.clone()),
        printer: *printer,
    };
    let mut working = JoinSet::new();
    let mut outcomes: Vec<Outcome> = Vec::new();
    loop {
        while working.len() < AT_ONCE
            && let Some(path) = waiting.next()
        {
            let collector = collector.clone();
            working.spawn(async move { collector.finish(path).await });
        }
        tokio::select! {
            ended = working.join_next() => match ended {
                Some(Ok(outcome)) => outcomes.extend(outcome),
                Some(Err(error)) => {
                    printer.warn(&format!("a record was given up: {error}"));
                    outcomes.push(Outcome { code: OTHER, request_id: None, document: Value::Null });
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
    for id in &wanted {
        let seen = |outcome: &Outcome| outcome.request_id.as_ref() == Some(id);
        if !outcomes.iter().any(seen) {
            printer.warn(&format!(
                "{id}: it is not recorded; fetch it with: uso result {id}"
            ));
            outcomes.push(Outcome {
                code: OTHER,
                request_id: Some(id.clone()),
                document: json!({ "request_id": id, "outcome": "not_noted" }),
            });
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
    /// Finishes one record as far as it can be; nothing when it was not asked for.
    async fn finish(&self, path: PathBuf) -> Option<Outcome> {
        let taken = match State::take(path.clone()) {
            Ok(taken) => taken,
            Err(error) => return self.unreadable(&path, &error.to_string()),
        };
        let entry = match taken {
            Taken::Entry(entry) => *entry,
            Taken::Finished => return None,
            Taken::Unreadable(why) => return self.unreadable(&path, &why),
            Taken::Busy => {
                let record = Record::peek(&path)?;
                return self
                    .is_wanted(&record)
                    .then(|| self.skip(&record, "busy", "another process works on it"));
            }
        };
        if !self.is_wanted(&entry.record) {
            return None;
        }
        if entry.record.origin != self.origin {
            let why = format!("skipped: it belongs to {}", entry.record.origin);
            return Some(self.skip(&entry.record, "other_origin", &why));
        }
        Some(match entry.record.ticket.clone() {
            Some(ticket) => self.collect(entry, self.client.job(ticket)).await,
            None => self.look(entry).await,
        })
    }

    fn is_wanted(&self, record: &Record) -> bool {
        let id = record.request_id();
        self.wanted.is_empty() || id.is_some_and(|id| self.wanted.iter().any(|wanted| wanted == id))
    }

    /// Looks for a purchase whose answer never came.
    async fn look(&self, mut entry: Entry) -> Outcome {
        let intent = entry.record.intent.clone();
        match self.client.recover(&intent).await {
            Ok(Recovery::Found(job)) => {
                let id = job.ticket().request_id();
                self.printer
                    .say(&format!("{}: found as {id}", label(&entry.record)));
                if let Err(error) = entry.bought(job.ticket()) {
                    self.printer
                        .warn(&format!("{id} could not be recorded: {error}"));
                }
                self.collect(entry, job).await
            }
            Ok(Recovery::NotYet { .. } | Recovery::NotBought) => {
                let margin = match intent.has_webhook() {
                    true => DELIVERY_MARGIN,
                    false => MARGIN,
                };
                let known_at = intent.made_at() + intent.start_within() + margin;
                let account = self.client.config().account();
                if entry
                    .record
                    .account
                    .as_ref()
                    .is_some_and(|own| *own != account)
                {
                    let line = "it was bought with another key, whose requests this one does not see; set FAL_KEY to that one";
                    return self.told(&entry.record, OUTCOME_UNKNOWN, "other_account", line);
                }
                match known_at.duration_since(SystemTime::now()) {
                    Ok(left) if !left.is_zero() => {
                        let line = format!(
                            "not yet known whether it was accepted; look again with uso resume, in {} s at the latest",
                            left.as_secs() + 1
                        );
                        self.told(&entry.record, OUTCOME_UNKNOWN, "not_yet_known", &line)
                    }
                    _ => {
                        let line = "it was most likely never accepted: its start deadline has passed, and it is not among the account's requests";
                        let outcome = self.told(&entry.record, OTHER, "never_accepted", line);
                        forget(entry, &self.printer);
                        outcome
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::Auth => {
                let line = format!(
                    "the key may not read the account's requests ({error}), so it cannot be looked up; look in fal's dashboard, and remove {} when it is settled",
                    entry.path().display()
                );
                self.told(
                    &entry.record,
                    OUTCOME_UNKNOWN,
                    "listing_not_permitted",
                    &line,
                )
            }
            Ok(Recovery::Undecidable { candidates, why }) => {
                let candidates = match candidates.is_empty() {
                    true => String::new(),
                    false => format!("; it may be one of: {}", candidates.join(", ")),
                };
                let line = format!(
                    "it is not known whether it was accepted: {why}{candidates}; remove {} when it is settled",
                    entry.path().display()
                );
                self.told(&entry.record, OUTCOME_UNKNOWN, "undecidable", &line)
            }
            Ok(_) => self.told(
                &entry.record,
                OUTCOME_UNKNOWN,
                "unknown",
                "it is not known whether it was accepted",
            ),
            Err(error) => self.failed(&entry.record.clone(), Failure::from(error)),
        }
    }

    /// Waits for a job and saves its pictures.
    async fn collect(&self, entry: Entry, job: Job) -> Outcome {
        let id = job.ticket().request_id().to_owned();
        let printer = self.printer;
        let mut interruptions: u32 = 0;
        let waited = job.wait_with(|event| match event {
            Event::Log(_) => {}
            // As long as the service is down: fewer and fewer lines.
            Event::Interrupted(why) => {
                interruptions = interruptions.saturating_add(1);
                if interruptions.is_power_of_two() {
                    let host = self.client.config().base_urls().queue().host_str();
                    let host = host.unwrap_or("the service");
                    printer.say(&format!("{id}: {}", interruption(host, why)));
                }
            }
            event => {
                interruptions = 0;
                printer.say(&format!("{id}: {}", describe(event)));
            }
        });
        let output = match waited.await {
            Ok(output) => output,
            Err(error) => {
                let over = is_over(&error);
                if may_be_elsewhere(&error) {
                    printer.warn(&format!(
                        "{id}: it stays recorded for an hour from its purchase, in case it was bought with another key"
                    ));
                }
                let outcome = self.failed(&entry.record, Failure::from(error));
                if over {
                    entry.record.target.give_back();
                    forget(entry, &self.printer);
                }
                return outcome;
            }
        };
        let recorded = entry.record.target.clone();
        let mut place = match PlaceToSave::of(&self.options, Some(recorded)) {
            Ok(place) => place,
            Err(failure) => return self.failed(&entry.record, failure),
        };
        let taken = match place.take(output.images().len(), &job) {
            Ok(taken) => taken,
            Err(failure) => return self.failed(&entry.record, failure),
        };
        let saving = Saving {
            place: taken,
            extension: entry.record.extension.as_deref(),
            preview: self.options.preview,
            open: self.options.open,
        };
        let saved = save(&output, &job, saving).await;
        let complete = saved.complete;
        let mut document = saved.document.clone();
        let shown = saved.show(&self.printer, &id);
        let mut outcome = match shown.and(saved.into_outcome()) {
            Ok(code) => Outcome {
                code,
                request_id: Some(id),
                document: json!({ "outcome": "saved" }),
            },
            Err(failure) => self.failed(&entry.record, failure),
        };
        if let (Some(all), Value::Object(more)) = (document.as_object_mut(), outcome.document) {
            all.extend(more);
        }
        outcome.document = document;
        if complete {
            entry.record.target.give_back();
            forget(entry, &self.printer);
        }
        outcome
    }

    fn failed(&self, record: &Record, failure: Failure) -> Outcome {
        let code = failure.number();
        let mut document = failure.to_json();
        if let Some(fields) = document.as_object_mut() {
            fields.insert("request_id".to_owned(), json!(record.request_id()));
            fields.insert("target".to_owned(), json!(record.target));
            fields.insert("outcome".to_owned(), json!("failed"));
        }
        if !self.printer.json {
            self.printer.failure(&failure.at(&label(record)));
        }
        Outcome {
            code,
            request_id: record.request_id().map(str::to_owned),
            document,
        }
    }

    fn skip(&self, record: &Record, word: &str, why: &str) -> Outcome {
        self.told(record, 0, word, why)
    }

    fn told(&self, record: &Record, code: u8, word: &str, line: &str) -> Outcome {
        self.printer.warn(&format!("{}: {line}", label(record)));
        Outcome {
            code,
            request_id: record.request_id().map(str::to_owned),
            document: json!({
                "request_id": record.request_id(),
                "target": record.target,
                "outcome": word,
                "message": line,
            }),
        }
    }

    fn unreadable(&self, path: &std::path::Path, why: &str) -> Option<Outcome> {
        if !self.wanted.is_empty() {
            return None;
        }
        let path = path.display().to_string();
        self.printer.warn(&format!("{path} is left alone: {why}"));
        Some(Outcome {
            code: OTHER,
            request_id: None,
            document: json!({ "record": path, "outcome": "unreadable", "message": why }),
        })
    }
}

/// The id, or while there is none, where the pictures were to go.
fn label(record: &Record) -> String {
    match record.request_id() {
        Some(id) => id.to_owned(),
        None => format!("the purchase for {}", record.target.shown()),
    }
}
