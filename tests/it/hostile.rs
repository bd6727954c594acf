//! Answers that are out to hurt: bounded memory, a clear end.

use std::io::Read as _;
use std::process::Stdio;

use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Cli, Rig, skipped};

/// What the command may hold in memory, whatever the service sends.
const LIMIT_KIB: u64 = 64 << 10;

/// Peak memory of a process so far, as Linux accounts it.
fn peak_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Runs the command, watching its memory until it ends.
fn watched(cli: &Cli, arguments: &[&str]) -> (i32, u64, String) {
    let mut child = cli
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut peak = 0;
    let code = loop {
        peak = peak.max(peak_kib(child.id()).unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().unwrap_or(-1);
        }
        std::thread::yield_now();
    };
    let mut talk = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut talk)
        .unwrap();
    (code, peak, talk)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_answers_end_clearly_in_little_memory() {
    if peak_kib(std::process::id()).is_none() {
        skipped(
            "hostile_answers_end_clearly_in_little_memory",
            "Linux's /proc",
        );
        return;
    }
    let cases = [
        (Operation::Result, Fault::HugeBody(10 << 30)),
        (Operation::Result, Fault::EndlessBody),
        (Operation::Result, Fault::GzipBomb),
        (Operation::Result, Fault::DeepJson(10_000)),
        (Operation::Status, Fault::HugeBody(10 << 30)),
        (Operation::Status, Fault::DeepJson(10_000)),
        (Operation::Status, Fault::EndlessBody),
    ];
    for (operation, fault) in cases {
        let scenario = Scenario::new().on(operation, fault.clone()).always();
        let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
        let request = uso::Request::subject("https://example.org/a.png", "x");
        let job = rig.client.submit(request).await.unwrap();
        let mut events = job.events();
        while let Some(event) = events.next().await {
            event.unwrap();
        }
        let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test")).at(&rig.emulator.origin());
        let id = job.ticket().request_id();
        let command = if operation == Operation::Result {
            "result"
        } else {
            "status"
        };
        let (code, peak, talk) = watched(&cli, &[command, id]);
        assert_eq!(code, 1, "{fault:?}: {talk}");
        assert!(
            talk.starts_with("uso: ") || talk.contains("\nuso: "),
            "{fault:?}: {talk}"
        );
        assert!(peak < LIMIT_KIB, "{fault:?}: {peak} KiB");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_line_and_an_endless_picture_are_survived() {
    if peak_kib(std::process::id()).is_none() {
        skipped(
            "an_endless_line_and_an_endless_picture_are_survived",
            "Linux's /proc",
        );
        return;
    }
    let scenario = Scenario::new()
        .on(Operation::Stream, Fault::EndlessLine)
        .always()
        .on(Operation::File, Fault::TruncatedBody)
        .on(Operation::File, Fault::CorruptBody);
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test")).at(&rig.emulator.origin());
    let arguments = [
        "generate",
        "--content",
        "https://example.org/a.png",
        "--prompt",
        "x",
        "-o",
        "a.png",
    ];
    let (code, peak, talk) = watched(&cli, &arguments);
    assert_eq!(code, 0, "{talk}");
    assert!(peak < LIMIT_KIB, "{peak} KiB");
    assert!(image::open(cli.folder().join("a.png")).is_ok());
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
}
