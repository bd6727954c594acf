//! The command line as a person and as a script see it.

mod completions;
mod help;
mod jobs;
mod lookups;
mod messages;
mod names;
#[cfg(unix)]
mod not_text;
mod outputs;
#[cfg(unix)]
pub(crate) mod proxy;
mod readme;
mod refusals;
mod settings;
#[cfg(unix)]
pub(crate) mod signals;
mod standard_output;
#[cfg(unix)]
mod terminal;
mod uploads;

use std::process::Stdio;

use serde_json::Value;
use uso_emulator::{Emulator, Fault, Operation, Scenario};
use uso_tests::rig::{Cli, Rig, content, style};

const PROGRAM: &str = env!("CARGO_BIN_EXE_uso-under-test");

fn uso() -> Cli {
    let cli = Cli::new(PROGRAM);
    let state = path(cli.folder().join(".state"));
    cli.variable("USO_STATE_DIR", &state)
}

fn path(path: std::path::PathBuf) -> String {
    path.to_str().unwrap().to_owned()
}

fn files(cli: &Cli) -> Vec<String> {
    let entries = std::fs::read_dir(cli.folder()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".state")
        .collect();
    names.sort();
    names
}

#[test]
fn several_pictures_get_numbers_and_the_name_tells_the_format() {
    let cli = uso();
    let (content, style) = (path(content()), path(style()));
    let size = ["--size", "64x32", "--images", "3", "--emulator", "--json"];
    let run = cli.run(&[&["restyle", &content, &style, "-o", "a.jpg"], &size[..]].concat());
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(files(&cli), ["a-1.jpg", "a-2.jpg", "a-3.jpg"]);
    let made = run.json();
    assert_eq!(made["images"].as_array().unwrap().len(), 3);
    assert_eq!(made["images"][0]["content_type"], "image/jpeg");
    let bytes = std::fs::read(cli.folder().join("a-2.jpg")).unwrap();
    assert_eq!(
        image::guess_format(&bytes).unwrap(),
        image::ImageFormat::Jpeg
    );

    let generate = [
        "generate",
        "--content",
        &content,
        "--style",
        &style,
        "--prompt",
        "a storm",
        "-o",
        "sub/",
    ];
    let run = cli.run(&[&generate[..], &["--size", "64x32", "--emulator"]].concat());
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(
        std::fs::read_dir(cli.folder().join("sub")).unwrap().count(),
        1
    );
}

#[test]
fn without_a_name_nothing_is_overwritten() {
    let cli = uso();
    let (content, style) = (path(content()), path(style()));
    for _ in 0..2 {
        let run = cli.run(&[
            "restyle",
            &content,
            &style,
            "--size",
            "32x32",
            "--emulator",
            "-q",
        ]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        assert!(cli.folder().join(run.stdout.trim()).is_file(), "{run:?}");
    }
    assert_eq!(files(&cli).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_use_has_its_exit_code_one_message_and_sends_nothing() {
    let emulator = Emulator::start().await.unwrap();
    let cli = uso().at(&emulator.origin());
    std::fs::write(cli.folder().join("text.png"), "no picture").unwrap();
    std::fs::write(cli.folder().join("nothing.png"), "").unwrap();
    let (content, style) = (path(content()), path(style()));
    let cases: &[(&[&str], i32, &str)] = &[
        (
            &["restyle", &content, &style, "--images", "9"],
            3,
            "--images: 9 is not between 1 and 4; nothing was sent",
        ),
        (
            &["restyle", &content, &style, "--steps", "0"],
            3,
            "--steps: 0 is not between 1 and 50; nothing was sent",
        ),
        (
            &["restyle", &content, &style, "--guidance", "11"],
            3,
            "--guidance: 11 is not between 1 and 10; nothing was sent",
        ),
        (
            &["restyle", &content, &style, "--size", "0x10"],
            3,
            "--size: the width 0 is not between 1 and 14142; nothing was sent",
        ),
        (
            &["restyle", &content, &style, "--size", "banana"],
            2,
            "WIDTHxHEIGHT",
        ),
        (
            &["restyle", &content, &style, "--size", "1x2x3"],
            2,
            "WIDTHxHEIGHT",
        ),
        (
            &["restyle", "missing.png", &style],
            3,
            "missing.png does not exist",
        ),
        (&["restyle", "text.png", &style], 3, "not a picture"),
        (&["restyle", "nothing.png", &style], 3, "empty"),
        (&["restyle", "", &style], 2, "CONTENT is empty"),
        (&["generate", "--content", ""], 2, "--content is empty"),
        (
            &["restyle", &content, &style, &style, &style],
            2,
            "4 pictures are given",
        ),
        (
            &[
                "generate",
                "--content",
                &content,
                "--style",
                &style,
                "--style",
                &style,
                "--style",
                &style,
            ],
            2,
            "one or two styles",
        ),
        (&["restyle", &content], 2, "the style picture is missing"),
        (
            &[
                "restyle", &content, &style, "--format", "jpeg", "-o", "a.png",
            ],
            2,
            "contradict",
        ),
        (&["restyle", &content, &style, "-o", "a.webp"], 2, ".webp"),
        (
            &[
                "restyle",
                &content,
                &style,
                "--size",
                "square",
                "--keep-size",
            ],
            2,
            "--keep-size",
        ),
        (
            &["restyle", &content, &style, "--max-cost", "0.05"],
            9,
            "$0.104858",
        ),
        (
            &[
                "restyle",
                "https://example.org/a.png",
                &style,
                "--max-cost",
                "0.40",
            ],
            9,
            "only the service sees",
        ),
        (
            &["restyle", &content, &style, "--max-cost", "cheap"],
            2,
            "not an amount",
        ),
        (&["status", "../../etc"], 3, "not a request id"),
        (
            &["generate", "--content", &content],
            2,
            "neither a prompt nor a style",
        ),
        (
            &["restyle", &content, &style, "--detach", "--emulator"],
            2,
            "--detach",
        ),
        (
            &["restyle", &content, &style, "-o", "nosuch/a.png"],
            2,
            "nosuch",
        ),
        (
            &["restyle", &content, &style, "-o", "text.png/sub/"],
            2,
            "cannot be made",
        ),
        (&["resume", "--emulator"], 2, "nothing to resume"),
        (&["frobnicate"], 2, "frobnicate"),
        (&["emulator", "--speed", "0"], 2, "--speed"),
    ];
    for (arguments, code, phrase) in cases {
        let run = cli.run(arguments);
        assert_eq!(run.code, *code, "{arguments:?} {run:?}");
        assert!(run.stderr.contains(phrase), "{arguments:?} {run:?}");
        assert_eq!(run.stdout, "", "{arguments:?}");

        let run = cli.run(&[arguments, &["--json"][..]].concat());
        assert_eq!(run.code, *code, "{arguments:?} {run:?}");
        let error = &run.json()["error"];
        assert_eq!(error["exit_code"], *code, "{arguments:?} {run:?}");
        assert!(
            error.to_string().contains(&phrase.replace('"', "\\\"")),
            "{arguments:?} {run:?}"
        );
    }
    assert!(emulator.requests().is_empty(), "nothing is sent");
}

#[test]
fn without_a_key_both_ways_out_are_named() {
    let cli = uso();
    let run = cli.run(&["restyle", &path(content()), &path(style())]);
    assert_eq!(run.code, 4, "{run:?}");
    assert!(
        run.stderr.contains("FAL_KEY") && run.stderr.contains("--emulator"),
        "{run:?}"
    );

    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let cli = uso().variable("FAL_KEY", "an-id:a-secret");
    let base_url = format!("http://{closed}");
    let run = cli.run(&[
        "restyle",
        &path(content()),
        &path(style()),
        "--base-url",
        &base_url,
    ]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("nothing was sent"), "{run:?}");
    assert!(!run.stderr.contains("a-secret"), "{run:?}");

    let run = cli.run(&["status", "r-1", "--base-url", "http://fal.example"]);
    assert!(
        run.code == 1 && run.stderr.contains("clear text"),
        "{run:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_key_is_exit_code_4() {
    let emulator = Emulator::builder().key("known:key").start().await.unwrap();
    let cli = uso().at(&emulator.origin());
    let run = cli.run(&["restyle", &path(content()), &path(style())]);
    assert_eq!(run.code, 4, "{run:?}");
    assert!(run.stderr.contains("FAL_KEY"), "{run:?}");
    let run = cli.run(&["restyle", &path(content()), &path(style()), "--json"]);
    assert_eq!(run.json()["error"]["kind"], "auth");
}

#[test]
fn a_dry_run_needs_no_key_and_shows_no_picture() {
    let cli = uso();
    let (content, style) = (path(content()), path(style()));
    let run = cli.run(&[
        "restyle",
        &content,
        &style,
        "--dry-run",
        "--json",
        "--seed",
        "4",
    ]);
    assert_eq!(run.code, 0, "{run:?}");
    let shown = run.json();
    assert_eq!(shown["input"]["seed"], 4);
    assert_eq!(shown["input"]["keep_size"], true);
    assert_eq!(shown["input"]["input_image_urls"][0], "upload:image/jpeg");
    assert_eq!(shown["references"][1]["role"], "style");
    assert_eq!(shown["references"][1]["sending"], "upload");
    assert_eq!(shown["estimate"]["micro_dollars"], 104_858);
    let run = cli.run(&[
        "generate",
        "--content",
        &content,
        "--prompt",
        "as a woodcut",
        "--dry-run",
    ]);
    assert!(
        run.code == 0 && run.stdout.contains("\"input_image_urls\""),
        "{run:?}"
    );
}

#[test]
fn an_estimate_is_size_and_price() {
    let cli = uso();
    let content = path(content());
    let estimate = |more: &[&str]| cli.run(&[&["estimate", "--content", &content], more].concat());
    let run = estimate(&["--images", "2"]);
    assert!(
        run.stdout.contains("2 pictures of 1024x1024, about $0.21"),
        "{run:?}"
    );
    let json = estimate(&["--size", "500x200", "--json"]).json();
    assert_eq!(
        (&json["width"], &json["micro_dollars"]),
        (&Value::from(500), &Value::from(10_000))
    );
    let run = cli.run(&[
        "estimate",
        "--content",
        "https://example.org/a.png",
        "--keep-size",
    ]);
    assert!(
        run.code == 0 && run.stdout.contains("only the service sees"),
        "{run:?}"
    );
}

#[test]
fn completions_and_help_are_data() {
    let cli = uso();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = cli.run(&["completions", shell]);
        assert!(run.code == 0 && run.stdout.contains("COMPLETE"), "{run:?}");
    }
    assert_eq!(
        cli.run(&["completions", "bash", "--json"]).json()["shell"],
        "bash"
    );
    let help = cli.run(&["--help"]);
    for command in [
        "generate",
        "restyle",
        "estimate",
        "status",
        "watch",
        "result",
        "cancel",
        "resume",
        "emulator",
        "completions",
    ] {
        assert!(help.stdout.contains(command), "{command}");
        assert_eq!(cli.run(&[command, "--help"]).code, 0, "{command}");
    }
    assert!(cli.run(&["--version"]).stdout.starts_with("uso "));
}

#[cfg(unix)]
#[test]
fn the_emulator_command_serves_until_it_is_told_to_stop() {
    use std::io::{BufRead as _, BufReader};

    let server = uso();
    let mut command = server.command(&[
        "emulator",
        "--listen",
        "127.0.0.1:0",
        "--speed",
        "100",
        "--json",
    ]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first_line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first_line)
        .unwrap();
    let origin: Value = serde_json::from_str(&first_line).unwrap();
    let cli = uso().at(origin["origin"].as_str().unwrap());
    let run = cli.run(&[
        "restyle",
        &path(content()),
        &path(style()),
        "--size",
        "32x32",
        "-o",
        "a.png",
    ]);
    assert_eq!(run.code, 0, "{run:?}");
    let stopped = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(stopped.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verbose_shows_each_request_with_its_status_and_why_it_is_repeated() {
    let scenario = Scenario::new().on(Operation::Initiate, Fault::Status(503));
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let cli = uso().at(&rig.emulator.origin());
    let run = cli.run(&["restyle", &path(content()), &path(style()), "-v"]);
    assert_eq!(run.code, 0, "{run:?}");
    let origin = rig.emulator.origin();
    let host = origin.trim_start_matches("http://");
    let has = |words: &[&str]| {
        let lines = run.stderr.lines();
        lines
            .into_iter()
            .any(|line| words.iter().all(|word| line.contains(word)))
    };
    for words in [
        &[
            "operation=submit",
            "method=POST",
            host,
            "path=",
            "status=200",
        ][..],
        &["operation=upload", "method=POST", "status=503"],
        &["trying again", "operation=upload", "attempts=1", "delay="],
        &["operation=upload", "status=200", "attempts=2"],
        &["operation=result", "method=GET", "fal-ai/uso/requests/"],
    ] {
        assert!(has(words), "{words:?}: {run:?}");
    }
    // The connections are of interest to few.
    assert!(!run.stderr.contains("hyper"), "{run:?}");
    let twice = cli.run(&["restyle", &path(content()), &path(style()), "-vv"]);
    assert!(twice.stderr.contains("hyper"), "{twice:?}");
}
