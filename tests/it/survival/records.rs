//! What a killed process leaves in the journal, and what resuming makes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::State;
use uso_tests::rig::{content, style};

use super::{PROMPT, Point, RUNNING, Scene, Shape};

/// The files of a folder and of those below it.
fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(all_files(&path)),
            false => found.push(path),
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_is_private_and_holds_neither_key_nor_picture() {
    let scene = Scene::new(Scenario::new(), RUNNING).await;
    let mut child = scene.generate(Shape::One, &[]);
    assert!(scene.reach(Point::Submitted, &mut child).await);
    child.kill().unwrap();
    child.wait().unwrap();
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let state = scene.cli.folder().join("state");
    assert_eq!(mode(&state), 0o700);
    let files = all_files(&state);
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{file:?}");
        let bytes = fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for secret in ["test-secret", "base64", "data:"] {
            assert!(!text.contains(secret), "{secret} in {file:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_resumes_at_once_share_the_work() {
    let scene = Scene::new(Scenario::new(), RUNNING).await;
    let mut child = scene.generate(Shape::One, &["--detach"]);
    assert!(child.wait().unwrap().success());
    assert_eq!(scene.states().await, [State::Submitted]);

    let mut first = scene.start(&["resume"]);
    let stream = Point::Request(Operation::Stream, 1);
    assert!(scene.reach(stream, &mut first).await);
    let second = scene.run(&["resume"]).await;
    assert_eq!(second.code, 0, "{second:?}");
    assert!(second.stderr.contains("another process"), "{second:?}");
    scene.rig.emulator.advance(RUNNING);
    let code = tokio::task::spawn_blocking(move || first.wait().unwrap().code());
    assert_eq!(code.await.unwrap(), Some(0));
    assert_eq!(scene.count(Operation::File), 1);
    assert_eq!(scene.files("out").len(), 1);

    let nothing = scene.run(&["resume"]).await;
    assert_eq!(nothing.code, 0);
    assert!(nothing.stderr.contains("nothing is unfinished"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purchases_that_cannot_be_finished_are_told_apart() {
    let submit = Operation::Submit;
    let scene = Scene::new(Scenario::new().on(submit, Fault::Hang), RUNNING).await;
    let mut child = scene.generate(Shape::One, &[]);
    assert!(scene.reach(Point::Struck(submit, 1), &mut child).await);
    child.kill().unwrap();
    child.wait().unwrap();
    let early = scene.run(&["resume", "--json"]).await;
    assert_eq!(early.code, 6, "{early:?}");
    assert_eq!(early.json()["resumed"][0]["outcome"], "not_yet_known");

    // State files of the first release: the same purchase, made long ago; one of another service;
    // and a file that is none.
    let unknown = scene.jobs().await.remove(0);
    let mut record = json!({
        "origin": unknown.origin,
        "account": unknown.account,
        "target": { "file": scene.cli.folder().join("out/old.png") },
        "intent": unknown.intent,
    });
    record["intent"]["made_at_ms"] = 1_600_000_000_000_u64.into();
    let write = |name: &str, text: String| {
        fs::write(scene.cli.folder().join("state").join(name), text).unwrap();
    };
    write("f-0.json", record.to_string());
    record["origin"] = "https://elsewhere.example/queue".into();
    write("f-1.json", record.to_string());
    write("f-2.json", "{".to_owned());
    let late = scene.run(&["resume"]).await;
    assert_eq!(late.code, 6, "{late:?}");
    for line in [
        "if that clock was right, nothing was bought",
        "uso cancel --write-off j2",
        "f-2.json is left alone",
    ] {
        assert!(late.stderr.contains(line), "{line}: {late:?}");
    }
    assert_eq!(scene.states().await, [State::Unknown, State::Unknown]);
    let given_up = scene.run(&["cancel", "--write-off", "j2"]).await;
    assert_eq!(given_up.code, 0, "{given_up:?}");
    assert_eq!(scene.states().await, [State::Failed, State::Unknown]);
    assert!(scene.rig.emulator.ledger().purchases().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_long_a_purchase_may_stay_unlisted_is_told_whatever_the_clocks_say() {
    let submit = Operation::Submit;
    let scene = Scene::new(Scenario::new().on(submit, Fault::Hang), RUNNING).await;
    let mut child = scene.generate(Shape::One, &[]);
    assert!(scene.reach(Point::Struck(submit, 1), &mut child).await);
    child.kill().unwrap();
    child.wait().unwrap();
    // Long ago by the clock of the service, and just now by that of this machine.
    let unknown = scene.jobs().await.remove(0);
    let mut intent = json!(unknown.intent);
    intent["sent_at_ms"] = 0.into();
    let record = json!({
        "origin": unknown.origin,
        "account": unknown.account,
        "target": { "file": scene.cli.folder().join("out/old.png") },
        "intent": intent,
    });
    let file = scene.cli.folder().join("state/f-0.json");
    fs::write(file, record.to_string()).unwrap();
    let run = scene.run(&["resume", "j2", "--json"]).await;
    assert_eq!(run.code, 6, "{run:?}");
    let told = run.json()["resumed"][0]["message"].take();
    let seconds = told.as_str().and_then(|text| text.split_once("up to "));
    let seconds = seconds.and_then(|(_, rest)| rest.split_once(" s more"));
    let seconds: u64 = seconds.unwrap().0.parse().unwrap();
    assert!((600..=1321).contains(&seconds), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_ended_before_the_submit_leaves_nothing_to_pay() {
    let scenario = Scenario::new().on(Operation::Initiate, Fault::Hang);
    let scene = Scene::new(scenario, RUNNING).await;
    let mut child = scene.generate(Shape::One, &[]);
    let uploading = Point::Struck(Operation::Initiate, 1);
    assert!(scene.reach(uploading, &mut child).await);
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = scene.run(&["resume", "--json"]).await;
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert_eq!(resumed.json()["resumed"][0]["outcome"], "never_sent");
    assert_eq!(scene.states().await, [State::Cancelled]);
    let taken = fs::read_dir(scene.cli.folder().join("out")).unwrap();
    assert_eq!(taken.count(), 0, "the name is free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_purchase_is_reported_once_and_closed_on_proof_alone() {
    let failing = Fault::FailsWith {
        status: 503,
        error_type: "runner_disconnected".to_owned(),
    };
    let scene = Scene::new(
        Scenario::new().on(Operation::Submit, failing),
        Duration::ZERO,
    )
    .await;
    let mut child = scene.generate(Shape::One, &["--detach"]);
    assert!(child.wait().unwrap().success());
    let run = scene.run(&["resume"]).await;
    assert_eq!(run.code, 8, "{run:?}");
    assert_eq!(scene.states().await, [State::Failed], "{run:?}");

    // A result that the service no longer has proves nothing: the key may be another one.
    let scene = Scene::new(Scenario::new(), Duration::ZERO).await;
    let mut child = scene.generate(Shape::One, &["--detach"]);
    assert!(child.wait().unwrap().success());
    scene.rig.emulator.advance(Duration::from_secs(7200));
    let run = scene.run(&["resume", "--json"]).await;
    assert_eq!(run.json()["resumed"][0]["error"]["kind"], "gone", "{run:?}");
    assert_eq!(scene.states().await, [State::Submitted], "{run:?}");
    assert_eq!(scene.run(&["cancel", "--write-off", "j1"]).await.code, 0);
    assert_eq!(scene.states().await, [State::Failed]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_output_tells_the_key_the_prompt_or_a_picture() {
    let failing = || Fault::FailsWith {
        status: 500,
        error_type: "internal_error".to_owned(),
    };
    let scenarios: [(&str, Scenario); 5] = [
        ("success", Scenario::new()),
        (
            "locked",
            Scenario::new().on(Operation::Submit, Fault::Locked),
        ),
        (
            "unauthorized",
            Scenario::new().on(Operation::Submit, Fault::Unauthorized),
        ),
        ("failing", Scenario::new().on(Operation::Submit, failing())),
        (
            "undecodable",
            Scenario::new().on(Operation::Result, Fault::Undecodable),
        ),
    ];
    for (name, scenario) in scenarios {
        let scene = Scene::new(scenario, Duration::ZERO).await;
        let (content, style) = (content(), style());
        let run = scene
            .run(&[
                "generate",
                "--content",
                content.to_str().unwrap(),
                "--style",
                style.to_str().unwrap(),
                "--prompt",
                PROMPT,
                "--size",
                "32x32",
                "-v",
                "-v",
                "--json",
            ])
            .await;
        assert_eq!(run.code == 0, name == "success", "{name} {run:?}");
        for secret in ["test-secret", PROMPT, "base64,"] {
            assert!(!run.stdout.contains(secret), "{name} {secret}: {run:?}");
            assert!(!run.stderr.contains(secret), "{name} {secret}: {run:?}");
        }
    }
}
