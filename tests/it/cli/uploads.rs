//! `uso upload`, pictures from standard input, and what is told of what was changed.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Rig, Run, content};

use super::{path, uso};

/// Runs a command that reads these bytes.
fn fed(mut command: std::process::Command, bytes: &[u8]) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(bytes).unwrap();
    drop(stdin);
    Run::of(&child.wait_with_output().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_prints_a_url_that_has_the_file() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let run = cli.run(&["upload", &path(content()), "--expires", "1h"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let url = run.stdout.trim();
    assert!(url.ends_with("_content.jpg"), "{url}");
    let run = cli.run(&["upload", &path(content()), "--expires", "1h", "--json"]);
    let told = &run.json()["uploads"][0];
    assert_eq!(told["content_type"], "image/jpeg");
    assert_eq!(told["bytes"], std::fs::metadata(content()).unwrap().len());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let left = told["expires_at"].as_u64().unwrap() - now;
    assert!((3500..=3600).contains(&left), "{left}");

    // The URL does for a picture until it has expired.
    let make = || cli.run(&["generate", "--content", url, "--prompt", "x", "-o", "a.png"]);
    assert_eq!(make().code, 0);
    rig.emulator.advance(Duration::from_secs(3601));
    let ledger = rig.emulator.ledger();
    let told = &ledger.purchases()[0].input["input_image_urls"];
    assert_eq!(told[0], url, "it was passed on");
    let gone = cli.run(&["upload", &path(content()), "--expires", "1s", "--json"]);
    rig.emulator.advance(Duration::from_secs(2));
    let transport = uso_transport::Transport::new(rig.client.config().clone()).unwrap();
    for url in [url, gone.json()["uploads"][0]["url"].as_str().unwrap()] {
        assert_eq!(
            transport
                .fetch(url, &uso_transport::Expected::anything())
                .await
                .unwrap_err()
                .status(),
            Some(404)
        );
    }
    let never = cli.run(&["upload", &path(content()), "--expires", "never", "--json"]);
    assert!(
        never.json()["uploads"][0]["expires_at"].is_null(),
        "{never:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standard_input_is_a_file_like_any_other() {
    let rig = Rig::with_pictures().await;
    let cli = uso().at(&rig.emulator.origin());
    let bytes = std::fs::read(content()).unwrap();
    let run = fed(cli.command(&["upload", "-", "--json"]), &bytes);
    assert_eq!(run.json()["uploads"][0]["bytes"], bytes.len(), "{run:?}");
    let arguments = [
        "generate",
        "--content",
        "-",
        "--prompt",
        "as a woodcut",
        "--size",
        "64x48",
        "-o",
        "a.png",
    ];
    let run = fed(cli.command(&arguments), &bytes);
    assert_eq!(run.code, 0, "{run:?}");
    let made = image::open(cli.folder().join("a.png")).unwrap();
    assert_eq!((made.width(), made.height()), (64, 48));
    // Estimates and dry runs read it once, too.
    let run = fed(
        cli.command(&["estimate", "--content", "-", "--prompt", "x", "--keep-size"]),
        &bytes,
    );
    assert!(run.stdout.contains("1024x1024"), "{run:?}");
    let run = cli.run(&["restyle", "-", "-"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("can be read once"), "{run:?}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_is_read_to_its_end_and_a_device_is_refused() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let bytes = std::fs::read(content()).unwrap();
    let run = fed(cli.command(&["upload", "/dev/stdin", "--json"]), &bytes);
    assert_eq!(run.json()["uploads"][0]["bytes"], bytes.len(), "{run:?}");
    let run = cli.run(&["upload", "/dev/null"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("neither a file nor a pipe"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_is_told_in_a_line_and_as_data() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let large = image::RgbImage::from_fn(2600, 300, |x, y| image::Rgb([x as u8, y as u8, 7]));
    large.save(cli.folder().join("wide.png")).unwrap();
    let arguments = [
        "generate",
        "--content",
        "wide.png",
        "--prompt",
        "x",
        "-o",
        "a.png",
    ];
    let run = cli.run(&arguments);
    assert!(
        run.stderr
            .contains("content wide.png: 2048x236, shrunk from 2600x300, uploaded ("),
        "{run:?}"
    );
    let run = cli.run(&[&arguments[..], &["--json", "--force"]].concat());
    let told = &run.json()["references"][0];
    assert_eq!(
        (&told["width"], &told["height"]),
        (&2048.into(), &236.into())
    );
    assert_eq!(
        told["changes"][0]["shrunk"]["from"],
        serde_json::json!([2600, 300])
    );
    let run = cli.run(&[&arguments[..], &["--json", "--no-fit", "--force"]].concat());
    let told = &run.json()["references"][0];
    assert_eq!(
        (&told["width"], &told["changes"]),
        (&2600.into(), &serde_json::json!([]))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_upload_names_the_reason_and_the_way_out() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    for (arguments, code, words) in [
        (&["upload", "none.bin"][..], 3, "none.bin does not exist"),
        (&["upload", "."], 3, "is a folder"),
        (
            &["upload", "none.bin", "--expires", "soon"],
            2,
            "a time is a number",
        ),
        (
            &["upload", "none.bin", "--emulator"],
            2,
            "use it with --base-url",
        ),
    ] {
        let run = cli.run(arguments);
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.stderr.contains(words), "{run:?}");
    }
    assert!(rig.operations().is_empty());
    let scenario = Scenario::new()
        .on(Operation::Initiate, Fault::Locked)
        .always();
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let cli = uso().at(&rig.emulator.origin());
    let run = cli.run(&["upload", &path(content())]);
    assert_eq!(run.code, 5, "{run:?}");
    assert!(run.stderr.contains("top up"), "{run:?}");
}
