//! The proof of the two promises: every fault in every operation's way, then the ledger.
//!
//! Each cell is one call of the client against an emulator of its own that plays one fault once.
//! Whatever happens, nothing is bought twice, nothing that was bought is lost while the service
//! still has it, and nothing outlasts its deadline. The table in the facade's documentation is
//! made from the same cells.

use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use uso::config::RetryPolicy;
use uso::error::Verdict;
use uso::purchase::Recovery;
use uso::{Client, Config, Error, ErrorKind, Intent, Request, UsoInput};
use uso_emulator::{Billing, Emulator, Fault, OddListing, Operation, Scenario};
use uso_tests::rig::{Rig, file, until_async};

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

async fn lost_answer(listing: Fault) -> (Rig, Error) {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .on(Operation::Listing, listing)
        .always();
    let rig = Rig::configured(Rig::plain_builder().scenario(scenario), quick).await;
    let error = rig
        .client
        .submit(Request::subject("https://example.org/a.png", "x"))
        .await
        .unwrap_err();
    (rig, error)
}

#[tokio::test]
async fn accept_then_drop_is_adopted_and_the_ledger_says_one() {
    let rig = Rig::of(
        Rig::plain_builder().scenario(Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop)),
    )
    .await;
    let job = rig
        .client
        .submit(Request::subject("https://example.org/a.png", "x").seed(7))
        .await
        .unwrap();
    let ledger = rig.emulator.ledger();
    assert_eq!(ledger.purchases().len(), 1);
    assert_eq!(job.ticket().request_id(), ledger.purchases()[0].request_id);
    assert_eq!(job.ticket().seed(), Some(7));
    assert_eq!(job.wait().await.unwrap().seed(), Some(7));
}

#[tokio::test]
async fn without_the_listing_the_outcome_is_unknown_and_everything_to_look_later_is_there() {
    for listing in [Fault::Forbidden, Fault::Unauthorized, Fault::EmptyListing] {
        let (rig, error) = lost_answer(listing.clone()).await;
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{listing:?}");
        assert_eq!(error.delivery(), uso::error::Delivery::Unknown);
        assert_eq!(rig.emulator.ledger().purchases().len(), 1);
        let intent = error.intent().unwrap();
        let sent = rig.emulator.ledger().purchases()[0].input["seed"].as_u64();
        assert_eq!(intent.seed(), sent);
        let phrase = if listing == Fault::EmptyListing {
            "not found"
        } else {
            "may not read the listing"
        };
        assert!(error.to_string().contains(phrase), "{error}");
    }
}

#[tokio::test]
async fn two_matches_are_not_a_match() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .after(1);
    let rig = Rig::configured(Rig::plain_builder().scenario(scenario), quick).await;
    let request = || Request::subject("https://example.org/a.png", "x").seed(7);
    rig.client
        .submit(request())
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    let error = rig.client.submit(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert!(
        error
            .to_string()
            .contains("2 requests have exactly this input"),
        "{error}"
    );
}

#[tokio::test]
async fn a_purchase_that_the_listing_shows_altered_at_first_is_looked_for_until_it_is_found() {
    let scenario = || Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop);
    let request = || Request::subject("https://example.org/a.png", "x").seed(7);
    let altered = scenario().on(Operation::Listing, Fault::UnknownFields);
    let rig = Rig::of(Rig::plain_builder().scenario(altered)).await;
    let job = rig.client.submit(request()).await.unwrap();
    let purchases = rig.emulator.ledger();
    assert_eq!(purchases.purchases().len(), 1);
    assert_eq!(job.request_id(), purchases.purchases()[0].request_id);

    // A listing that stays altered names the candidate when the search ends.
    let altered = scenario()
        .on(Operation::Listing, Fault::UnknownFields)
        .always();
    let rig = Rig::configured(Rig::plain_builder().scenario(altered), quick).await;
    let error = rig.client.submit(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    let ledger = rig.emulator.ledger();
    let id: &str = &ledger.purchases()[0].request_id;
    assert!(error.to_string().contains(id), "{error}");
}

#[tokio::test]
async fn a_seed_that_the_listing_rounds_is_never_taken_for_another_request() {
    // The first two lose digits in a float, the last is the largest that every float holds.
    for seed in [15_860_307_465_884_635_512, (1 << 53) + 1, (1 << 53) - 1] {
        let scenario = Scenario::new()
            .on(Operation::Submit, Fault::AcceptThenDrop)
            .on(
                Operation::Listing,
                Fault::OddListing(OddListing::RoundedSeed),
            )
            .always();
        let builder = Rig::plain_builder().scenario(scenario);
        let rig = Rig::configured(builder, Config::without_reconciliation).await;
        let request = Request::subject("https://example.org/a.png", "x").seed(seed);
        let error = rig.client.submit(request).await.unwrap_err();
        rig.emulator.advance(INFERENCE);
        // Long after the start deadline, when a request that is not listed was not bought.
        let mut intent = serde_json::to_value(error.intent().unwrap()).unwrap();
        for name in ["made_at_ms", "sent_at_ms"] {
            intent[name] = 0.into();
        }
        let intent = serde_json::from_value(intent).unwrap();
        let recovered = rig.client.recover(&intent).await.unwrap();
        let ledger = rig.emulator.ledger();
        let id: &str = &ledger.purchases()[0].request_id;
        match recovered {
            Recovery::Undecidable { candidates, .. } => assert_eq!(candidates, [id], "{seed}"),
            Recovery::Found(job) if seed < 1 << 53 => assert_eq!(job.request_id(), id),
            other => panic!("{seed}: {other:?}"),
        }
    }
}

/// Such a request may be missing from the listing.
#[tokio::test]
async fn a_purchase_without_history_is_never_taken_for_one_that_was_not_made() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .always()
        .on(Operation::Listing, Fault::EmptyListing)
        .always();
    let builder = Rig::plain_builder().scenario(scenario);
    let rig = Rig::configured(builder, Config::without_reconciliation).await;
    // The service tells its time, by which purchases are dated.
    let unknown = rig.client.job_by_id("unknown").unwrap();
    unknown.status().await.unwrap_err();
    let request = || Request::subject("https://example.org/a.png", "x");
    for (request, is_decided) in [(request(), true), (request().without_history(), false)] {
        let error = rig.client.submit(request).await.unwrap_err();
        let mut intent = serde_json::to_value(error.intent().unwrap()).unwrap();
        for name in ["made_at_ms", "sent_at_ms"] {
            intent[name] = 0.into();
        }
        let intent = serde_json::from_value(intent).unwrap();
        let recovered = rig.client.recover(&intent).await.unwrap();
        let decided = matches!(recovered, Recovery::NotBought);
        assert_eq!(decided, is_decided, "{recovered:?}");
    }
}

fn changed(intent: &Intent, change: impl FnOnce(&mut Value)) -> Intent {
    let mut intent = serde_json::to_value(intent).unwrap();
    change(&mut intent);
    serde_json::from_value(intent).unwrap()
}

#[tokio::test]
async fn a_clock_that_was_wrong_at_the_purchase_never_proves_that_nothing_was_bought() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .always()
        .on(Operation::Listing, Fault::EmptyListing)
        .always();
    let builder = Rig::plain_builder().scenario(scenario);
    let rig = Rig::configured(builder, Config::without_reconciliation).await;
    let request = || Request::subject("https://example.org/a.png", "x");
    let hour_behind = |intent: &mut Value| {
        for name in ["made_at_ms", "sent_at_ms"] {
            intent[name] = (intent[name].as_u64().unwrap() - 3_600_000).into();
        }
    };

    // The service has not told its time.
    let error = rig.client.submit(request()).await.unwrap_err();
    let intent = changed(error.intent().unwrap(), hour_behind);
    let recovered = rig.client.recover(&intent).await.unwrap();
    let Recovery::Undecidable { why, .. } = recovered else {
        panic!("{recovered:?}");
    };
    assert!(why.contains("this machine's clock alone"), "{why}");

    // The lookup told it, so that the time of this purchase is the service's.
    let error = rig.client.submit(request()).await.unwrap_err();
    let intent = changed(error.intent().unwrap(), |intent| {
        intent["made_at_ms"] = (intent["made_at_ms"].as_u64().unwrap() - 3_600_000).into();
    });
    let recovered = rig.client.recover(&intent).await.unwrap();
    assert!(
        matches!(recovered, Recovery::NotYet { .. }),
        "{recovered:?}"
    );
}

#[tokio::test]
async fn the_search_for_a_lost_purchase_dates_it_by_the_clock_of_the_service() {
    let (rig, error) = lost_answer(Fault::EmptyListing).await;
    let long_ago = changed(error.intent().unwrap(), |intent| {
        let sent = |name: &str| intent[name].as_u64().unwrap();
        assert!(sent("sent_from_ms") <= sent("sent_at_ms"));
        intent["sent_at_ms"] = 0.into();
    });
    let recovered = rig.client.recover(&long_ago).await.unwrap();
    assert!(
        matches!(recovered, Recovery::NotYet { .. }),
        "by this machine's clock it is recent: {recovered:?}"
    );
    let long_ago = changed(&long_ago, |intent| intent["made_at_ms"] = 0.into());
    let recovered = rig.client.recover(&long_ago).await.unwrap();
    assert!(matches!(recovered, Recovery::NotBought), "{recovered:?}");
}

#[tokio::test]
async fn an_intent_that_is_written_down_before_the_submit_is_dated_by_the_clock_of_the_service() {
    let (rig, _) = lost_answer(Fault::EmptyListing).await;
    let request = Request::subject("https://example.org/a.png", "x");
    let prepared = rig.client.prepare(request).await.unwrap();
    let order = prepared.order();
    let written = rig.client.intent(order);
    assert_eq!(&written, order.intent());
    let recovered = rig.client.recover(&written).await.unwrap();
    assert!(
        matches!(recovered, Recovery::NotYet { .. }),
        "{recovered:?}"
    );
    let long_ago = |intent: &Intent| {
        changed(intent, |intent| {
            for name in ["made_at_ms", "sent_from_ms", "sent_at_ms"] {
                if let Some(time) = intent[name].as_u64() {
                    intent[name] = (time - 7_200_000).into();
                }
            }
        })
    };
    let recovered = rig.client.recover(&long_ago(&written)).await.unwrap();
    assert!(matches!(recovered, Recovery::NotBought), "{recovered:?}");
    let recovered = rig.client.recover(&long_ago(order.intent())).await;
    assert!(
        matches!(recovered, Ok(Recovery::Undecidable { .. })),
        "{recovered:?}"
    );
}

#[tokio::test]
async fn a_date_that_is_ahead_hides_no_purchase() {
    let (rig, error) = lost_answer(Fault::EmptyListing).await;
    rig.emulator.set_scenario(Scenario::new());
    let ahead = changed(error.intent().unwrap(), |intent| {
        let told = intent["sent_from_ms"].as_u64().unwrap();
        intent["sent_from_ms"] = (told + 3_600_000).into();
    });
    let recovered = rig.client.recover(&ahead).await.unwrap();
    assert!(matches!(recovered, Recovery::Found(_)), "{recovered:?}");
}

#[tokio::test]
async fn an_order_buys_once_and_may_be_placed_again_after_a_refusal() {
    for fault in [
        Fault::Throttled { retry_after: None },
        Fault::AcceptThenDrop,
    ] {
        let is_refused = fault != Fault::AcceptThenDrop;
        let scenario = Scenario::new().on(Operation::Submit, fault);
        let once = RetryPolicy::default().attempts(1);
        let configure = |config: Config| config.without_reconciliation().retry(once);
        let rig = Rig::configured(Rig::plain_builder().scenario(scenario), configure).await;
        let request = Request::subject("https://example.org/a.png", "x");
        let prepared = rig.client.prepare(request).await.unwrap();
        let order = prepared.order();
        rig.client.place(order).await.unwrap_err();
        let second = rig.client.place(order).await;
        assert_eq!(second.is_ok(), is_refused);
        let again = order.clone().with_low_priority();
        let error = rig.client.place(&again).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.verdict(), error.intent()),
            (
                ErrorKind::OutcomeUnknown,
                Verdict::Unknown,
                Some(order.intent())
            )
        );
        assert_eq!(rig.emulator.ledger().purchases().len(), 1);
        rig.client.place(&order.again().unwrap()).await.unwrap();
        assert_eq!(rig.emulator.ledger().purchases().len(), 2);
    }
}

#[tokio::test]
async fn a_lost_submit_is_dated_by_its_end() {
    let scenario = Scenario::new().on(Operation::Submit, Fault::AcceptThenHang);
    let limit = Duration::from_millis(200);
    let configure = |config: Config| config.without_reconciliation().answer_within(limit);
    let rig = Rig::configured(Rig::plain_builder().scenario(scenario), configure).await;
    let now = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_millis()
    };
    let request = Request::subject("https://example.org/a.png", "x");
    let prepared = rig.client.prepare(request).await.unwrap();
    let before = now();
    let error = rig.client.place(prepared.order()).await.unwrap_err();
    let intent = serde_json::to_value(error.intent().unwrap()).unwrap();
    let sent_at = u128::from(intent["sent_at_ms"].as_u64().unwrap());
    assert!(sent_at >= before + limit.as_millis(), "{intent} {before}");
}

#[tokio::test]
async fn a_purchase_is_found_in_a_listing_whose_pages_are_longer_than_a_response_may_be() {
    // Pages of 20 are too long, and in the second case pages of 5, too.
    for (max_body, length) in [(400_000, 30_000), (100_000, 30_000)] {
        let builder = Rig::plain_builder().scenario(
            Scenario::new()
                .on(Operation::Submit, Fault::AcceptThenDrop)
                .after(21),
        );
        let configure = |config: Config| config.max_body(max_body).without_reconciliation();
        let rig = Rig::configured(builder, configure).await;
        let request = |seed| {
            let picture = format!("data:image/png;base64,{}", "A".repeat(length));
            Request::raw(UsoInput {
                input_image_urls: vec![picture],
                seed: Some(seed),
                ..UsoInput::default()
            })
        };
        for seed in 0..21 {
            rig.client.submit(request(seed)).await.unwrap();
        }
        let error = rig.client.submit(request(21)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        // It is listed once the jobs before it have ended.
        let mut recovered = None;
        let is_listed = async || {
            let found = rig.client.recover(error.intent().unwrap()).await.unwrap();
            !matches!(recovered.insert(found), Recovery::NotYet { .. })
        };
        until_async("the purchase is listed", is_listed).await;
        let Some(Recovery::Found(job)) = recovered else {
            panic!("{max_body}: {recovered:?}");
        };
        let ledger = rig.emulator.ledger();
        let last = ledger.purchases().last().unwrap();
        assert_eq!(job.request_id(), &*last.request_id, "{max_body}");
    }
}

#[tokio::test]
async fn looking_is_off_with_one_call() {
    let builder =
        Rig::plain_builder().scenario(Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop));
    let rig = Rig::configured(builder, Config::without_reconciliation).await;
    let error = rig
        .client
        .submit(Request::subject("https://example.org/a.png", "x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(rig.operations(), ["submit"]);
    let recovered = rig.client.recover(error.intent().unwrap()).await.unwrap();
    let Recovery::Found(found) = recovered else {
        panic!("{recovered:?}");
    };
    assert_eq!(
        found.ticket().request_id(),
        rig.emulator.ledger().purchases()[0].request_id
    );
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
