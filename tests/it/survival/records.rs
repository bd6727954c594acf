//! What a killed process leaves on disk, and what resuming makes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{content, style};

use super::{PROMPT, Point, RUNNING, Scene, Shape};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_private_and_tells_no_secret() {
    let scene = Scene::new(Scenario::new(), RUNNING).await;
    let mut child = scene.generate(Shape::One, &[]);
    assert!(scene.reach(Point::Ticketed, &mut child).await);
    child.kill().unwrap();
    child.wait().unwrap();
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&scene.cli.folder().join("state")), 0o700);
    for file in scene.files("state") {
        assert_eq!(mode(&file), 0o600, "{file:?}");
        let text = fs::read_to_string(&file).unwrap();
        for secret in ["test-secret", PROMPT, "base64", "data:"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_resumes_at_once_share_the_work() {
    let scene = Scene::new(Scenario::new(), RUNNING).await;
    let mut child = scene.generate(Shape::One, &["--detach"]);
    assert!(child.wait().unwrap().success());
    assert_eq!(scene.records().len(), 1);

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
async fn records_that_cannot_be_finished_are_told_apart() {
    let submit = Operation::Submit;
    let scene = Scene::new(Scenario::new().on(submit, Fault::Hang), RUNNING).await;
    let mut child = scene.generate(Shape::One, &[]);
    assert!(scene.reach(Point::Struck(submit, 1), &mut child).await);
    child.kill().unwrap();
    child.wait().unwrap();
    let early = scene.run(&["resume", "--json"]).await;
    assert_eq!(early.code, 6, "{early:?}");
    assert_eq!(early.json()["resumed"][0]["outcome"], "not_yet_known");

    // The same record, written long ago; one of another owner; and a file that is no record.
    let path = scene.records().remove(0);
    let mut record = scene.record();
    record["intent"]["made_at_ms"] = 1_600_000_000_000_u64.into();
    fs::write(&path, record.to_string()).unwrap();
    record["origin"] = "https://elsewhere.example/queue".into();
    fs::write(path.with_file_name("f-1.json"), record.to_string()).unwrap();
    fs::write(path.with_file_name("f-2.json"), "{").unwrap();
    let late = scene.run(&["resume"]).await;
    assert_eq!(late.code, 1, "{late:?}");
    for line in [
        "most likely never accepted",
        "elsewhere.example",
        "f-2.json is left alone",
    ] {
        assert!(late.stderr.contains(line), "{line}: {late:?}");
    }
    assert_eq!(scene.records().len(), 2);
    assert!(scene.rig.emulator.ledger().purchases().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_badly_is_told_once_and_forgotten() {
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
    assert!(scene.files("state").is_empty(), "{run:?}");

    let scene = Scene::new(Scenario::new(), Duration::ZERO).await;
    let mut child = scene.generate(Shape::One, &["--detach"]);
    assert!(child.wait().unwrap().success());
    scene.rig.emulator.advance(Duration::from_secs(7200));
    let run = scene.run(&["resume", "--json"]).await;
    assert_eq!(run.json()["resumed"][0]["error"]["kind"], "gone", "{run:?}");
    assert!(run.stderr.contains("another key"), "{run:?}");
    // By this machine's clock the service should still have had it; now no longer.
    let mut record = scene.record();
    record["ticket"]["submitted_at_ms"] = 1_600_000_000_000_u64.into();
    fs::write(&scene.records()[0], record.to_string()).unwrap();
    let run = scene.run(&["resume", "--json"]).await;
    assert_eq!(run.json()["resumed"][0]["error"]["kind"], "gone", "{run:?}");
    assert!(scene.files("state").is_empty(), "{run:?}");
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
