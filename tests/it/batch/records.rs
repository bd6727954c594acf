//! Records of batches on disk: durable before the first purchase, and never a reason to pay twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Rig, Run, skipped};

use super::Studio;

const SHIM: &str = include_str!("calls.c");

/// A studio whose records and journal lie in a folder that the test can reach.
async fn studio() -> (Studio, PathBuf) {
    studio_of(Scenario::new()).await
}

async fn studio_of(scenario: Scenario) -> (Studio, PathBuf) {
    let Studio { rig, cli } = Studio::of(Rig::plain_builder().scenario(scenario)).await;
    let state = cli.folder().join("state/uso");
    let cli = cli.variable("USO_STATE_DIR", state.to_str().unwrap());
    (Studio { rig, cli }, state)
}

const RUN: [&str; 5] = ["batch", "run", "photos", "--style", "ink.jpg"];

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_record_is_lost_is_gone_on_with_only_when_it_is_named() {
    let (studio, state) = studio().await;
    studio.photos(3);
    assert_eq!(studio.run(&RUN).await.code, 0);
    fs::remove_dir_all(state.join("batches")).unwrap();
    for more in [&[][..], &["--dry-run"], &["-o", "elsewhere"]] {
        let refused = studio.run(&[&RUN[..], more].concat()).await;
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(
            refused.stderr.contains("3 rows of a batch photos"),
            "{refused:?}"
        );
        assert!(refused.stderr.contains("--batch photos"), "{refused:?}");
    }
    let named = studio
        .run(&[&RUN[..], &["--batch", "photos"]].concat())
        .await;
    assert_eq!(named.code, 0, "{named:?}");
    assert!(named.stderr.contains("already complete"), "{named:?}");
    assert_eq!(studio.bought(), 3);
    // The record is there again, and its manifest needs no name.
    assert_eq!(studio.run(&RUN).await.code, 0);
    assert_eq!(studio.bought(), 3);
    let status = studio.run(&["batch", "status", "--json"]).await.json();
    assert_eq!(status["states"]["done"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_manifest_of_the_same_name_does_not_take_the_rows_of_a_lost_record() {
    let (studio, state) = studio().await;
    for (folder, rows) in [("one", "a"), ("two", "b")] {
        fs::create_dir(studio.path(folder)).unwrap();
        let manifest = format!("id,content\n{rows},../ink.jpg\n");
        studio.write(&format!("{folder}/m.csv"), manifest);
    }
    let run = async |more: &[&str]| -> Run {
        studio
            .run(&[&["batch", "run"], more, &["-p", "x"]].concat())
            .await
    };
    assert_eq!(run(&["one/m.csv"]).await.code, 0);
    fs::remove_dir_all(state.join("batches")).unwrap();
    let refused = run(&["two/m.csv"]).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert_eq!(studio.bought(), 1);
    assert_eq!(run(&["two/m.csv", "--batch", "second"]).await.code, 0);
    assert_eq!(studio.bought(), 2);
    assert_eq!(run(&["one/m.csv", "--batch", "m"]).await.code, 0);
    assert_eq!(studio.bought(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_written_off_is_failed_and_no_longer_unknown() {
    let lost = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .on(Operation::Listing, Fault::Forbidden)
        .always();
    let (studio, _) = studio_of(lost).await;
    studio.photos(2);
    let run = studio
        .run(&[&RUN[..], &["--concurrency", "1"]].concat())
        .await;
    assert_eq!(run.code, 6, "{run:?}");
    let unknown = studio.run(&["batch", "status", "--json"]).await.json();
    let id = unknown["unknown"][0].as_str().unwrap().to_owned();
    let limited = ["batch", "reconcile", "--max-cost", "0.01", "--buy-again"];
    let limited = studio.run(&[&limited[..], &[&id]].concat()).await;
    assert_eq!(limited.code, 9, "{limited:?}");
    let told = "--max-cost is $0.01; nothing was changed";
    assert!(limited.stderr.contains(told), "{limited:?}");
    let reconcile = ["batch", "reconcile", "--json", "--write-off"];
    let written_off = studio.run(&[&reconcile[..], &[&id]].concat()).await;
    assert_eq!(written_off.code, 8, "{written_off:?}");
    let told = written_off.json();
    let counts = [
        &told["done"],
        &told["unknown"],
        &told["failed"],
        &told["exit_code"],
    ];
    assert_eq!(counts, [1, 0, 1, 8], "{told}");
    assert_eq!(studio.bought(), 2);
    let retried = studio.run(&["batch", "retry"]).await;
    assert_eq!(retried.code, 0, "{retried:?}");
    assert_eq!(studio.bought(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_refused_and_is_corrected_counts_once() {
    let refused = Scenario::new().on(Operation::Submit, Fault::StringDetail);
    let (studio, _) = studio_of(refused).await;
    let manifest = |prompt: &str| {
        let rows = format!("id,content,prompt\na,ink.jpg,{prompt}\n");
        studio.write("m.csv", rows);
    };
    let offer = ["batch", "run", "m.csv", "--batch", "b", "--offer"];
    let work = ["batch", "work", "b", "-o", "out", "--json"];
    manifest("wrong");
    assert_eq!(studio.run(&offer).await.code, 0);
    let first = studio.run(&work).await;
    assert_eq!(first.code, 8, "{first:?}");
    manifest("right");
    let offered = studio.run(&offer).await;
    assert_eq!(offered.code, 0, "{offered:?}");
    let second = studio.run(&work).await;
    assert_eq!(second.code, 0, "{second:?}");
    assert_eq!(second.json()["states"], serde_json::json!({ "done": 1 }));
    assert_eq!(studio.bought(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_offer_takes_back_what_its_manifest_asks_for_no_longer() {
    let (studio, _) = studio().await;
    let offer = async |rows: &[[&str; 2]]| {
        let rows = rows
            .iter()
            .map(|[id, prompt]| format!("{id},ink.jpg,{prompt}\n"));
        let rows: String = rows.collect();
        studio.write("m.csv", format!("id,content,prompt\n{rows}"));
        let offer = ["batch", "run", "m.csv", "--batch", "b", "--offer", "--json"];
        let offered = studio.run(&offer).await;
        assert_eq!(offered.code, 0, "{offered:?}");
        let document = offered.json();
        [&document["offered"], &document["taken_back"]].map(|count| count.as_u64().unwrap())
    };
    let first = [["a", "one"], ["b", "two"], ["c", "three"]];
    assert_eq!(offer(&first).await, [3, 0]);
    assert_eq!(offer(&first).await, [3, 0], "the same manifest again");
    assert_eq!(offer(&[["a", "other"], first[1]]).await, [2, 2]);
    assert_eq!(offer(&[["a", "last"], first[1]]).await, [2, 1]);
    // Taken back is not cancelled: the row may be as it was before.
    assert_eq!(offer(&[first[0], first[1]]).await, [2, 1]);
    let work = ["batch", "work", "b", "-o", "out", "--json"];
    let worked = studio.run(&work).await;
    assert_eq!(worked.code, 0, "{worked:?}");
    assert_eq!(worked.json()["states"], serde_json::json!({ "done": 2 }));
    let ledger = studio.rig.emulator.ledger();
    let bought = ledger.purchases().iter();
    let mut bought: Vec<_> = bought
        .map(|bought| bought.input["prompt"].as_str())
        .collect();
    bought.sort_unstable();
    assert_eq!(bought, [Some("one"), Some("two")]);
}

/// Calls of the command that make folders, sync and connect, in their order.
fn calls(studio: &Studio, shim: &Path, state: &Path) -> Vec<String> {
    let trace = studio.path("trace");
    let mut command = studio.cli.command(&RUN);
    let run = command
        .env("LD_PRELOAD", shim)
        .env("USO_TRACE", &trace)
        .output();
    let run = Run::of(&run.unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    let state = state.canonicalize().unwrap();
    let text = fs::read_to_string(trace).unwrap();
    let base = state.parent().unwrap().parent().unwrap();
    let shown = |line: &str| line.replace(base.to_str().unwrap(), "");
    text.lines().map(shown).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_a_batch_is_on_the_disk_before_anything_is_sent() {
    let (studio, state) = studio().await;
    studio.photos(2);
    let (source, shim) = (studio.path("calls.c"), studio.path("calls.so"));
    fs::write(&source, SHIM).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&shim, &source])
        .arg("-ldl")
        .stderr(Stdio::null())
        .status();
    if !built.is_ok_and(|status| status.success()) {
        return skipped("a durable record", "a C compiler");
    }
    let calls = tokio::task::block_in_place(|| calls(&studio, &shim, &state));
    let sent = calls.iter().position(|call| call == "connect").unwrap();
    let before = calls.get(..sent).unwrap();
    let last = |call: &str| before.iter().rposition(|found| found == call);
    // The last file of the record has its name when the folder is synced.
    let file = |call: &String| call.starts_with("sync /state/uso/batches/");
    let files = before.iter().rposition(file);
    let named = last("sync /state/uso/batches");
    assert!(files.is_some() && files < named, "{before:?}");
    let made = last("mkdir /state/uso/batches");
    assert!(
        made.is_some() && made < last("sync /state/uso"),
        "{before:?}"
    );
}
