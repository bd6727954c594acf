//! `kill -9` of a batch at random moments, with faults on: nothing is bought twice, nothing is lost.

use std::collections::HashSet;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Rig, Run, pick, until};

use super::Studio;

/// Faults of every part of a purchase, each a few times.
fn faults(rows: usize) -> Scenario {
    let every = |part: usize| (rows / part).max(1) as u64;
    Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .after(3)
        .times(every(20))
        .on(Operation::Submit, Fault::Status(503))
        .after(9)
        .times(every(30))
        .on(Operation::File, Fault::TruncatedBody)
        .times(every(20))
        .on(Operation::Result, Fault::Status(503))
        .times(every(20))
        .on(Operation::Upload, Fault::Drop)
        .after(1)
        .times(every(30))
}

/// Rows and kills: those of the test, or of `USO_KILL_ROWS` and `USO_KILLS`.
fn size() -> (usize, usize) {
    let number = |name: &str, usual: usize| {
        let given = std::env::var(name).ok();
        given.map_or(usual, |text| text.parse().unwrap())
    };
    (number("USO_KILL_ROWS", 60), number("USO_KILLS", 20))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_killed_at_random_moments_buys_every_row_once_and_loses_none() {
    let (rows, kills) = size();
    let builder = Rig::plain_builder()
        .scenario(faults(rows))
        .inference_time(Duration::from_millis(50))
        .concurrency(8);
    let studio = Studio::of(builder).await;
    studio.photos(rows);
    let arguments = [
        "batch",
        "run",
        "photos",
        "--style",
        "ink.jpg",
        "-o",
        "out",
        "--concurrency",
        "8",
    ];
    let mut killed = 0;
    for round in 0..kills {
        let mut child = studio
            .cli
            .command(&arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let seen = || studio.rig.emulator.requests().len();
        let moment = seen() + 1 + pick(round, 3, (rows * 8 / kills).max(4));
        let has_ended = |child: &mut std::process::Child| child.try_wait().unwrap().is_some();
        until("the moment of the kill, or the end", || {
            seen() >= moment || has_ended(&mut child)
        })
        .await;
        if !has_ended(&mut child) {
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
        }
    }
    assert!(
        killed * 2 > kills,
        "{killed} of {kills} runs were killed in the middle"
    );
    let end = finish(&studio, rows).await;
    assert_eq!(end.code, 0, "{end:?}");
    check_files(&studio, rows);
}

/// Goes on to the end, looks unknown rows up, and buys those again that the service does not have.
async fn finish(studio: &Studio, rows: usize) -> Run {
    let resumed = studio.run(&["batch", "resume"]).await;
    assert!([0, 6, 8].contains(&resumed.code), "{resumed:?}");
    let reconciled = studio.run(&["batch", "reconcile"]).await;
    assert!([0, 6, 8].contains(&reconciled.code), "{reconciled:?}");
    let status = studio.run(&["batch", "status", "--json"]).await.json();
    let unknown = status["unknown"].as_array().unwrap();
    let unknown: Vec<&str> = unknown.iter().filter_map(Value::as_str).collect();
    assert_eq!(
        studio.bought() + unknown.len(),
        rows,
        "what is still unknown was not bought: {status}"
    );
    let mut arguments = vec!["batch", "reconcile", "--buy-again"];
    arguments.extend(&unknown);
    let last = match unknown.is_empty() {
        true => studio.run(&["batch", "resume"]).await,
        false => studio.run(&arguments).await,
    };
    assert_eq!(studio.bought(), rows, "the ledger has one purchase a row");
    last
}

/// Every row has one picture of its own, whole.
fn check_files(studio: &Studio, rows: usize) {
    let files = studio.files("out");
    let pictures: Vec<&String> = files.iter().filter(|name| name.ends_with(".png")).collect();
    assert_eq!(pictures.len(), rows, "{files:?}");
    let mut requests = HashSet::new();
    for name in pictures {
        let bytes = fs::read(studio.path("out").join(name)).unwrap();
        image::load_from_memory(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let sidecar = fs::read(studio.path("out").join(format!("{name}.json"))).unwrap();
        let sidecar: Value = serde_json::from_slice(&sidecar).unwrap();
        assert!(
            requests.insert(sidecar["request_id"].clone()),
            "{name}: {sidecar}"
        );
    }
    // A kill may leave a temporary file, under a hidden name.
    let shown = files.iter().filter(|name| !name.starts_with('.'));
    assert_eq!(
        shown.count(),
        2 * rows,
        "pictures and their sidecars: {files:?}"
    );
}
