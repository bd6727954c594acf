//! Ctrl-C and its like, at every stage of a purchase.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::Duration;

use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Rig, Run, content, style, until};

use super::{files, path, uso};

pub(crate) fn send(signal: &str, child: &std::process::Child) {
    let sent = std::process::Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_during_the_purchase_waits_for_its_id_and_a_second_leaves_it_noted() {
    // Longer than the test, shorter than results are kept.
    let late = Duration::from_secs(300);
    for (first, then_leaves) in [("-INT", true), ("-TERM", false)] {
        let scenario = Scenario::new().on(Operation::Submit, Fault::Delay(late));
        let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
        let cli = uso().at(&rig.emulator.origin());
        let mut command = cli.command(&["restyle", &path(content()), &path(style())]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let talk = BufReader::new(child.stderr.take().unwrap());
        let mut talk = talk.lines().map(Result::unwrap);
        let is_bought = || !rig.emulator.ledger().purchases().is_empty();
        until("the purchase is accepted", is_bought).await;
        send(first, &child);
        assert!(talk.any(|line| line.contains("waiting for its id")));
        if then_leaves {
            send("-INT", &child);
        } else {
            rig.emulator.advance(late);
        }
        let rest: Vec<String> = talk.collect();
        let output = child.wait_with_output().unwrap();
        let ended_by = if first == "-INT" { 2 } else { 15 };
        assert_eq!(output.status.signal(), Some(ended_by), "{rest:?}");
        assert!(
            rest.iter().any(|line| line.contains("uso resume")),
            "{rest:?}"
        );
        let resumed = cli.run(&["resume"]);
        assert_eq!(resumed.code, 0, "{resumed:?}");
        assert_eq!(files(&cli).len(), 1);
        assert_eq!(rig.emulator.ledger().purchases().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_during_the_download_leaves_nothing_half_written() {
    let scenario = Scenario::new().on(Operation::File, Fault::Hang);
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let cli = uso().at(&rig.emulator.origin());
    let mut command = cli.command(&["restyle", &path(content()), &path(style())]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let requests = || rig.emulator.requests();
    let hangs = || requests().iter().any(|request| request.fault.is_some());
    until("the download hangs", hangs).await;
    send("-INT", &child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(2), "{output:?}");
    let run = Run::of(&output);
    assert!(run.stderr.contains("uso result"), "{run:?}");
    let name = files(&cli).remove(0);
    let length = || std::fs::metadata(cli.folder().join(&name)).unwrap().len();
    assert_eq!((files(&cli).len(), length()), (1, 0), "the name is taken");
    assert_eq!(cli.run(&["resume"]).code, 0);
    assert!(files(&cli).len() == 1 && length() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_detaches_and_a_second_one_cancels() {
    let rig = Rig::of(Rig::plain_builder().inference_time(Duration::from_secs(3600))).await;
    let cli = uso().at(&rig.emulator.origin());
    let (content, style) = (path(content()), path(style()));
    for presses in [1, 2] {
        let mut command = cli.command(&["restyle", &content, &style]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut talk = BufReader::new(child.stderr.take().unwrap()).lines();
        let press = || send("-INT", &child);
        assert!(talk.by_ref().any(|line| line.unwrap().contains("running")));
        press();
        assert!(
            talk.by_ref()
                .any(|line| line.unwrap().contains("press Ctrl-C again"))
        );
        if presses == 2 {
            press();
            assert!(
                talk.by_ref()
                    .any(|line| line.unwrap().contains("cancellation is requested"))
            );
        }
        drop(talk);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(2), "{output:?}");
        let operations = rig.operations();
        let cancels = operations
            .iter()
            .filter(|operation| *operation == "cancel")
            .count();
        assert_eq!(cancels, presses - 1, "{operations:?}");
    }
    assert_eq!(
        rig.emulator.ledger().purchases().len(),
        2,
        "one for each run"
    );
}

/// The journal takes its time to record that the submit leaves, and the signal comes meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_while_the_submit_is_recorded_ends_with_the_truth_about_the_purchase() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let restyle = [
        "restyle",
        &path(content()),
        &path(style()),
        "-o",
        "a.png",
        "--force",
    ];
    // The pictures are uploaded then, so that the submit alone is recorded after the price.
    assert_eq!(cli.run(&restyle).code, 0);
    let journal = cli.folder().join(".state/journal.db");
    let journal = rusqlite::Connection::open(journal).unwrap();
    let slow = "CREATE TRIGGER slow BEFORE UPDATE ON job WHEN NEW.state = 'sending' BEGIN SELECT ( \
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000000) \
                SELECT max(i) FROM n); END";
    journal.execute_batch(slow).unwrap();
    journal.busy_timeout(Duration::ZERO).unwrap();
    let mut command = cli.command(&restyle);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let count = |states: &str| {
        let sql = format!("SELECT count(*) FROM job WHERE state {states}");
        journal.query_row(&sql, [], |row| row.get::<_, i64>(0))
    };
    until("the price is reserved", || count("= 'reserved'") == Ok(1)).await;
    until("the submit is being recorded", || {
        count("= 'reserved'") != Ok(1)
            || journal.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_err()
    })
    .await;
    send("-INT", &child);
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap());
    let output = output.await.unwrap();
    assert_eq!(output.status.signal(), Some(2), "{output:?}");
    let told = Run::of(&output).stderr;
    match &rig.emulator.ledger().purchases()[1..] {
        [] => {
            assert!(told.contains("nothing was bought"), "{told}");
            assert_eq!(count("IN ('sending', 'unknown')"), Ok(0));
        }
        [bought] => {
            assert!(!told.contains("nothing was bought"), "{told}");
            let is_named = told.contains(&bought.request_id) || told.contains("uso resume");
            assert!(is_named, "{told}");
        }
        more => panic!("{more:?}"),
    }
}
