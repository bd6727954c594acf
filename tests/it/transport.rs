//! The protocol while the service misbehaves: what ends a job, what a whole file is, and what is
//! shared.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use uso::config::RetryPolicy;
use uso::error::Verdict;
use uso::status::Cancellation;
use uso::{Client, Config, ErrorKind, Event, Output, Request};
use uso_emulator::{Fault, LoggedRequest, Operation, Scenario};
use uso_tests::rig::{Rig, config_for};

fn request() -> Request {
    Request::subject("https://example.org/a.png", "x")
}

fn quick(config: Config) -> Config {
    config.retry(RetryPolicy::default().first_delay(Duration::from_millis(1)))
}

async fn rig(scenario: Scenario) -> Rig {
    Rig::configured(Rig::plain_builder().scenario(scenario), quick).await
}

async fn made(rig: &Rig) -> Output {
    rig.client
        .submit(request())
        .await
        .unwrap()
        .wait()
        .await
        .unwrap()
}

fn count(rig: &Rig, operation: Operation) -> usize {
    let requests = rig.emulator.requests();
    requests
        .iter()
        .filter(|request| request.operation == operation)
        .count()
}

#[tokio::test]
async fn a_stream_that_tells_nothing_new_does_not_hide_the_end_of_a_job() {
    for fault in [
        Fault::KeepAlivesOnly,
        Fault::InProgressForever,
        Fault::SameLogForever,
    ] {
        let scenario = Scenario::new()
            .on(Operation::Stream, fault.clone())
            .always();
        let builder = Rig::plain_builder().scenario(scenario);
        let rig = Rig::configured(builder, |config| {
            // Longer than the pause between two events.
            config.status_every(Duration::from_millis(250))
        })
        .await;
        let job = rig.client.submit(request()).await.unwrap();
        // The stream never ends, so that without a status request the job would not either.
        let mut events = job.events();
        let mut same_lines = 0;
        while let Some(event) = events.next().await {
            let event = event.unwrap();
            same_lines +=
                usize::from(matches!(&event, Event::Log(line) if line.message == "still at work"));
        }
        assert!(same_lines <= 1, "{fault:?}: told {same_lines} times");
        job.output().await.unwrap();
        assert!(count(&rig, Operation::Status) >= 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_status_that_is_not_about_the_job_ends_nothing() {
    for fault in [
        Fault::EmptyError,
        Fault::ForeignRequestId,
        Fault::ForeignFailure,
    ] {
        let scenario = Scenario::new()
            .on(Operation::Stream, fault.clone())
            .always()
            .on(Operation::Status, fault.clone())
            .always();
        let rig = rig(scenario).await;
        let output = made(&rig).await;
        assert_eq!(output.images().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_page_of_a_gateway_ends_no_job() {
    for status in [404, 410, 422, 499, 502] {
        let page = Fault::GatewayPage(status);
        let rig = rig(Scenario::new().on(Operation::Result, page)).await;
        made(&rig).await;
        assert!(count(&rig, Operation::Result) >= 2, "{status}");
    }
    let page = Fault::GatewayPage(404);
    let rig = rig(Scenario::new().on(Operation::Result, page).always()).await;
    let job = rig.client.submit(request()).await.unwrap();
    let error = job.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error:?}");
    assert_eq!(error.ticket(), Some(job.ticket()));
}

#[tokio::test]
async fn a_picture_that_is_missing_once_is_fetched() {
    for status in [404, 410] {
        let rig = rig(Scenario::new().on(Operation::File, Fault::GatewayPage(status))).await;
        let output = made(&rig).await;
        output.images()[0].bytes().await.unwrap();
        assert_eq!(count(&rig, Operation::File), 2, "{status}");
    }
}

#[tokio::test]
async fn a_fault_in_front_of_a_result_is_no_failure_of_the_job() {
    let fault = || Fault::Answer {
        status: 503,
        body: r#"{"detail":"Runner disconnected","error_type":"runner_disconnected"}"#.to_owned(),
    };
    let once = rig(Scenario::new().on(Operation::Result, fault())).await;
    made(&once).await;
    let lasting = rig(Scenario::new().on(Operation::Result, fault()).always()).await;
    let job = lasting.client.submit(request()).await.unwrap();
    let error = job.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error:?}");
    assert_eq!(error.ticket(), Some(job.ticket()));
}

#[tokio::test]
async fn statements_that_contradict_each_other_end_no_job_and_are_not_asked_for_for_ever() {
    let said = |status| Fault::Answer {
        status,
        body: r#"{"detail":"no"}"#.to_owned(),
    };
    let scenario = [422, 499].into_iter().cycle().take(6);
    let scenario = scenario.fold(Scenario::new(), |scenario, status| {
        scenario.on(Operation::Result, said(status))
    });
    let rig = rig(scenario).await;
    let job = rig.client.submit(request()).await.unwrap();
    let error = job.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error:?}");
    assert!(error.to_string().contains("HTTP 422"), "{error}");
    assert_eq!(error.ticket(), Some(job.ticket()));
    assert_eq!(count(&rig, Operation::Result), 3);
    rig.emulator.set_scenario(Scenario::new());
    job.collect().await.unwrap();
}

#[tokio::test]
async fn a_refusal_whose_body_is_lost_has_bought_nothing() {
    let submitted = async |status| {
        let scenario = Scenario::new().on(Operation::Submit, Fault::CutStatus(status));
        let configure = |config: Config| quick(config.without_reconciliation());
        let rig = Rig::configured(Rig::plain_builder().scenario(scenario), configure).await;
        let submitted = rig.client.submit(request()).await;
        (rig, submitted)
    };
    for (status, kind) in [
        (401, ErrorKind::Auth),
        (403, ErrorKind::Auth),
        (404, ErrorKind::Config),
        (413, ErrorKind::Input),
        (422, ErrorKind::Input),
    ] {
        let (rig, submitted) = submitted(status).await;
        let error = submitted.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(error.verdict(), Verdict::NotBought, "{error:?}");
        assert_eq!(rig.operations(), ["submit"]);
    }
    let (limited, submitted_again) = submitted(429).await;
    submitted_again.unwrap();
    assert_eq!(count(&limited, Operation::Submit), 2);
    for status in [409, 503] {
        let (_, submitted) = submitted(status).await;
        let error = submitted.unwrap_err();
        assert_eq!(error.verdict(), Verdict::Unknown, "{error:?}");
    }
    // The words of the body would tell whether the model has worked.
    let scenario = Scenario::new().on(Operation::Run, Fault::CutStatus(422));
    let run = rig(scenario).await.client.run(request()).await;
    assert_eq!(run.unwrap_err().verdict(), Verdict::Unknown);
}

#[tokio::test]
async fn a_cancel_is_told_as_its_words_say_whatever_its_status_is() {
    for (status, words, told) in [
        (200, r#"{"success":true}"#, Some(Cancellation::Requested)),
        (200, r#"{"success":false}"#, None),
        (202, "{}", Some(Cancellation::Requested)),
        (
            200,
            r#"{"status":"ALREADY_COMPLETED"}"#,
            Some(Cancellation::AlreadyCompleted),
        ),
        (
            409,
            r#"{"status":"ALREADY_COMPLETED"}"#,
            Some(Cancellation::AlreadyCompleted),
        ),
    ] {
        let body = words.to_owned();
        let scenario = Scenario::new().on(Operation::Cancel, Fault::Answer { status, body });
        let builder = Rig::plain_builder().scenario(scenario);
        let builder = builder.inference_time(Duration::from_secs(600));
        let rig = Rig::configured(builder, quick).await;
        let job = rig.client.submit(request()).await.unwrap();
        assert_eq!(job.cancel().await.ok(), told, "{status} {words}");
    }
}

#[tokio::test]
async fn a_request_that_is_not_known_at_once_is_asked_for_again() {
    let rig = rig(Scenario::new().on(Operation::Submit, Fault::InvisibleFor(2))).await;
    let job = rig.client.submit(request()).await.unwrap();
    job.status().await.unwrap();
    job.wait().await.unwrap();
}

/// Everything in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn half_a_picture_is_fetched_again_and_never_called_whole() {
    for fault in [
        Fault::TruncatedBody,
        Fault::CutCloseDelimited,
        Fault::CutChunked,
        Fault::ShortChunked,
        Fault::ShortLength,
        Fault::UnaskedPartial,
    ] {
        let once = rig(Scenario::new().on(Operation::File, fault.clone())).await;
        let output = made(&once).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        output.images()[0].save(&path).await.unwrap();
        assert!(image::open(&path).is_ok(), "{fault:?}");
        assert_eq!(names(folder.path()), ["a.png"], "{fault:?}");
        assert_eq!(count(&once, Operation::File), 2, "{fault:?}");

        let lasting = rig(Scenario::new().on(Operation::File, fault.clone()).always()).await;
        let output = made(&lasting).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let error = output.images()[0].save(&path).await.unwrap_err();
        assert!(error.ticket().is_some(), "{fault:?}: {error:?}");
        assert!(!path.exists(), "{fault:?}");
        let kept = names(folder.path());
        assert!(
            kept.iter().all(|name| name == "a.png.damaged"),
            "{fault:?}: {kept:?}"
        );
        if !kept.is_empty() {
            assert!(error.to_string().contains("a.png.damaged"), "{error}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_planted_link_is_neither_followed_nor_replaced() {
    let rig = rig(Scenario::new()).await;
    let output = made(&rig).await;
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    std::fs::write(&victim, "untouched").unwrap();
    for planted in [".a.png.part", ".a.png.123456.part", "a.png"] {
        std::os::unix::fs::symlink(&victim, folder.path().join(planted)).unwrap();
    }
    let picture = &output.images()[0];
    let error = picture.save(folder.path().join("a.png")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    picture
        .save_over(folder.path().join("a.png"))
        .await
        .unwrap();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    assert!(image::open(folder.path().join("a.png")).is_ok());
}

#[tokio::test]
async fn what_a_killed_process_left_of_a_file_goes_with_the_next_download_of_it() {
    let rig = rig(Scenario::new()).await;
    let output = made(&rig).await;
    let folder = tempfile::tempdir().unwrap();
    for left in [
        ".a.png.Ab12Cd.part",
        ".b.png.Ab12Cd.part",
        ".c.png.Ab12Cd.part",
    ] {
        std::fs::write(folder.path().join(left), "half").unwrap();
    }
    let in_use = std::fs::File::open(folder.path().join(".b.png.Ab12Cd.part")).unwrap();
    in_use.lock().unwrap();
    for name in ["a.png", "b.png"] {
        let picture = &output.images()[0];
        picture.save(folder.path().join(name)).await.unwrap();
    }
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    // One is another process's, and one is of a file that nothing was downloaded to.
    let expected = [".b.png.Ab12Cd.part", ".c.png.Ab12Cd.part", "a.png", "b.png"];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn an_outage_of_downloads_spends_the_repeats_that_jobs_share() {
    let scenario = Scenario::new()
        .on(Operation::File, Fault::Status(503))
        .always()
        .on(Operation::Status, Fault::Status(503))
        .always();
    let builder = Rig::plain_builder().scenario(scenario);
    let rig = Rig::configured(builder, |config| {
        let policy = RetryPolicy::default().attempts(1000);
        config.retry(policy.first_delay(Duration::ZERO))
    })
    .await;
    let job = rig.client.submit(request()).await.unwrap();
    let output = job.wait().await.unwrap();
    let error = output.images()[0].bytes().await.unwrap_err();
    assert_eq!(error.attempts(), 101, "{error:?}");
    let error = job.status().await.unwrap_err();
    assert_eq!(
        error.attempts(),
        1,
        "nothing is left for a status: {error:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_jobs_at_once_share_a_few_connections_and_make_three_requests_each() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = |text: String| text.into_bytes();
    let certificate = made.cert.pem();
    let emulator = Rig::plain_builder()
        .concurrency(200)
        .inference_time(Duration::from_millis(300))
        .tls(
            pem(certificate.clone()),
            pem(made.signing_key.serialize_pem()),
        )
        .start()
        .await
        .unwrap();
    let origin = format!("https://localhost:{}", emulator.addr().port());
    let config = config_for(&origin).unwrap().root_certificates(certificate);
    let client = Client::new(config).unwrap();
    let mut jobs = tokio::task::JoinSet::new();
    for seed in 0..200 {
        let client = client.clone();
        jobs.spawn(async move { client.submit(request().seed(seed)).await?.wait().await });
    }
    while let Some(done) = jobs.join_next().await {
        done.unwrap().unwrap();
    }
    let requests = emulator.requests();
    let of = |operation| {
        let of = |request: &&LoggedRequest| request.operation == operation;
        requests.iter().filter(of).count()
    };
    let counts = [Operation::Submit, Operation::Stream, Operation::Result].map(of);
    assert_eq!((counts, requests.len()), ([200; 3], 600));
    assert!(
        requests
            .iter()
            .all(|request| request.http_version == "HTTP/2.0")
    );
    let connections: BTreeSet<u64> = requests.iter().map(|request| request.connection).collect();
    assert!(connections.len() <= 8, "{} connections", connections.len());
}

#[tokio::test]
async fn a_job_is_told_as_completed_once_its_result_is_there() {
    let rig = rig(Scenario::new()).await;
    let job = rig.client.submit(request()).await.unwrap();
    let mut events = job.events();
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event.unwrap());
    }
    assert!(matches!(last, Some(Event::Completed(_))));
    assert_eq!(count(&rig, Operation::Result), 1);
}
