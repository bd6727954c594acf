//! The same picture is uploaded once, and once more when the service has lost it.

use std::time::Duration;

use tokio::task::JoinSet;
use uso::pictures::Sending;
use uso::{ErrorKind, Request};
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Cli, Rig, content, style, until};

use super::{count, exif, jpeg, prepared, quarters, with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_references_from_fifty_tasks_are_one_upload() {
    let rig = Rig::plain().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("style.jpg");
    std::fs::write(&path, jpeg(&quarters(2500, 1800), Some(exif(6)))).unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let (client, path) = (rig.client.clone(), path.clone());
        tasks.spawn(async move {
            let mut uploaded = 0;
            for _ in 0..10 {
                let prepared = client.prepare(with(path.as_path())).await.unwrap();
                let picture = &prepared.pictures()[0];
                assert_eq!(picture.changes.len(), 3, "told each time: {picture}");
                uploaded += usize::from(picture.sending == Sending::Upload);
            }
            uploaded
        });
    }
    let uploaded: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!(uploaded, 1);
    assert_eq!(rig.operations(), ["initiate", "upload"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_picture_or_another_way_is_another_upload() {
    let rig = Rig::plain().await;
    let picture = || jpeg(&quarters(900, 600), Some(exif(1)));
    prepared(&rig.client, with(picture())).await;
    prepared(&rig.client, with(picture()).without_fit()).await;
    prepared(&rig.client, with(jpeg(&quarters(902, 600), None))).await;
    // Twice in one request.
    prepared(&rig.client, Request::restyle(picture(), picture())).await;
    assert_eq!(count(&rig, Operation::Upload), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_urls_alone_does_not_wait_for_the_uploads_of_others() {
    let scenario = Scenario::new()
        .on(Operation::Initiate, Fault::Hang)
        .always();
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    // As many as may be on their way at a time, and one that waits.
    let mut stalled = JoinSet::new();
    for extra in 0..13 {
        let client = rig.client.clone();
        let picture = jpeg(&quarters(400 + 2 * extra, 300), None);
        stalled.spawn(async move { client.submit(with(picture)).await });
    }
    until("every permit is taken", || {
        count(&rig, Operation::Initiate) >= 12
    })
    .await;
    tokio::select! {
        biased;
        ended = stalled.join_next() => panic!("an upload ended first: {ended:?}"),
        job = rig.client.submit(with("https://example.org/a.png")) => job.unwrap(),
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_failed_is_tried_again_by_the_next_request() {
    let scenario = Scenario::new()
        .on(Operation::Initiate, Fault::Unauthorized)
        .times(1);
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let picture = || with(jpeg(&quarters(900, 600), None));
    let error = rig.client.prepare(picture()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    prepared(&rig.client, picture()).await;
    assert_eq!(count(&rig, Operation::Upload), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_the_service_lost_is_made_again_once() {
    let rig = Rig::with_pictures().await;
    let request = || {
        let size = uso::ImageSize {
            width: Some(64),
            height: Some(64),
        };
        Request::restyle(content(), style()).size(size)
    };
    rig.client.generate(request()).await.unwrap();
    assert_eq!(count(&rig, Operation::Upload), 2);
    rig.emulator.forget_files();
    rig.client.generate(request()).await.unwrap();
    assert_eq!(count(&rig, Operation::Upload), 4, "each picture once more");
    let ledger = rig.emulator.ledger();
    assert_eq!((ledger.purchases().len(), ledger.billed().count()), (3, 2));

    // A service that loses everything at once is not worth a third attempt.
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::FilesGone)
        .always();
    let rig = Rig::of(Rig::pictures_builder().scenario(scenario)).await;
    let error = rig.client.generate(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input, "{error:?}");
    assert_eq!(
        rig.emulator.ledger().purchases().len(),
        1,
        "these were not reused"
    );
    let error = rig.client.generate(request()).await.unwrap_err();
    assert_eq!(error.problems()[0].category, "file_download_error");
    let ledger = rig.emulator.ledger();
    assert_eq!((ledger.purchases().len(), ledger.billed().count()), (3, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_that_was_billed_is_not_bought_again() {
    let lost = r#"{"detail":[{"loc":["body","input_image_urls",0],"msg":"gone","type":"file_download_error"}]}"#;
    let body: serde_json::Value = serde_json::from_str(lost).unwrap();
    let free = Fault::ModelAnswers {
        status: 422,
        body: body.clone(),
    };
    for (fault, purchases) in [(free, 2), (Fault::BilledRefusal { body }, 1)] {
        let scenario = Scenario::new().on(Operation::Submit, fault.clone());
        let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
        // A fresh upload is not suspected, so one goes ahead.
        prepared(&rig.client, with(content())).await;
        let outcome = rig.client.generate(with(content())).await;
        assert_eq!(outcome.is_ok(), purchases == 2, "{fault:?}");
        assert_eq!(
            rig.emulator.ledger().purchases().len(),
            purchases,
            "{fault:?}"
        );
        if let Err(error) = outcome {
            assert_eq!(error.billed(), uso::error::Billed::Something, "{error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_jobs_recover_from_the_same_loss() {
    let rig = Rig::with_pictures().await;
    let size = || uso::ImageSize {
        width: Some(64),
        height: Some(64),
    };
    let request = move || with(style()).size(size());
    rig.client.generate(request()).await.unwrap();
    rig.emulator.forget_files();
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let client = rig.client.clone();
        tasks.spawn(async move { client.generate(request()).await.map(drop) });
    }
    for outcome in tasks.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(rig.emulator.ledger().billed().count(), 21);
    assert_eq!(count(&rig, Operation::Upload), 2, "one for all of them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_share_their_uploads_on_disk() {
    let rig = Rig::with_pictures().await;
    let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test")).at(&rig.emulator.origin());
    let (content, style) = (content(), style());
    let restyle = |more: &[&str]| {
        let fixed = [
            "restyle",
            content.to_str().unwrap(),
            style.to_str().unwrap(),
            "--size",
            "64x48",
            "--json",
        ];
        cli.run(&[&fixed[..], more].concat())
    };
    let run = restyle(&[]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.json()["references"][0]["sending"], "upload");
    let run = restyle(&[]);
    assert_eq!(run.json()["references"][0]["sending"], "reused", "{run:?}");
    assert_eq!(count(&rig, Operation::Upload), 2);
    rig.emulator.forget_files();
    let run = restyle(&[]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("uploading it again"), "{run:?}");
    assert_eq!(count(&rig, Operation::Upload), 4);
    let run = restyle(&[]);
    assert_eq!(run.json()["references"][1]["sending"], "reused", "{run:?}");
    assert_eq!(rig.emulator.ledger().billed().count(), 4);
    // Nothing stays noted of the purchase that came to nothing.
    let run = cli.run(&["resume"]);
    assert!(run.stderr.contains("nothing is unfinished"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_not_trusted_beyond_its_time() {
    let rig = Rig::plain().await;
    prepared(&rig.client, with(content())).await;
    let mut known = serde_json::to_value(rig.client.known_uploads()).unwrap();
    let yesterday = std::time::SystemTime::now() - Duration::from_secs(86_400);
    known[0]["trusted_until"] = serde_json::to_value(yesterday).unwrap();
    let other = uso::Client::new(rig.client.config().clone()).unwrap();
    other.remember_uploads(serde_json::from_value(known).unwrap());
    prepared(&other, with(content())).await;
    assert_eq!(count(&rig, Operation::Upload), 2);
    other.remember_uploads(rig.client.known_uploads());
    assert_eq!(other.known_uploads().len(), 1);
}
