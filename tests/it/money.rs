//! The proof of the two promises: every fault in every operation's way, then the ledger.
//!
//! Each cell is one call of the client against an emulator of its own that plays one fault once.
//! Whatever happens, nothing is bought twice, nothing that was bought is lost while the service
//! still has it, and nothing outlasts its deadline. The table in the facade's documentation is
//! made from the same cells.

mod listings;
mod lookups;

use std::time::Duration;

use tokio::task::JoinSet;
use uso::config::RetryPolicy;
use uso::purchase::Recovery;
use uso::{Client, Config, Error, Request};
use uso_emulator::{Billing, Emulator, Fault, Operation, Scenario};
use uso_tests::rig::{Rig, file};

/// Cells that run side by side.
const AT_ONCE: usize = 24;
/// More than all of the client's deadlines below together.
const FOREVER: Duration = Duration::from_secs(30);

const NO_PICTURE: &str = "there is no picture, and no bill";

/// Long enough for a cancel to find the job running; the clock is moved, not waited for.
const INFERENCE: Duration = Duration::from_secs(60);

const OPERATIONS: [Operation; 8] = [
    Operation::Submit,
    Operation::Run,
    Operation::Status,
    Operation::Stream,
    Operation::Result,
    Operation::Cancel,
    Operation::File,
    Operation::Listing,
];

fn quick(config: Config) -> Config {
    let delay = Duration::from_millis(5);
    config
        .answer_within(Duration::from_millis(1500))
        .stream_idle(Duration::from_millis(500))
        .status_every(Duration::from_millis(500))
        .finish_within(Duration::from_secs(8))
        .reconcile_within(Duration::from_secs(3))
        .max_body(1 << 20)
        .max_download(4 << 20)
        .retry(
            RetryPolicy::default()
                .first_delay(delay)
                .longest_delay(delay),
        )
}

/// The faults of one cell: those that lead to the operation, and the one that befalls it.
fn scenario(operation: Operation, fault: &Fault) -> Scenario {
    let way_there = match operation {
        // The status is only asked for when the stream fails.
        Operation::Status => Scenario::new().on(Operation::Stream, Fault::Drop).always(),
        // The listing is only asked for when a submit's answer is lost.
        Operation::Listing => Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop),
        _ => Scenario::new(),
    };
    way_there.on(operation, fault.clone())
}

/// What the caller does in a cell; the bytes of the picture come back.
async fn call(rig: &Rig, operation: Operation) -> uso::Result<()> {
    let client = &rig.client;
    let request = Request::subject("https://example.org/a.png", "x").seed(7);
    if operation == Operation::Run {
        return client.run(request).await?.images()[0]
            .bytes()
            .await
            .map(drop);
    }
    let job = client.submit(request).await?;
    if operation == Operation::Cancel {
        let cancelled = job.cancel().await;
        // Only now the job may end, so that no cell depends on who is faster.
        rig.emulator.advance(INFERENCE);
        cancelled?;
    }
    let output = job.wait().await?;
    output.images()[0].bytes().await.map(drop)
}

/// What became of a cell, in the table's words.
struct Row {
    operation: Operation,
    fault: String,
    outcome: String,
    purchases: usize,
    collected: &'static str,
    /// Whether the fault was met: on a busy machine a deadline may pass before the request arrives.
    is_met: bool,
}

impl Row {
    fn line(&self) -> String {
        let Self {
            operation,
            fault,
            outcome,
            purchases,
            collected,
            ..
        } = self;
        format!("| {operation} | {fault} | {outcome} | {purchases} | {collected} |")
    }
}

/// A fault with its variant, where the variants differ in kind.
fn label(fault: &Fault) -> String {
    let name = fault.name();
    match fault {
        Fault::Status(status)
        | Fault::CutStatus(status)
        | Fault::AcceptThenStatus(status)
        | Fault::AcceptThenStatusWithoutId(status)
        | Fault::GatewayPage(status)
        | Fault::AcceptThenGatewayPage(status) => format!("{name} {status}"),
        Fault::OddResult(odd) => format!("{name} {odd:?}"),
        Fault::OddListing(odd) => format!("{name} {odd:?}"),
        _ => name.to_owned(),
    }
}

async fn cell(operation: Operation, fault: Fault) -> Row {
    let name = format!("{operation} × {fault:?}");
    let mut builder = Rig::plain_builder().scenario(scenario(operation, &fault));
    if operation == Operation::Cancel {
        builder = builder.inference_time(INFERENCE);
    }
    let rig = Rig::configured(builder, quick).await;
    let called = tokio::time::timeout(FOREVER, call(&rig, operation)).await;
    let outcome = called.unwrap_or_else(|_| panic!("{name} hangs"));
    let struck = rig.emulator.requests().iter().any(|request| {
        request.operation == operation && request.fault.as_deref() == Some(fault.name())
    });

    let purchases = rig.emulator.ledger().purchases().len();
    assert!(purchases <= 1, "{name}: bought {purchases} times");
    let collected = match &outcome {
        Ok(()) => "at once",
        Err(error) if purchases == 1 => {
            collect(&rig.client, &rig.emulator, error, operation, &name).await
        }
        Err(_) => "nothing was bought",
    };
    let purchases_after = rig.emulator.ledger().purchases().len();
    assert_eq!(
        purchases_after, purchases,
        "{name}: collecting bought again"
    );
    let outcome = match outcome {
        Ok(()) => "picture".to_owned(),
        Err(error) => format!("`{}`", error.kind().as_str()),
    };
    Row {
        operation,
        fault: label(&fault),
        outcome,
        purchases,
        collected,
        is_met: struck,
    }
}

/// After an error over something that was bought: the error alone leads to the picture, if the
/// service made one.
async fn collect(
    client: &Client,
    emulator: &Emulator,
    error: &Error,
    operation: Operation,
    name: &str,
) -> &'static str {
    if operation == Operation::Run {
        return match emulator.ledger().purchases()[0].billing {
            Billing::Free { .. } => NO_PICTURE,
            // The protocol has no way back to a synchronous run; the docs say so.
            _ => "cannot be collected (synchronous run)",
        };
    }
    let job = match (error.ticket(), error.intent()) {
        (Some(ticket), _) => client.job(ticket.clone()),
        (None, Some(intent)) => {
            let recovered = client.recover(intent).await;
            match recovered.unwrap_or_else(|error| panic!("{name}: {error:?}")) {
                Recovery::Found(job) => job,
                other => panic!("{name}: the intent finds nothing: {other:?}"),
            }
        }
        (None, None) => panic!("{name}: bought, and the error leads nowhere: {error:?}"),
    };
    let made = emulator
        .ledger()
        .find(job.ticket().request_id())
        .unwrap()
        .billing;
    let collected = tokio::time::timeout(FOREVER, job.wait())
        .await
        .unwrap_or_else(|_| panic!("{name} hangs"));
    match (collected, made) {
        (Ok(output), _) => {
            output.images()[0]
                .bytes()
                .await
                .unwrap_or_else(|error| panic!("{name}: {error:?}"));
            "later, by its ticket"
        }
        (Err(_), Billing::Free { .. }) => NO_PICTURE,
        (Err(error), billing) => panic!("{name}: {billing:?}, and lost: {error:?}"),
    }
}

/// Every operation with every fault that can befall it.
fn cells() -> Vec<(Operation, Fault)> {
    let faults = Fault::samples();
    let pairs = OPERATIONS
        .iter()
        .flat_map(|operation| faults.iter().map(move |fault| (*operation, fault)));
    let fitting = pairs.filter(|(operation, fault)| fault.fits(*operation));
    // These only ever end with the start deadline, which the next test moves the clock for.
    let fitting = fitting.filter(|(_, fault)| **fault != Fault::NeverStarts);
    fitting
        .map(|(operation, fault)| (operation, fault.clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_in_every_operation_buys_at_most_once_and_loses_nothing() {
    let cells = cells();
    assert!(cells.len() >= 60, "{}", cells.len());
    let path = file("../crates/uso/docs/faults.md");
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let mut running = JoinSet::new();
    let mut rows = Vec::new();
    for (position, (operation, fault)) in cells.iter().cloned().enumerate() {
        if running.len() >= AT_ONCE {
            rows.push(running.join_next().await.unwrap().unwrap());
        }
        running.spawn(async move { (position, cell(operation, fault).await) });
    }
    while let Some(row) = running.join_next().await {
        rows.push(row.unwrap());
    }
    rows.sort_by_key(|(position, _)| *position);

    // The promises hold in every run. What the docs say is the ordinary outcome, which a machine
    // that is busy with other tests may miss by a deadline: such a cell is played again, alone.
    for (position, row) in &mut rows {
        let (operation, fault) = &cells[*position];
        for _ in 0..3 {
            if row.is_met && kept.contains(&row.line()) {
                break;
            }
            *row = cell(*operation, fault.clone()).await;
        }
        assert!(
            row.is_met,
            "{operation} × {fault:?}: the fault was never met"
        );
    }
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();

    let table = table(&rows);
    if std::env::var_os("USO_WRITE_DOCS").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let diff = similar::TextDiff::from_lines(&kept, &table)
        .unified_diff()
        .to_string();
    assert!(
        kept == table,
        "the table in the docs is another; write it with USO_WRITE_DOCS=1\n{diff}"
    );
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| operation | fault, once | result of the call | purchases | picture |\n| --- | --- | --- | --- | --- |\n",
    );
    let mut lines: Vec<String> = Vec::new();
    for row in rows {
        let line = row.line();
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    text.push_str(&lines.join("\n"));
    text.push('\n');
    text
}

#[tokio::test]
async fn neither_a_redirect_nor_a_foreign_url_ever_sees_the_key() {
    // A second listener that would see it.
    let foreign = Emulator::builder()
        .allow_anonymous(true)
        .start()
        .await
        .unwrap();
    let origin = foreign.origin();
    for operation in OPERATIONS {
        let fault = Fault::Redirect(origin.clone());
        let rig = Rig::configured(
            Rig::plain_builder().scenario(scenario(operation, &fault)),
            quick,
        )
        .await;
        let _ = call(&rig, operation).await;
    }
    let seen = foreign.requests();
    let of_files = |request: &&uso_emulator::LoggedRequest| request.operation == Operation::File;
    assert_eq!(
        seen.len(),
        seen.iter().filter(of_files).count(),
        "only a picture is followed: {seen:?}"
    );

    for operation in [Operation::Submit, Operation::Status, Operation::Stream] {
        let fault = Fault::ForeignUrls(origin.clone());
        let rig = Rig::configured(
            Rig::plain_builder().scenario(scenario(operation, &fault)),
            quick,
        )
        .await;
        let job = rig
            .client
            .submit(Request::subject("https://example.org/a.png", "x"))
            .await
            .unwrap();
        job.wait().await.unwrap();
        job.cancel().await.unwrap();
    }
    assert_eq!(
        foreign.requests().len(),
        seen.len(),
        "follow-ups stay on the configured origin"
    );
}
