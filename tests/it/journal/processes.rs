//! Many processes, killed processes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::State;
use uso_tests::rig::{Rig, until};

use super::Desk;

const PROGRAM: &str = env!("CARGO_BIN_EXE_journal-under-test");

/// A process that buys these keys, some at a time.
fn start(desk: &Desk, cap: &str, at_once: &str, keys: &[String]) -> Child {
    Command::new(PROGRAM)
        .arg(&desk.place)
        .arg(desk.rig.emulator.origin())
        .arg(desk.path().join("pictures"))
        .args([cap, at_once])
        .args(keys)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The lines that a process wrote.
async fn lines(child: Child) -> Vec<Value> {
    let waited = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap());
    let output = waited.await.unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{talk}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn fifty_processes_with_one_key_buy_once_and_are_told_the_same() {
    let builder = Rig::plain_builder().inference_time(Duration::from_secs(1));
    let desk = Desk::new(Rig::of(builder).await).await;
    let key = ["key".to_owned()];
    let children: Vec<Child> = (0..50).map(|_| start(&desk, "-", "1", &key)).collect();
    let mut told = Vec::new();
    for child in children {
        told.extend(lines(child).await);
    }
    assert_eq!(desk.bought(), 1);
    assert_eq!(told.len(), 50);
    assert_eq!(told[0]["state"], "done");
    assert!(told.iter().all(|line| *line == told[0]), "{told:#?}");
}

#[tokio::test]
async fn ten_processes_with_fifty_keys_and_a_budget_for_twenty_buy_twenty() {
    let desk = Desk::plain().await;
    let children: Vec<Child> = (0..10)
        .map(|process| {
            let keys: Vec<String> = (0..5).map(|key| format!("{process}-{key}")).collect();
            start(&desk, "2", "5", &keys)
        })
        .collect();
    let mut told = Vec::new();
    for child in children {
        told.extend(lines(child).await);
    }
    let with = |word: &str| told.iter().filter(|line| !line[word].is_null()).count();
    assert_eq!((with("state"), with("budget")), (20, 30), "{told:#?}");
    assert_eq!(desk.bought(), 20);
    let budget = desk.journal.budget(&desk.rig.client).await.unwrap();
    assert_eq!(budget.total_committed.get(), 2_000_000);
}

/// Kills processes that buy at moments spread over the whole work, then finishes what they left.
#[tokio::test]
async fn twenty_killed_processes_buy_nothing_twice_and_lose_nothing() {
    for round in 0..20 {
        let scenario = Scenario::new()
            .on(Operation::Submit, Fault::AcceptThenDrop)
            .after(1)
            .on(Operation::Submit, Fault::Throttled { retry_after: None })
            .after(2)
            .on(Operation::Result, Fault::Drop)
            .after(1)
            .on(Operation::File, Fault::TruncatedBody)
            .after(1)
            .on(Operation::Stream, Fault::CutStream);
        let desk = Desk::new(Rig::of(Rig::plain_builder().scenario(scenario)).await).await;
        let keys: Vec<String> = (0..5).map(|key| format!("key-{key}")).collect();
        let mut child = start(&desk, "-", "3", &keys);
        // An uninterrupted run makes some forty requests.
        reach(&desk, &mut child, round * 2).await;
        child.kill().unwrap();
        child.wait().unwrap();
        desk.end_leases().await;

        // Each further run looks up what is unknown, and collects what is bought.
        for _ in 0..4 {
            lines(start(&desk, "-", "3", &keys)).await;
        }
        let client = &desk.rig.client;
        let listed = desk.journal.jobs(client).read().await.unwrap();
        let unknown = listed.iter().filter(|job| job.state == State::Unknown);
        let unknown: Vec<_> = unknown.map(|job| job.id).collect();
        // Killed after the record and before the POST: the listing does not show it.
        assert_eq!(
            desk.bought() + unknown.len(),
            keys.len(),
            "round {round}: {listed:?}"
        );
        for id in unknown {
            desk.journal
                .write_off(client, id, State::Unknown)
                .await
                .unwrap();
            desk.journal.retry(client, id, 1).await.unwrap();
        }
        lines(start(&desk, "-", "3", &keys)).await;
        let listed = desk.journal.jobs(client).read().await.unwrap();
        let done = listed.iter().all(|job| job.state == State::Done);
        assert!(done, "round {round}: {listed:?}");
        assert_eq!(desk.bought(), keys.len(), "round {round}: {listed:?}");
        let paths: BTreeSet<PathBuf> = listed
            .iter()
            .flat_map(|purchase| purchase.pictures.iter().map(|picture| picture.path.clone()))
            .collect();
        let files = std::fs::read_dir(desk.path().join("pictures")).unwrap();
        let files: BTreeSet<PathBuf> = files
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.to_string_lossy().contains(".part"))
            .collect();
        assert_eq!(paths.len(), keys.len(), "round {round}");
        assert_eq!(files, paths, "round {round}: a picture is on disk once");
    }
}

/// Returns when the emulator has seen this many requests, or the process has ended.
async fn reach(desk: &Desk, child: &mut Child, requests: usize) {
    until("that many requests, or the end", || {
        desk.rig.emulator.requests().len() >= requests || child.try_wait().unwrap().is_some()
    })
    .await;
}

#[tokio::test]
async fn a_process_killed_in_the_middle_of_a_submit_leaves_an_unknown_purchase() {
    let scenario = Scenario::new().on(Operation::Submit, Fault::AcceptThenHang);
    let desk = Desk::new(Rig::of(Rig::plain_builder().scenario(scenario)).await).await;
    let mut child = start(&desk, "-", "1", &["key".to_owned()]);
    until("the purchase", || desk.bought() > 0).await;
    child.kill().unwrap();
    child.wait().unwrap();
    desk.end_leases().await;
    let listed = desk.journal.jobs(&desk.rig.client).read().await.unwrap();
    assert_eq!(listed[0].state, State::Unknown);
    let journal = desk.open().await;
    let id = listed[0].id;
    let found = journal.reconcile(&desk.rig.client, id).await.unwrap();
    assert_eq!(found.state, State::Submitted);
    let size = uso::ImageSize {
        width: Some(1000),
        height: Some(1000),
    };
    let size = uso::types::ImageSizeChoice::from(size);
    let request = uso::Request::subject(uso_tests::rig::content(), "key").size(size);
    let same = journal.purchase(&desk.rig.client, "key", request);
    assert_eq!(same.await.unwrap().state, State::Done);
    assert_eq!(desk.rig.emulator.ledger().purchases().len(), 1);
}
