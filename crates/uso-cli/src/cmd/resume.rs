//! `uso resume`: finishes everything that was bought and not saved.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use uso::{Client, ErrorKind, Event, Job};

use crate::args::{Global, ResumeArgs};
use crate::cmd::connect::Connection;
use crate::cmd::purchase::forget;
use crate::cmd::save::{Place, save};
use crate::exit::{Failure, OTHER, OUTCOME_UNKNOWN, worst};
use crate::output::Printer;
use crate::progress::describe;
use crate::signals::Signals;
use crate::state::{Entry, Record, State, Taken, is_over, may_be_elsewhere};

/// How many are finished at once.
const AT_ONCE: usize = 4;

/// How long after its start deadline a purchase may take to appear among the account's requests.
const MARGIN: Duration = Duration::from_secs(60);

/// After the start deadline, how long a delivery may still prove a purchase that is announced: the
/// job runs, and fal delivers for an hour.
const DELIVERY_MARGIN: Duration = Duration::from_secs(24 * 3600);

/// What became of one record.
struct Outcome {
    code: u8,
    request_id: Option<String>,
    document: Value,
}

/// What every record's work needs.
#[derive(Clone)]
struct Desk {
    client: Client,
    origin: String,
    wanted: Vec<String>,
    printer: Printer,
}

pub(crate) async fn run(
    global: &Global,
    args: &ResumeArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    if global.emulator {
        return Err(
            Failure::usage("--emulator starts a new one, which has nothing to resume")
                .with_hint("use an emulator that still runs with --base-url"),
        );
    }
    let state = State::locate()?;
    state.tidy();
    let mut waiting = state.records()?.into_iter();
    if waiting.len() == 0 && args.request_id.is_empty() {
        printer.data(&json!({ "resumed": [] }), &[]);
        printer.say("nothing is unfinished");
        return Ok(ExitCode::SUCCESS);
    }
    let connection = Connection::open(global).await?;
    let mut signals = Signals::listen().map_err(|error| Failure::other(error.to_string()))?;
    let desk = Desk {
        client: connection.client.clone(),
        origin: connection.origin(),
        wanted: args.request_id.clone(),
        printer: *printer,
    };
    let mut working = JoinSet::new();
    let mut outcomes: Vec<Outcome> = Vec::new();
    loop {
        while working.len() < AT_ONCE
            && let Some(path) = waiting.next()
        {
            let desk = desk.clone();
            working.spawn(async move { desk.finish(path).await });
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
            () = signals.next() => {
                printer.warn("interrupted: what is unfinished stays noted; go on with: uso resume");
                outcomes.push(Outcome {
                    code: OTHER,
                    request_id: None,
                    document: json!({ "outcome": "interrupted" }),
                });
                break;
            }
        }
    }
    for id in &args.request_id {
        let seen = |outcome: &Outcome| outcome.request_id.as_ref() == Some(id);
        if !outcomes.iter().any(seen) {
            printer.warn(&format!(
                "{id}: nothing is noted of it; fetch it with: uso result {id}"
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
        printer.data(&json!({ "resumed": documents, "exit_code": code }), &[]);
    }
    Ok(ExitCode::from(code))
}

impl Desk {
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
        match self.client.find(&intent).await {
            Ok(Some(job)) => {
                let id = job.ticket().request_id();
                self.printer
                    .say(&format!("{}: found as {id}", label(&entry.record)));
                if let Err(error) = entry.bought(job.ticket()) {
                    self.printer
                        .warn(&format!("{id} could not be noted: {error}"));
                }
                self.collect(entry, job).await
            }
            Ok(None) => {
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
            Err(error) => {
                let record = entry.record.clone();
                if error.kind() == ErrorKind::OutcomeUnknown {
                    self.printer.warn(&format!(
                        "remove {} when it is settled",
                        entry.path().display()
                    ));
                }
                self.failed(&record, Failure::from(error))
            }
        }
    }

    /// Waits for a job and saves its pictures.
    async fn collect(&self, entry: Entry, job: Job) -> Outcome {
        let id = job.ticket().request_id().to_owned();
        let printer = self.printer;
        let waited = job.wait_with(|event| {
            if !matches!(event, Event::Log(_)) {
                printer.say(&format!("{id}: {}", describe(event)));
            }
        });
        let output = match waited.await {
            Ok(output) => output,
            Err(error) => {
                let over = is_over(&error);
                if may_be_elsewhere(&error) {
                    printer.warn(&format!(
                        "{id}: it stays noted for an hour from its purchase, in case it was bought with another key"
                    ));
                }
                let failure = Failure::from(error).beside(entry.record.target.folder());
                let outcome = self.failed(&entry.record, failure);
                if over {
                    forget(entry, &self.printer);
                }
                return outcome;
            }
        };
        let place = Place {
            target: &entry.record.target,
            extension: entry.record.extension.as_deref(),
            again: true,
        };
        let saved = save(&output, &job, &place).await;
        if !self.printer.json {
            self.printer.data(&Value::Null, &saved.paths);
        }
        let complete = saved.complete;
        let mut document = saved.document.clone();
        let mut outcome = match saved.into_outcome() {
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
    match (record.request_id(), &record.target) {
        (Some(id), _) => id.to_owned(),
        (None, crate::target::Target::File(path) | crate::target::Target::Folder(path)) => {
            format!("the purchase for {}", path.display())
        }
    }
}
