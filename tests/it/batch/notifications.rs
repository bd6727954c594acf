//! `--listen`: notifications in place of a connection for each job.

use std::net::TcpListener;
use std::time::Duration;

use uso_emulator::{AttemptOutcome, Operation};
use uso_tests::rig::Rig;

use super::Studio;

/// An address that is free.
fn address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_collected_as_its_notifications_come() {
    let builder = Rig::plain_builder().inference_time(Duration::from_millis(300));
    let studio = Studio::of(builder).await;
    studio.photos(5);
    let address = address();
    let webhook = format!("webhook=http://{address}/uso");
    let run = ["batch", "run", "photos", "--style", "ink.jpg", "-o", "out"];
    let more = ["--set", &webhook, "--listen", &address, "--json"];
    let done = studio.run(&[&run[..], &more].concat()).await;
    assert_eq!(
        (done.code, &done.json()["done"]),
        (0, &5.into()),
        "{done:?}"
    );
    assert_eq!(studio.bought(), 5);
    let emulator = &studio.rig.emulator;
    let attempts = emulator.webhook_attempts();
    let taken = attempts
        .iter()
        .filter(|attempt| attempt.outcome == AttemptOutcome::Answered(200));
    assert_eq!((attempts.len(), taken.count()), (5, 5), "{attempts:?}");
    let requests = emulator.requests();
    let asked = requests
        .iter()
        .filter(|request| request.operation == Operation::Status);
    assert_eq!(asked.count(), 5, "no job is asked for twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_bought_where_no_notification_can_come() {
    let studio = Studio::plain().await;
    studio.photos(1);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let run = [
        "batch", "run", "photos", "--style", "ink.jpg", "-o", "out", "--listen",
    ];
    let refused = studio.run(&[&run[..], &["127.0.0.1:0"]].concat()).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("--set webhook=URL"), "{refused:?}");

    let webhook = format!("webhook=http://{taken}/uso");
    let refused = studio
        .run(&[&run[..], &[&taken, "--set", &webhook]].concat())
        .await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("cannot listen"), "{refused:?}");
    assert_eq!(studio.bought(), 0);
}
