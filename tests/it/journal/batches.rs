//! Batches: one after the other, paused, stopped and dropped.

use std::time::Duration;

use uso::ErrorKind;
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::{BatchEvent, Error, State, Stop, Stopped, Target};
use uso_tests::rig::Rig;

use super::{Desk, request};

fn rows(count: u32) -> impl Iterator<Item = (String, uso::Request)> + Send + 'static {
    (0..count).map(|row| (format!("row-{row}"), request(&format!("row {row}"))))
}

#[tokio::test]
async fn a_batch_that_is_run_again_buys_nothing_and_names_files_by_its_keys() {
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let run = || {
        let target = Target::named(desk.path().join("out"), "{key}.{ext}");
        desk.journal.run(client, rows(12)).target(target).start()
    };
    let first = run().finish().await;
    assert_eq!(
        (first.done, first.unfinished, &first.stopped),
        (12, 0, &None)
    );
    let mut names: Vec<String> = std::fs::read_dir(desk.path().join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!((names.len(), names[0].as_str()), (12, "row-0.png"));
    assert_eq!(run().finish().await, first);
    assert_eq!(desk.bought(), 12);
}

#[tokio::test]
async fn two_rows_with_one_key_buy_once_and_a_different_second_one_is_refused() {
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let rows = ["a cat", "a cat", "a dog"].map(|prompt| ("key".to_owned(), request(prompt)));
    let mut run = desk.journal.run(client, rows).concurrency(1).start();
    let mut outcomes = Vec::new();
    while let Some(event) = run.next().await {
        if let BatchEvent::Ended { outcome, .. } = event {
            outcomes.push(outcome);
        }
    }
    assert!(
        matches!(*outcomes[2], Err(Error::Conflict { .. })),
        "{outcomes:?}"
    );
    assert_eq!((run.summary().done, run.summary().refused), (2, 1));
    assert_eq!(desk.bought(), 1);
}

#[tokio::test]
async fn a_stop_lets_what_is_in_flight_end_and_begins_nothing_more() {
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let stop = Stop::new();
    let mut run = desk
        .journal
        .run(client, rows(1000))
        .concurrency(2)
        .stop(&stop)
        .start();
    let (mut started, mut ended) = (0, 0);
    while let Some(event) = run.next().await {
        match event {
            BatchEvent::Started { .. } => started += 1,
            BatchEvent::Ended { .. } => {
                ended += 1;
                stop.stop();
            }
            _ => {}
        }
    }
    let summary = run.summary();
    assert_eq!(summary.stopped, Some(Stopped::Asked));
    assert_eq!(started, ended, "every row that began has an outcome");
    assert!((1..=6).contains(&ended), "{ended}");
    // A row that the stop met before its submit is left to the next run.
    assert_eq!(
        (summary.done + summary.unfinished, desk.bought() as u64),
        (ended, summary.done)
    );
}

#[tokio::test]
async fn a_picture_that_arrives_slowly_holds_up_no_purchase() {
    let builder = Rig::plain_builder();
    let slow = Scenario::new().on(Operation::File, Fault::Hang);
    let desk = Desk::new(Rig::of(builder.scenario(slow)).await).await;
    let client = &desk.rig.client;
    let mut run = desk.journal.run(client, rows(3)).concurrency(1).start();
    let mut submitted = Vec::new();
    while submitted.len() < 2 {
        match run.next().await.unwrap() {
            BatchEvent::Progress {
                key,
                progress: uso_journal::Progress::Submitted(_),
            } => submitted.push(key),
            BatchEvent::Ended { key, .. } => panic!("{key} has ended"),
            _ => {}
        }
    }
    assert_eq!(submitted, ["row-0", "row-1"]);
}

#[tokio::test]
async fn a_dropped_run_loses_nothing() {
    let builder = Rig::plain_builder()
        .concurrency(3)
        .inference_time(Duration::from_secs(600));
    let desk = Desk::new(Rig::of(builder).await).await;
    let client = &desk.rig.client;
    let mut run = desk.journal.run(client, rows(3)).concurrency(3).start();
    let mut submitted = 0;
    while submitted < 3 {
        let event = run.next().await.unwrap();
        let is_submit = matches!(
            &event,
            BatchEvent::Progress {
                progress: uso_journal::Progress::Submitted(_),
                ..
            }
        );
        submitted += usize::from(is_submit);
    }
    drop(run);
    desk.rig.emulator.advance(Duration::from_secs(1200));
    let again = desk.journal.run(client, rows(3)).start().finish().await;
    assert_eq!(again.done, 3);
    assert_eq!(desk.bought(), 3);
}

#[tokio::test]
async fn a_locked_account_pauses_the_batch_once_and_it_goes_on_after_the_top_up() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::Locked)
        .after(2)
        .times(1);
    let desk = Desk::new(Rig::of(Rig::plain_builder().scenario(scenario)).await).await;
    let client = &desk.rig.client;
    let mut run = desk.journal.run(client, rows(6)).concurrency(1).start();
    let mut words = Vec::new();
    while let Some(event) = run.next().await {
        match event {
            BatchEvent::Paused { kind, .. } => {
                assert_eq!(kind, ErrorKind::Locked);
                words.push("paused");
            }
            BatchEvent::Continued => words.push("continued"),
            _ => {}
        }
    }
    assert_eq!(words, ["paused", "continued"]);
    assert_eq!((run.summary().done, desk.bought()), (6, 6));
}

#[tokio::test]
async fn a_key_that_is_not_accepted_stops_the_batch() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::Unauthorized)
        .always();
    let desk = Desk::new(Rig::of(Rig::plain_builder().scenario(scenario)).await).await;
    let run = desk.journal.run(&desk.rig.client, rows(50)).concurrency(1);
    let summary = run.start().finish().await;
    assert!(
        matches!(summary.stopped, Some(Stopped::Key(_))),
        "{summary:?}"
    );
    assert_eq!((summary.unfinished, desk.bought()), (1, 0));
}

#[tokio::test]
async fn more_are_in_flight_while_jobs_start_at_once() {
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let mut run = desk.journal.run(client, rows(60)).start();
    let (mut flying, mut most) = (0_usize, 0);
    while let Some(event) = run.next().await {
        match event {
            BatchEvent::Started { .. } => flying += 1,
            BatchEvent::Ended { .. } => flying -= 1,
            _ => {}
        }
        most = most.max(flying);
    }
    assert!(most > 2, "{most} at a time");
    assert_eq!(run.summary().done, 60);
    let listed = desk.journal.jobs(client).states([State::Done]).limit(10);
    assert_eq!(listed.read().await.unwrap().len(), 10);
    let counts = desk.journal.jobs(client).count().await.unwrap();
    assert_eq!(counts, [(State::Done, 60)]);
}

#[tokio::test]
async fn a_job_that_never_starts_is_bought_again_three_times_and_no_more() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::NeverStarts)
        .always();
    let desk = Desk::new(Rig::of(Rig::plain_builder().scenario(scenario)).await).await;
    let row = request("a cat").start_within(Duration::from_secs(30));
    let rows = vec![("a".to_owned(), row)];
    let mut run = desk.journal.run(&desk.rig.client, rows).start();
    while let Some(event) = run.next().await {
        if let BatchEvent::Progress {
            progress: uso_journal::Progress::Submitted(_),
            ..
        } = event
        {
            assert!(desk.bought() <= 4, "{} times", desk.bought());
            desk.rig.emulator.advance(Duration::from_secs(60));
        }
    }
    assert_eq!((run.summary().failed, desk.bought()), (1, 4));
}

#[tokio::test]
async fn a_job_that_does_not_start_in_time_is_free_and_bought_again() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::NeverStarts)
        .times(1);
    let desk = Desk::new(Rig::of(Rig::plain_builder().scenario(scenario)).await).await;
    let client = &desk.rig.client;
    let row = |key: &str| {
        (
            key.to_owned(),
            request(key).start_within(Duration::from_secs(30)),
        )
    };
    let wanted: Vec<_> = ["a", "b"].map(row).into();
    let mut run = desk.journal.run(client, wanted).name("late").start();
    let mut again = 0;
    let (mut submitted, emulator) = (0, &desk.rig.emulator);
    while let Some(event) = run.next().await {
        match event {
            BatchEvent::Progress {
                progress: uso_journal::Progress::Submitted(_),
                ..
            } => {
                submitted += 1;
                if submitted == 2 {
                    emulator.advance(Duration::from_secs(60));
                }
            }
            BatchEvent::Again { message, .. } => {
                assert!(!message.is_empty());
                again += 1;
            }
            _ => {}
        }
    }
    assert_eq!((run.summary().done, again), (2, 1));
    assert_eq!(desk.bought(), 3);
    let billed = desk.rig.emulator.ledger().billed().count();
    assert_eq!(billed, 2, "the job that did not start is free");
    let committed = desk.journal.batch_committed(client, "late").await.unwrap();
    let done = desk.journal.jobs(client).read().await.unwrap();
    let bills: u64 = done.iter().map(|job| job.cost.billed.unwrap().get()).sum();
    assert_eq!(committed.get(), bills, "nothing stays reserved for it");
}

#[tokio::test]
async fn all_runs_of_an_account_share_one_limit() {
    let builder = Rig::plain_builder()
        .concurrency(100)
        .inference_time(Duration::from_secs(3600));
    let desk = Desk::new(Rig::of(builder).await).await;
    let client = &desk.rig.client;
    let mut first = desk.journal.run(client, rows(4)).concurrency(4).start();
    let mut submitted = 0;
    while submitted < 4 {
        let event = first.next().await.unwrap();
        submitted += usize::from(matches!(
            event,
            BatchEvent::Progress {
                progress: uso_journal::Progress::Submitted(_),
                ..
            }
        ));
    }
    // Another process has the journal open a second time.
    let second = desk.open().await;
    let more = (10..20).map(|key| (format!("k{key}"), request(&format!("k{key}"))));
    let mut second = second.run(client, more).concurrency(4).start();
    let mut begun = 0;
    loop {
        let event = second.next().await.unwrap();
        begun += usize::from(matches!(event, BatchEvent::Started { .. }));
        if matches!(
            event,
            BatchEvent::Progress {
                progress: uso_journal::Progress::Submitted(_),
                ..
            }
        ) {
            break;
        }
    }
    assert_eq!(
        begun, 1,
        "the account's four are in flight; a run has room for one at least"
    );
}

#[tokio::test]
async fn one_lock_pauses_every_run_of_the_account() {
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let locked = Scenario::new()
        .on(Operation::Submit, Fault::Locked)
        .always();
    desk.rig.emulator.set_scenario(locked);
    let mut first = desk.journal.run(client, rows(1)).start();
    while !matches!(first.next().await.unwrap(), BatchEvent::Paused { .. }) {}
    let refused = desk
        .rig
        .operations()
        .iter()
        .filter(|word| *word == "submit")
        .count();
    assert_eq!(refused, 1);
    let second = desk.open().await;
    let more = (10..20).map(|key| (format!("k{key}"), request(&format!("k{key}"))));
    let mut second = second
        .run(client, more)
        .wait_while_locked(Duration::ZERO)
        .start();
    let mut paused = 0;
    while let Some(event) = second.next().await {
        paused += usize::from(matches!(event, BatchEvent::Paused { .. }));
    }
    assert!(
        matches!(second.summary().stopped, Some(Stopped::Locked(_))),
        "{:?}",
        second.summary()
    );
    let tried = desk
        .rig
        .operations()
        .iter()
        .filter(|word| *word == "submit")
        .count();
    assert_eq!(
        (paused, tried),
        (1, 2),
        "one row tries, the others wait for it"
    );
    assert_eq!(desk.bought(), 0);
}

#[tokio::test]
async fn a_pause_of_another_kind_is_told_and_begins_anew() {
    let throttled = Fault::Throttled { retry_after: None };
    let scenario = Scenario::new()
        .on(Operation::Submit, throttled)
        .times(1)
        .on(Operation::Submit, Fault::Locked)
        .times(1);
    let builder = Rig::plain_builder().scenario(scenario);
    let once = uso::config::RetryPolicy::default().attempts(1);
    let rig = Rig::configured(builder, |config| config.retry(once));
    let desk = Desk::new(rig.await).await;
    // The time of the throttling is none of the lock.
    let batch = desk.journal.run(&desk.rig.client, rows(1));
    let mut run = batch.wait_while_locked(Duration::from_secs(4)).start();
    let mut kinds = Vec::new();
    while let Some(event) = run.next().await {
        if let BatchEvent::Paused { kind, .. } = event {
            kinds.push(kind);
        }
    }
    assert_eq!(kinds, [ErrorKind::Throttled, ErrorKind::Locked]);
    assert_eq!((run.summary().done, desk.bought()), (1, 1));
}

#[tokio::test]
async fn a_batch_that_cannot_write_its_pictures_buys_no_more_than_what_is_in_flight() {
    let desk = Desk::plain().await;
    let folder = desk.path().join("out");
    let run = || {
        let target = Target::named(&folder, "{key}.{ext}");
        let run = desk.journal.run(&desk.rig.client, rows(12));
        run.concurrency(1).target(target).start()
    };
    // No folder can be made there, and nothing written into it.
    std::fs::write(&folder, "").unwrap();
    let stopped = run().finish().await;
    assert!(
        matches!(&stopped.stopped, Some(Stopped::Disk(why)) if why.contains("out")),
        "{stopped:?}"
    );
    // One at the service, and one whose pictures are fetched.
    assert!(desk.bought() <= 2, "{stopped:?}");
    std::fs::remove_file(&folder).unwrap();
    let whole = run().finish().await;
    assert_eq!((whole.done, whole.stopped), (12, None));
    assert_eq!(desk.bought(), 12);
}
