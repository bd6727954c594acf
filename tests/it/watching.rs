//! Following a job while the line is bad: the stream is a hint, and the truth is a GET.

use std::time::Duration;

use serde_json::json;
use uso::config::RetryPolicy;
use uso::{ErrorKind, Event, Request};
use uso_emulator::{EmulatorBuilder, Fault, Operation, Scenario};
use uso_tests::rig::Rig;

fn request() -> Request {
    Request::subject("https://example.org/a.png", "x")
}

/// How long a job runs that is to be met running.
const RUNNING: Duration = Duration::from_secs(600);

async fn rig(scenario: Scenario) -> Rig {
    quick(Rig::plain_builder().scenario(scenario)).await
}

async fn running(scenario: Scenario) -> Rig {
    let builder = Rig::plain_builder().scenario(scenario);
    quick(builder.inference_time(RUNNING)).await
}

async fn quick(builder: EmulatorBuilder) -> Rig {
    Rig::configured(builder, |config| {
        config.stream_idle(Duration::from_millis(300))
    })
    .await
}

fn count(rig: &Rig, operation: &str) -> usize {
    rig.operations()
        .iter()
        .filter(|seen| *seen == operation)
        .count()
}

#[tokio::test]
async fn a_stream_that_fails_in_any_way_loses_nothing() {
    let faults = [
        Fault::Drop,
        Fault::EndStream,
        Fault::CutStream,
        Fault::CutMidEvent,
        Fault::SilentStream,
        Fault::EndlessLine,
        Fault::Undecodable,
        Fault::TruncatedJson,
        Fault::UnknownStatus,
        Fault::WrongContentType,
        Fault::GatewayPage(502),
        Fault::Status(503),
        Fault::Throttled { retry_after: None },
        Fault::Body("{}".to_owned()),
    ];
    for fault in faults {
        let scenario = Scenario::new()
            .on(Operation::Stream, fault.clone())
            .always();
        // The job runs until the clock is moved, so that the stream never begins with its end.
        let rig = running(scenario).await;
        let job = rig.client.submit(request()).await.unwrap();
        let mut interrupted = false;
        let mut held = true;
        let mut events = job.events();
        while let Some(event) = events.next().await {
            interrupted |= matches!(event.unwrap(), Event::Interrupted(_));
            if std::mem::take(&mut held) {
                rig.emulator.advance(RUNNING);
            }
        }
        assert!(interrupted, "{fault:?} is told");
        job.output().await.unwrap();
        assert!(
            count(&rig, "status") >= 1,
            "{fault:?}: the truth is asked for"
        );
        assert_eq!(rig.emulator.ledger().purchases().len(), 1);
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_once_is_made_anew() {
    // The job runs until the clock is moved, which happens when the second stream is there.
    let builder = Rig::plain_builder()
        .inference_time(Duration::from_secs(600))
        .scenario(Scenario::new().on(Operation::Stream, Fault::CutMidEvent));
    let rig = Rig::of(builder).await;
    let job = rig.client.submit(request()).await.unwrap();
    let mut events = job.events();
    let mut interruptions = 0;
    while let Some(event) = events.next().await {
        match event.unwrap() {
            Event::Interrupted(_) => interruptions += 1,
            Event::Completed(_) => break,
            _ => {}
        }
        if interruptions > 0 {
            rig.emulator.advance(Duration::from_secs(601));
        }
    }
    assert_eq!(interruptions, 1);
    job.output().await.unwrap();
}

#[tokio::test]
async fn a_cut_right_after_the_end_is_no_interruption() {
    let rig = rig(Scenario::new().on(Operation::Stream, Fault::CutAfterCompleted)).await;
    rig.client
        .submit(request())
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    assert_eq!(rig.operations(), ["submit", "stream", "result"]);
}

#[tokio::test]
async fn a_job_that_goes_back_to_the_queue_is_followed_on() {
    let rig = rig(Scenario::new().on(Operation::Submit, Fault::Requeue)).await;
    let job = rig.client.submit(request()).await.unwrap();
    job.wait().await.unwrap();
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test]
async fn status_requests_that_fail_in_passing_are_repeated() {
    let scenario = Scenario::new()
        .on(Operation::Stream, Fault::Drop)
        .always()
        .on(Operation::Status, Fault::GatewayPage(502))
        .on(Operation::Status, Fault::Status(500))
        .on(Operation::Status, Fault::Drop);
    let rig = rig(scenario).await;
    rig.client
        .submit(request())
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    assert!(count(&rig, "status") >= 4);
}

#[tokio::test]
async fn the_finish_deadline_names_itself_and_leaves_the_job() {
    let builder = Rig::plain_builder().inference_time(Duration::from_secs(600));
    let rig = Rig::configured(builder, |config| {
        config.finish_within(Duration::from_millis(200))
    })
    .await;
    let job = rig.client.submit(request()).await.unwrap();
    let error = job.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(
        error.to_string().contains("0.2 s") && error.to_string().contains("continues"),
        "{error}"
    );
    assert_eq!(error.ticket(), Some(job.ticket()));
    rig.emulator.advance(Duration::from_secs(601));
    job.wait().await.unwrap();
}

#[tokio::test]
async fn a_job_that_failed_says_why() {
    let failure = Fault::FailsWith {
        status: 503,
        error_type: "runner_disconnected".to_owned(),
    };
    let rig = rig(Scenario::new().on(Operation::Submit, failure)).await;
    let job = rig.client.submit(request()).await.unwrap();
    let error = job.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed, "{error:?}");
    assert_eq!(error.error_type(), Some("runner_disconnected"));
    assert_eq!(error.ticket(), Some(job.ticket()));
}

#[tokio::test]
async fn a_result_that_says_why_a_job_failed_ends_the_waiting_though_no_status_can_be_read() {
    let refused = Fault::ModelAnswers {
        status: 422,
        body: json!({ "detail": [{ "loc": ["body", "seed"], "msg": "bad", "type": "value_error" }] }),
    };
    let lost = Fault::FailsWith {
        status: 503,
        error_type: "runner_disconnected".to_owned(),
    };
    let cancelled = Fault::FailsWith {
        status: 499,
        error_type: "client_cancelled".to_owned(),
    };
    for (fault, kind) in [
        (refused, ErrorKind::Input),
        (lost, ErrorKind::Failed),
        (cancelled, ErrorKind::Cancelled),
    ] {
        for unreadable in [Fault::UnknownStatus, Fault::Body("{}".to_owned())] {
            let scenario = Scenario::new()
                .on(Operation::Submit, fault.clone())
                .on(Operation::Stream, unreadable.clone())
                .always()
                .on(Operation::Status, unreadable.clone())
                .always();
            let builder = Rig::plain_builder().scenario(scenario);
            let rig = Rig::configured(builder, |config| {
                let first = Duration::from_millis(5);
                config
                    .retry(RetryPolicy::default().first_delay(first))
                    .finish_within(Duration::from_secs(20))
            })
            .await;
            let job = rig.client.submit(request()).await.unwrap();
            let error = job.wait().await.unwrap_err();
            assert_eq!(error.kind(), kind, "{fault:?} {unreadable:?}: {error:?}");
            assert_eq!(error.ticket(), Some(job.ticket()));
        }
    }
}

#[tokio::test]
async fn an_unreadable_status_and_a_fault_in_front_of_the_result_are_waited_out() {
    let scenario = Scenario::new()
        .on(Operation::Stream, Fault::UnknownStatus)
        .always()
        .on(Operation::Status, Fault::UnknownStatus)
        .always()
        .on(Operation::Result, Fault::GatewayPage(502))
        .times(4);
    let builder = Rig::plain_builder().scenario(scenario);
    let rig = Rig::configured(builder, |config| {
        let first = Duration::from_millis(5);
        config.retry(RetryPolicy::default().first_delay(first).attempts(2))
    })
    .await;
    let job = rig.client.submit(request()).await.unwrap();
    job.wait().await.unwrap();
}

#[tokio::test]
async fn an_end_that_is_told_too_early_ends_neither_the_events_nor_the_waiting() {
    let early = Fault::Body(r#"{"status":"COMPLETED"}"#.to_owned());
    let scenario = || Scenario::new().on(Operation::Stream, early.clone());
    let rig = running(scenario()).await;
    let job = rig.client.submit(request()).await.unwrap();
    let mut events = job.events();
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        if matches!(event, Event::Running) {
            rig.emulator.advance(RUNNING);
        }
        seen.push(event);
    }
    let ends = |event: &&Event| matches!(event, Event::Completed(_));
    assert_eq!(seen.iter().filter(ends).count(), 1, "{seen:?}");
    assert!(seen.last().as_ref().is_some_and(ends), "{seen:?}");
    job.output().await.unwrap();

    let rig = running(scenario()).await;
    let job = rig.client.submit(request()).await.unwrap();
    let waited = job.wait_with(|event| {
        if matches!(event, Event::Running) {
            rig.emulator.advance(RUNNING);
        }
    });
    waited.await.unwrap();
}
