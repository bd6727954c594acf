//! Every error message of the command line, in one place to be reviewed: each names what is wrong,
//! where, the limit and the way out, in the words of the command line.

use std::fmt::Write as _;
use std::time::Duration;

use uso_emulator::{Emulator, Fault, Operation, Scenario};
use uso_tests::rig::{Cli, Rig, content, style};

use super::{path, uso};

/// Runs a command and writes its messages down, without what differs from run to run.
fn record(all: &mut String, cli: &Cli, arguments: &[&str]) {
    let run = cli.run(arguments);
    let mut text = run.stderr;
    let home = cli.config();
    let home = home.parent().unwrap().to_str().unwrap();
    for (found, shown) in [
        (cli.folder().to_str().unwrap(), "FOLDER"),
        (home, "HOME"),
        (&path(content()), "photo.jpg"),
        (&path(style()), "ink.jpg"),
    ] {
        text = text.replace(found, shown);
    }
    let lines = text.lines().filter(|line| {
        // Progress is not an error.
        ["error:", " hint:", "warning:"]
            .iter()
            .any(|label| line.starts_with(label))
    });
    let shown: Vec<String> = lines.map(without_numbers).collect();
    let words: Vec<String> = arguments
        .iter()
        .map(|word| match *word {
            word if word == path(content()) => "photo.jpg".to_owned(),
            word if word == path(style()) => "ink.jpg".to_owned(),
            word => without_numbers(word),
        })
        .collect();
    writeln!(
        all,
        "$ uso {}\n{}\nexit code {}\n",
        words.join(" "),
        shown.join("\n"),
        run.code
    )
    .unwrap();
}

/// Ports, ids and times as fixed words.
fn without_numbers(line: &str) -> String {
    let is_id = |word: &str| word.len() == 36 && word.matches('-').count() == 4;
    let mut shown = String::new();
    let mut word = String::new();
    for character in line.chars().chain(['\n']) {
        if character.is_ascii_alphanumeric() || character == '-' {
            word.push(character);
            continue;
        }
        let is_port = shown.ends_with("127.0.0.1:") || shown.ends_with("localhost:");
        shown += match word.as_str() {
            word if is_id(word) => "ID",
            _ if is_port => "PORT",
            word => word,
        };
        word.clear();
        if character != '\n' {
            shown.push(character);
        }
    }
    shown
}

#[test]
fn errors_before_anything_is_sent_are_as_they_were_reviewed() {
    let cli = uso();
    std::fs::write(cli.folder().join("text.png"), "no picture").unwrap();
    std::fs::write(cli.folder().join("empty.png"), "").unwrap();
    std::fs::write(cli.folder().join("there.png"), "x").unwrap();
    let (content, style) = (path(content()), path(style()));
    let two = ["restyle", &content, &style];
    let restyle = |more: &'static [&'static str]| [&two[..], more].concat();
    let cases: Vec<Vec<&str>> = vec![
        vec!["frobnicate"],
        vec!["restlye", "a", "b"],
        vec!["restyle"],
        vec!["restyle", &content],
        vec!["restyle", "", &style],
        vec!["restyle", "missing.png", &style],
        vec!["restyle", "text.png", &style],
        vec!["restyle", "empty.png", &style],
        vec!["restyle", ".", &style],
        vec!["restyle", "file:///nosuch/photo.png", &style],
        vec!["restyle", "https://", &style],
        vec!["restyle", "-", "-"],
        restyle(&["make it blue"]),
        restyle(&["there.png", "there.png"]),
        vec!["generate", &content],
        vec!["generate", &content, &style],
        vec!["generate", &content, "a cat"],
        vec!["generate", &content, "-p", "@nosuch.txt"],
        vec!["generate", &content, "--content", &content, "-p", "x"],
        restyle(&["--images", "9"]),
        restyle(&["--images", "-1"]),
        restyle(&["--seed", "-1"]),
        restyle(&["--max-cost", "-1"]),
        restyle(&["--images", "many"]),
        restyle(&["--images", "2", "--images", "3"]),
        restyle(&["--steps", "0"]),
        restyle(&["--guidance", "11"]),
        restyle(&["--size", "0x10"]),
        restyle(&["--size", "banana"]),
        restyle(&["--size", "square", "--keep-size"]),
        restyle(&["--format", "gif"]),
        restyle(&["--format", "jpeg", "-o", "a.png"]),
        restyle(&["--webhook", "http://example.org/"]),
        restyle(&["--imges", "2"]),
        restyle(&["--seed"]),
        restyle(&["-o", "a.webp"]),
        restyle(&["-o", "there.png"]),
        restyle(&["-o", "nosuch/a.png"]),
        restyle(&["-o", "there.png/sub/"]),
        restyle(&["-o", "/dev/null"]),
        restyle(&["-o", "-", "-n", "2"]),
        restyle(&["--name", "{prompt}"]),
        restyle(&["--name", "{id}", "-o", "a.png"]),
        restyle(&["--max-cost", "cheap"]),
        restyle(&["--max-cost", "0.05"]),
        restyle(&["--ask-above", "0.05"]),
        vec![
            "restyle",
            "https://example.org/a.png",
            &style,
            "--max-cost",
            "0.40",
        ],
        restyle(&["--timeout", "soon"]),
        restyle(&["--timeout", "0s"]),
        restyle(&["--detach", "--emulator"]),
        restyle(&["--emulator", "--webhook", "http://127.0.0.1:1/"]),
        restyle(&["--emulator", "--base-url", "http://127.0.0.1:1"]),
        restyle(&["-q", "-v"]),
        restyle(&[]),
        vec!["status", "r-1"],
        vec!["status", "r-1", "--base-url", "http://127.0.0.1:1"],
        vec!["upload"],
        vec!["upload", "a", "--expires", "soon"],
        vec!["upload", "a", "--emulator"],
        vec!["resume", "--emulator"],
        vec!["resume", "-o", "a.png"],
        vec!["emulator", "--speed", "0"],
        vec!["emulator", "--scenario", "nosuch.json"],
        vec!["emulator", "--scenario", "text.png"],
        vec!["emulator", "--listen", "nowhere"],
        vec!["completions", "tcsh"],
        vec!["man"],
        vec!["man", "there.png/x"],
        vec!["login"],
        vec!["cancel"],
    ];
    let mut all = String::new();
    for arguments in cases {
        record(&mut all, &cli, &arguments);
    }
    insta::assert_snapshot!("cli-messages-before", all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_batches_and_servers_are_as_they_were_reviewed() {
    let rig = Rig::plain().await;
    let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test")).at(&rig.emulator.origin());
    let write = |name: &str, text: &str| std::fs::write(cli.folder().join(name), text).unwrap();
    write("text.png", "no picture");
    write(
        "wrong.csv",
        "content,prompt,steps,colour\nnosuch.png,x,0,red\n,x,,\n",
    );
    write(
        "right.csv",
        "id,content,prompt\na,https://example.org/a.png,x\n",
    );
    write(
        "twice.csv",
        "id,content,prompt\na,https://example.org/a.png,x\na,https://example.org/b.png,y\n",
    );
    let right = |more: &[&'static str]| [&["batch", "run", "right.csv"], more].concat();
    let named = |verb: &'static str| vec!["batch", verb, "nosuch"];
    let cases = [
        vec!["batch"],
        vec!["batch", "new", "nosuch"],
        vec!["batch", "run"],
        vec!["batch", "run", "nosuch.csv"],
        vec!["batch", "run", "text.png"],
        vec!["batch", "run", "wrong.csv"],
        vec!["batch", "run", "twice.csv"],
        right(&["--vary", "seed=4..1"]),
        right(&["--vary", "colour=1..2"]),
        right(&["--set", "colour=red"]),
        right(&["--set", "steps"]),
        right(&["--name", "{prompt}"]),
        right(&["--budget", "cheap"]),
        right(&["--budget", "0.01"]),
        right(&["--concurrency", "0"]),
        right(&["--listen", "nowhere"]),
        right(&["--listen", "127.0.0.1:0"]),
        right(&["--listen", "127.0.0.1:0", "--offer"]),
        right(&["--batch", "a/b"]),
        vec!["batch", "status"],
        named("status"),
        named("resume"),
        named("retry"),
        named("reconcile"),
        named("report"),
        named("cancel"),
        named("work"),
        vec!["batch", "collect", "nosuch", "--out", "out"],
        vec!["rerun", "nosuch.json"],
        vec!["rerun", "text.png"],
        vec!["budget", "--day", "cheap"],
        vec!["journal", "migrate"],
        vec!["list", "--journal", "text.png"],
        vec!["list", "--journal", "postgres://127.0.0.1:1/uso"],
        vec!["studio", "--listen", "nowhere"],
        vec!["studio", "--allow-host", "https://studio.example/page"],
        vec!["mcp", "--budget", "cheap"],
        vec!["proxy", "--listen", "nowhere"],
        vec!["webhook", "listen", "--listen", "nowhere"],
    ];
    let mut all = String::new();
    for arguments in cases {
        record(&mut all, &cli, &arguments);
    }
    assert!(rig.emulator.ledger().purchases().is_empty());
    insta::assert_snapshot!("cli-messages-batches", all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_service_are_as_they_were_reviewed() {
    let (content, style) = (path(content()), path(style()));
    let two = ["restyle", &content, &style, "-s", "32x32"];
    let mut all = String::new();
    let fails = |error_type: &str| Fault::FailsWith {
        status: 500,
        error_type: error_type.to_owned(),
    };
    let scenarios = [
        Scenario::new().on(Operation::Submit, Fault::Unauthorized),
        Scenario::new().on(Operation::Submit, Fault::Locked),
        Scenario::new().on(Operation::Submit, fails("internal_error")),
        Scenario::new()
            .on(Operation::Result, Fault::Undecodable)
            .always(),
        Scenario::new().on(Operation::File, Fault::Gone).always(),
        Scenario::new()
            .on(Operation::Submit, Fault::AcceptThenDrop)
            .on(Operation::Listing, Fault::Forbidden)
            .always(),
        Scenario::new()
            .on(Operation::Initiate, Fault::Locked)
            .always(),
    ];
    for scenario in scenarios {
        writeln!(all, "{scenario:?}").unwrap();
        let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
        let cli = uso().at(&rig.emulator.origin());
        record(&mut all, &cli, &two);
    }
    let rig = Rig::of(Rig::plain_builder().inference_time(Duration::from_secs(3600))).await;
    let cli = uso().at(&rig.emulator.origin());
    record(&mut all, &cli, &[&two[..], &["--timeout", "1s"]].concat());
    let bought = cli.run(&[&two[..], &["--detach"]].concat());
    let id = bought.stdout.trim();
    record(&mut all, &cli, &["result", id]);
    record(&mut all, &cli, &["watch", id, "--timeout", "1s"]);
    record(
        &mut all,
        &cli,
        &["status", "00000000-0000-0000-0000-000000000000"],
    );
    record(&mut all, &cli, &["status", "../../etc"]);
    record(&mut all, &cli, &["upload", "nosuch.bin"]);
    record(&mut all, &cli, &["upload", "-", "-"]);
    let emulator = Emulator::builder().key("known:key").start().await.unwrap();
    record(&mut all, &uso().at(&emulator.origin()), &two);
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let cli = uso().at(&format!("http://{closed}"));
    record(&mut all, &cli, &two);
    insta::assert_snapshot!("cli-messages-service", all);
}
