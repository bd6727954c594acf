//! Run of a batch: buys and collects rows through the journal, and tells their outcomes.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uso::MicroDollars;
use uso::webhook::Notification;
use uso_journal::{
    Batch, BatchEvent, BatchRow, Error, Notified, Progress, Purchase, Run, State, Stop, Stopped,
    Target,
};

use super::display::Display;
use super::plan_text::counted;
use super::planned_row::PlannedRow;
use super::record::BatchRecord;
use super::row::Row;
use super::session::Session;
use super::sidecar;
use super::tally::Tally;
use crate::failure::Failure;
use crate::notifications::{Audience, Notifications, contradiction};
use crate::printer::Printer;
use crate::root_cause::message_of;
use crate::signals::{Signal, Signals};

/// How long a run waits for a top-up, unless it is told otherwise.
const LOCKED_FOR: Duration = Duration::from_secs(3600);

/// How often the progress is looked at.
const TICK: Duration = Duration::from_millis(500);

/// Pause between two looks whether submits are still on their way.
const MOMENT: Duration = Duration::from_millis(20);

/// The longest wait for responses to notifications.
const GRACE: Duration = Duration::from_secs(1);

/// Sidecars that wait for being written. With more, the run waits for the disk.
const SIDECARS: usize = 100;

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) tally: Tally,
    /// The signal that ended it.
    pub(crate) signal: Option<Signal>,
}

/// The batch with its pace, and its longest wait for a top-up.
pub(crate) fn paced(batch: Batch, concurrency: Option<u16>, locked_for: Option<Duration>) -> Batch {
    batch
        .concurrency(concurrency.map(usize::from))
        .wait_while_locked(locked_for.unwrap_or(LOCKED_FOR))
}

/// Buys and collects these rows. `tally` has the counts before the run.
pub(crate) async fn run(
    session: &Session,
    record: &BatchRecord,
    rows: Vec<PlannedRow>,
    tally: Tally,
    printer: &Printer,
) -> Result<Ended, Failure> {
    let has_webhook = |row: &PlannedRow| row.row.get("webhook").is_some();
    if session.listen.is_some() && !rows.iter().any(has_webhook) {
        return Err(Failure::usage(
            "--listen: no row has a webhook, so that no notification will come; nothing was bought",
        )
        .with_hint(
            "give the address that leads here with --set webhook=URL, or leave --listen out",
        ));
    }
    let mut by_key: HashMap<String, Row> = HashMap::with_capacity(rows.len());
    let mut wanted = Vec::with_capacity(rows.len());
    for row in rows {
        let key = row.key(&record.name);
        let target = Target::named(&record.output, row.name);
        wanted.push(BatchRow::new(key.clone(), row.request).target(target));
        by_key.insert(key, row.row);
    }
    let client = &session.connection.client;
    let batch = session.journal.run(client, wanted).name(&record.name);
    let batch = batch.budget(record.budget.map(MicroDollars::new));
    let locked_for = record.locked_for.map(Duration::from_secs);
    let batch = paced(batch, record.concurrency, locked_for);
    drive(session, &record.name, batch, &by_key, tally, printer).await
}

/// Drives a batch to its end, and tells what becomes of its rows, by their keys.
pub(crate) async fn drive(
    session: &Session,
    name: &str,
    batch: Batch,
    by_key: &HashMap<String, Row>,
    mut tally: Tally,
    printer: &Printer,
) -> Result<Ended, Failure> {
    let mut signals = Signals::listen().map_err(Failure::no_signals)?;
    let client = &session.connection.client;
    let (warnings, mut warned) = mpsc::unbounded_channel();
    let mut batch = batch;
    let mut receiver = JoinSet::new();
    let end = CancellationToken::new();
    if let Some(address) = session.listen {
        let notifications = Notifications::listen(client.config(), address)?;
        batch = batch.await_notifications();
        let (journal, heard) = (session.journal.clone(), Heard(warnings.clone()));
        let ended = end.clone().cancelled_owned();
        receiver.spawn(notifications.receive(journal, heard, ended));
    }
    let stop = Stop::new();
    let mut run = batch.stop(&stop).start();
    let mut display = Display::start(printer, by_key.is_empty());
    let mut ticks = tokio::time::interval(TICK);
    let mut note = session.records.pause_note(name);
    let mut flying = HashSet::new();
    let mut first_signal = None;
    // Written beside the run, which would wait for the disk otherwise, by one thread at a time: what
    // has ended meanwhile is written together.
    let mut sidecars = JoinSet::new();
    let mut pending = Vec::new();
    loop {
        if sidecars.is_empty() && !pending.is_empty() {
            let rows = std::mem::take(&mut pending);
            sidecars.spawn_blocking(move || write_sidecars(rows));
        }
        tokio::select! {
            Some(written) = sidecars.join_next() => told_sidecars(written, &display),
            Some(warning) = warned.recv() => display.warn(&warning),
            event = run.next(), if pending.len() < SIDECARS => match event {
                Some(event) => {
                    match &event {
                        BatchEvent::Started { key } => drop(flying.insert(key.clone())),
                        BatchEvent::Ended { key, .. } | BatchEvent::Postponed { key } => {
                            flying.remove(key);
                        }
                        BatchEvent::Paused { message, .. } => {
                            display.pause(message);
                            note.pause(message);
                        }
                        BatchEvent::Continued => {
                            display.go_on();
                            note.go_on();
                        }
                        _ => {}
                    }
                    pending.extend(tell(event, by_key, &mut tally, &display, printer));
                }
                None => break,
            },
            _ = ticks.tick() => {
                let committed = session.journal.batch_committed(client, name).await;
                let committed = committed.unwrap_or(MicroDollars::new(0));
                display.update(&tally, flying.len(), committed);
            }
            signal = signals.next() => match first_signal {
                None => {
                    first_signal = Some(signal);
                    stop.stop();
                    display.line(&match flying.len() {
                        0 => "no further row begins".to_owned(),
                        count => format!(
                            "no further row begins; {count} in flight go on to their end; Ctrl-C again leaves them to the next run"
                        ),
                    });
                }
                Some(_) => {
                    let_submits_end(&run, &mut signals, &display).await;
                    break;
                }
            },
        }
    }
    sidecars.spawn_blocking(move || write_sidecars(pending));
    while let Some(written) = sidecars.join_next().await {
        told_sidecars(written, &display);
    }
    end.cancel();
    // The last notification gets its response, so that fal does not send it again.
    let _ = timeout(GRACE, receiver.join_next()).await;
    display.end();
    Ok(Ended {
        tally,
        signal: first_signal,
    })
}

/// Passes on what is wrong with notifications.
struct Heard(mpsc::UnboundedSender<String>);

impl Audience for Heard {
    fn warn(&self, message: &str) {
        // A run that has ended shows nothing more.
        let _ = self.0.send(format!("notification: {message}"));
    }

    fn repeated(&self, _request_id: &str) {}

    fn recorded(&self, notification: &Notification, notified: &Notified) -> Result<(), Failure> {
        if let Notified::Contradicts(purchase) = notified {
            let id = notification.request_id();
            self.warn(&format!("{id}: {}", contradiction(purchase, id)));
        }
        Ok(())
    }
}

/// Waits until no submit is on its way, so that the outcome of each is recorded. A submit that the
/// service asks to send again later can take minutes, which another signal cuts short.
async fn let_submits_end(run: &Run, signals: &mut Signals, display: &Display) {
    let submits = run.sending();
    if submits > 0 {
        display.line(&format!(
            "{} without a response yet; Ctrl-C again does not wait for it, and the next run looks up what was bought",
            counted(submits, "submit")
        ));
    }
    while run.sending() > 0 {
        tokio::select! {
            () = tokio::time::sleep(MOMENT) => {}
            _ = signals.next() => break,
        }
    }
}

/// Tells an event; returns the row and the purchase that a sidecar is to be written of.
fn tell(
    event: BatchEvent,
    rows: &HashMap<String, Row>,
    tally: &mut Tally,
    display: &Display,
    printer: &Printer,
) -> Option<(Row, Purchase)> {
    match event {
        BatchEvent::Ended { key, outcome } => {
            let row = rows.get(&key);
            tally.count(&key, &outcome);
            told_outcome(&key, row, &outcome, display, printer);
            let done = outcome
                .ok()
                .filter(|purchase| purchase.state == State::Done);
            return row.cloned().zip(done);
        }
        BatchEvent::Progress {
            key,
            progress: Progress::Warning(warning),
        } => {
            let place = rows.get(&key).map_or(key, place);
            display.warn(&format!("{place}: {warning}"));
        }
        BatchEvent::Paused {
            message, again_in, ..
        } => display.warn(&format!(
            "paused: {message}; tried again in {} s, and then less often",
            again_in.as_secs()
        )),
        BatchEvent::Continued => display.line("the service takes requests again; going on"),
        BatchEvent::Stopped(stopped) => {
            match &stopped {
                Stopped::Budget(stop) => display.warn(&format!("stopped: {stop}")),
                Stopped::Key(message)
                | Stopped::Locked(message)
                | Stopped::Unreachable(message)
                | Stopped::Disk(message) => display.warn(&format!("stopped: {message}")),
                _ => {}
            }
            tally.stopped = Some(stopped);
        }
        _ => {}
    }
    None
}

fn place(row: &Row) -> String {
    format!("row {} ({})", row.number, row.id())
}

/// Writes sidecars, and says of which rows that failed.
fn write_sidecars(rows: Vec<(Row, Purchase)>) -> Vec<String> {
    let failed = rows.iter().filter_map(|(row, purchase)| {
        let error = sidecar::write(row, purchase).err()?;
        let place = place(row);
        Some(format!("{place}: the sidecar cannot be written: {error}"))
    });
    failed.collect()
}

fn told_sidecars(written: Result<Vec<String>, JoinError>, display: &Display) {
    let failed =
        written.unwrap_or_else(|error| vec![format!("sidecars cannot be written: {error}")]);
    failed.iter().for_each(|message| display.warn(message));
}

fn told_outcome(
    key: &str,
    row: Option<&Row>,
    outcome: &Result<Purchase, Error>,
    display: &Display,
    printer: &Printer,
) {
    let place = match row {
        Some(row) => place(row),
        None => key.to_owned(),
    };
    let reason = |purchase: &Purchase| match &purchase.reason {
        Some(reason) => reason.message.clone(),
        None => "the service does not say why".to_owned(),
    };
    match outcome {
        Ok(purchase) if purchase.state == State::Done => {
            let paths = purchase.pictures.iter().map(|picture| picture.path.clone());
            let paths: Vec<_> = paths.collect();
            // A terminal has the live block; a pipe gets the paths as data.
            if !printer.json && !std::io::IsTerminal::is_terminal(&std::io::stdout()) {
                let _ = printer.paths(&serde_json::Value::Null, &paths);
            }
        }
        Ok(purchase) if purchase.state == State::Unknown => display.warn(&format!(
            "{place}: it may have been bought: {}",
            reason(purchase)
        )),
        // A stop met the row before it was sent.
        Ok(purchase) if purchase.state == State::Pending => {}
        Ok(purchase) => display.warn(&format!(
            "{place}: {}: {}",
            purchase.state,
            reason(purchase)
        )),
        Err(error) => display.warn(&format!("{place}: {}", message_of(error))),
    }
}
