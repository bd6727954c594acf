//! Ctrl-C during a batch: first nothing more begins, then what is bought is left to the next run.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Rig, until};
use uso_tests::terminal::Terminal;

use super::Studio;
use crate::cli::signals::send;

/// A run of the photos, and the lines of its stderr.
fn start(studio: &Studio, options: &[&str]) -> (Child, impl Iterator<Item = String> + use<>) {
    let run = ["batch", "run", "photos", "--style", "ink.jpg"];
    let mut command = studio.cli.command(&[&run, options].concat());
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    (child, lines.map(Result::unwrap))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_begins_nothing_more_and_a_second_one_leaves_what_is_bought() {
    let hour = Duration::from_secs(3600);
    let builder = Rig::plain_builder().inference_time(hour).concurrency(50);
    let studio = Studio::of(builder).await;
    studio.photos(12);
    let (mut child, mut talk) = start(&studio, &["-o", "out", "--concurrency", "4"]);
    // A job is followed once its id is recorded.
    let followed = || {
        let requests = studio.rig.emulator.requests();
        let is_followed = |operation| matches!(operation, Operation::Status | Operation::Stream);
        requests
            .iter()
            .filter(|request| is_followed(request.operation))
            .count()
    };
    until("four jobs are followed", || followed() >= 4).await;
    send("-INT", &child);
    assert!(talk.any(|line| line.contains("no further row begins; 4 in flight")));
    send("-INT", &child);
    let rest: Vec<String> = talk.collect();
    assert_eq!(child.wait().unwrap().signal(), Some(2), "{rest:?}");
    assert!(
        rest.iter()
            .any(|line| line.contains("uso batch resume photos")),
        "{rest:?}"
    );
    let status = studio.run(&["batch", "status", "--json"]).await.json();
    assert_eq!(
        (
            &status["states"]["submitted"],
            &status["states"]["not_begun"]
        ),
        (&4.into(), &8.into())
    );
    assert_eq!(studio.bought(), 4);

    let cancelled = studio.run(&["batch", "cancel", "--json"]).await;
    assert_eq!(cancelled.code, 0, "{cancelled:?}");
    assert_eq!(cancelled.json()["cancelled"], 4);
    assert_eq!(studio.bought(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_a_locked_account_refuses_is_not_in_flight() {
    let locked = Scenario::new().on(Operation::Submit, Fault::Locked);
    let studio = Studio::of(Rig::plain_builder().scenario(locked.always())).await;
    studio.photos(1);
    let (mut child, mut talk) = start(&studio, &[]);
    assert!(talk.any(|line| line.contains("paused: ")));
    send("-INT", &child);
    let told = talk.find(|line| line.contains("no further row begins"));
    let told = told.unwrap();
    assert!(!told.contains("in flight"), "{told}");
    let rest: Vec<String> = talk.collect();
    assert_eq!(child.wait().unwrap().signal(), Some(2), "{rest:?}");
    assert_eq!(studio.bought(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_throttled_says_so_in_its_status_and_is_interrupted_cleanly() {
    let retry_after = Some(3600);
    let throttled = Scenario::new().on(Operation::Submit, Fault::Throttled { retry_after });
    let studio = Studio::of(Rig::plain_builder().scenario(throttled.always())).await;
    studio.photos(2);
    let (mut child, mut talk) = start(&studio, &[]);
    let told = talk.find(|line| line.contains("paused: ")).unwrap();
    let status = async || studio.run(&["batch", "status", "--json"]).await.json()["paused"].take();
    let paused = status().await;
    let why = paused["why"].as_str().unwrap();
    assert!(told.contains(why), "{told}: {paused}");
    let since = paused["since"].as_str().unwrap();
    assert!(since.ends_with('Z'), "{paused}");
    let lines = studio.run(&["batch", "status"]).await.stdout;
    assert!(
        lines.contains(&format!("paused since {since}: {why}")),
        "{lines}"
    );
    send("-INT", &child);
    let rest: Vec<String> = talk.collect();
    assert_eq!(child.wait().unwrap().signal(), Some(2), "{rest:?}");
    assert!(
        rest.iter()
            .any(|line| line.contains("go on with: uso batch resume photos")),
        "{rest:?}"
    );
    assert_eq!(status().await, serde_json::Value::Null);
    assert_eq!(studio.bought(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_shows_for_how_long_a_batch_is_paused_and_why() {
    let locked = Scenario::new().on(Operation::Submit, Fault::Locked);
    let studio = Studio::of(Rig::plain_builder().scenario(locked.always())).await;
    studio.photos(1);
    let run = ["batch", "run", "photos", "--style", "ink.jpg"];
    let mut terminal = Terminal::start(&studio.cli.command(&run), 100);
    terminal.until("paused for ").until("locked");
    terminal.press("\u{3}");
    let session = terminal.end();
    assert_eq!(session.status.signal(), Some(2), "{session:?}");
    assert!(
        session.screen.contains("uso batch resume photos"),
        "{session:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_ctrl_c_does_not_wait_for_a_submit_that_is_sent_again_later() {
    let retry_after = Some(60);
    let throttled = Scenario::new().on(Operation::Submit, Fault::Throttled { retry_after });
    let studio = Studio::of(Rig::plain_builder().scenario(throttled.always())).await;
    studio.photos(1);
    let (mut child, mut talk) = start(&studio, &[]);
    let requests = || studio.rig.operations();
    let is_sent = || requests().iter().any(|word| word == "submit");
    until("a submit is refused", is_sent).await;
    for told in ["1 in flight", "1 submit without a response yet"] {
        send("-INT", &child);
        assert!(talk.any(|line| line.contains(told)), "{told}");
    }
    send("-INT", &child);
    let rest: Vec<String> = talk.collect();
    assert_eq!(child.wait().unwrap().signal(), Some(2), "{rest:?}");
    let submits = requests().iter().filter(|word| *word == "submit").count();
    assert_eq!((submits, studio.bought()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_run_is_not_shown_as_paused() {
    let locked = Scenario::new().on(Operation::Submit, Fault::Locked);
    let studio = Studio::of(Rig::plain_builder().scenario(locked.always())).await;
    studio.photos(1);
    let (mut child, mut talk) = start(&studio, &[]);
    assert!(talk.any(|line| line.contains("paused: ")));
    child.kill().unwrap();
    child.wait().unwrap();
    let status = studio.run(&["batch", "status", "--json"]).await.json();
    assert_eq!(status["paused"], serde_json::Value::Null, "{status}");
}
