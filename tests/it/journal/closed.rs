//! Closed on proof, and reopened by every verb.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use uso::{ErrorKind, MicroDollars, Request};
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::{CancelOutcome, Cause, Error, Journal, Purchase, State};
use uso_tests::rig::{Rig, config_for};

use super::{Desk, request};

async fn with(scenario: Scenario) -> Desk {
    let builder = Rig::plain_builder().scenario(scenario);
    let rig = Rig::configured(builder, uso::Config::without_reconciliation);
    Desk::new(rig.await).await
}

fn failing() -> Scenario {
    let failure = Fault::FailsWith {
        status: 500,
        error_type: "internal_error".to_owned(),
    };
    Scenario::new().on(Operation::Submit, failure)
}

async fn buy(desk: &Desk) -> Result<Purchase, Error> {
    desk.journal
        .purchase(&desk.rig.client, "key", request("a cat"))
        .await
}

fn cause(purchase: &Purchase) -> Cause {
    purchase.reason.as_ref().unwrap().cause
}

#[tokio::test]
async fn a_job_that_failed_twice_is_returned_until_a_retry() {
    let desk = with(failing()).await;
    let failed = buy(&desk).await.unwrap();
    assert_eq!(
        (failed.state, cause(&failed)),
        (State::Failed, Cause::ServiceFailed)
    );
    assert_eq!(buy(&desk).await.unwrap(), failed);
    assert_eq!(desk.bought(), 1);

    let client = &desk.rig.client;
    let pending = desk.journal.retry(client, failed.id, 1).await.unwrap();
    assert_eq!((pending.state, pending.attempt), (State::Pending, 2));
    let done = buy(&desk).await.unwrap();
    assert_eq!((done.state, done.id), (State::Done, failed.id));
    assert_eq!(desk.bought(), 2);
}

#[tokio::test]
async fn one_failed_answer_alone_closes_nothing() {
    let page = Fault::GatewayPage(499);
    let desk = with(Scenario::new().on(Operation::Result, page).times(1)).await;
    assert_eq!(buy(&desk).await.unwrap().state, State::Done);
    assert_eq!(desk.bought(), 1);
}

#[tokio::test]
async fn a_failure_that_a_second_look_does_not_confirm_closes_nothing() {
    let page = Fault::GatewayPage(503);
    let scenario = failing().on(Operation::Result, page).after(1).always();
    let desk = with(scenario).await;
    let Err(Error::NotCollected { purchase, .. }) = buy(&desk).await else {
        panic!("the second look sees a page of a gateway");
    };
    assert_eq!(purchase.state, State::Submitted);
    desk.rig.emulator.set_scenario(Scenario::new());
    assert_eq!(buy(&desk).await.unwrap().state, State::Failed);
    assert_eq!(desk.bought(), 1);
}

#[tokio::test]
async fn a_failed_job_is_free_only_where_no_look_names_a_bill() {
    let cases = [
        (Some("0"), Some("0"), true),
        (None, Some("0"), true),
        (Some("0"), Some("1"), false),
        (Some("1"), Some("0"), false),
        (None, None, false),
    ];
    let looks = cases.map(async |(first, second, is_free)| {
        let units = |units: Option<&str>| Fault::BillableUnits(units.map(str::to_owned));
        let refused = Fault::ModelAnswers {
            status: 422,
            body: json!({ "detail": [{ "loc": [], "msg": "no", "type": "no" }] }),
        };
        // Each look asks for the result twice.
        let scenario = Scenario::new()
            .on(Operation::Submit, refused)
            .on(Operation::Result, units(first))
            .times(2)
            .on(Operation::Result, units(second))
            .always();
        let desk = with(scenario).await;
        let failed = buy(&desk).await.unwrap();
        assert_eq!(failed.state, State::Failed);
        let expected = is_free.then(|| MicroDollars::new(0));
        assert_eq!(failed.cost.billed, expected, "{first:?} {second:?}");
        let budget = desk.journal.budget(&desk.rig.client).await.unwrap();
        let counts = budget.total_committed.get() > 0;
        assert_eq!(counts, !is_free, "{first:?} {second:?}");
    });
    join_all(looks).await;
}

#[tokio::test]
async fn a_picture_that_cannot_be_fetched_leaves_the_purchase_open() {
    let desk = with(Scenario::new().on(Operation::File, Fault::Gone).always()).await;
    let Err(Error::NotCollected { purchase, .. }) = buy(&desk).await else {
        panic!("the picture cannot be fetched");
    };
    assert_eq!(purchase.state, State::Submitted);
    desk.rig.emulator.set_scenario(Scenario::new());
    assert_eq!(buy(&desk).await.unwrap().state, State::Done);
    assert_eq!(desk.bought(), 1);
}

#[tokio::test]
async fn an_unknown_purchase_stays_reserved_until_it_is_written_off() {
    let lost = Scenario::new().on(Operation::Submit, Fault::Drop).times(1);
    let desk = with(lost).await;
    let client = &desk.rig.client;
    let unknown = buy(&desk).await.unwrap();
    assert_eq!(unknown.state, State::Unknown);
    let budget = desk.journal.budget(client).await.unwrap();
    assert_eq!(budget.total_committed.get(), 100_000);

    let refused = desk.journal.retry(client, unknown.id, 1).await;
    assert!(
        matches!(refused, Err(Error::NotAllowed { .. })),
        "{refused:?}"
    );
    let given_up = desk
        .journal
        .write_off(client, unknown.id, State::Unknown)
        .await
        .unwrap();
    assert_eq!(
        (given_up.state, cause(&given_up)),
        (State::Failed, Cause::WrittenOff)
    );
    let budget = desk.journal.budget(client).await.unwrap();
    assert_eq!(budget.total_committed.get(), 0);
    // Second thoughts: it is looked up again, and counts again.
    let reopened = desk.journal.reopen(client, unknown.id).await.unwrap();
    assert_eq!(reopened.state, State::Unknown);
    let budget = desk.journal.budget(client).await.unwrap();
    assert_eq!(budget.total_committed.get(), 100_000);
    assert_eq!(desk.bought(), 0);
}

#[tokio::test]
async fn reconciling_finds_what_was_accepted_and_resuming_collects_it() {
    let desk = with(Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop)).await;
    let client = &desk.rig.client;
    let unknown = buy(&desk).await.unwrap();
    assert_eq!(unknown.state, State::Unknown);
    let found = desk.journal.reconcile(client, unknown.id).await.unwrap();
    assert_eq!(found.state, State::Submitted);
    assert!(found.request_id().is_some());
    let done = desk
        .journal
        .resume(client, unknown.id, |_| ())
        .await
        .unwrap();
    assert_eq!(done.state, State::Done);
    assert_eq!(desk.bought(), 1);
}

#[tokio::test]
async fn a_done_purchase_is_reopened_and_collected_anew() {
    let desk = with(Scenario::new()).await;
    let client = &desk.rig.client;
    let done = buy(&desk).await.unwrap();
    std::fs::remove_file(&done.pictures[0].path).unwrap();
    desk.journal.reopen(client, done.id).await.unwrap();
    let again = desk.journal.resume(client, done.id, |_| ()).await.unwrap();
    assert_eq!(again.pictures[0].sha256, done.pictures[0].sha256);
    assert!(again.pictures[0].path.exists());
    assert_eq!(desk.bought(), 1);
}

#[tokio::test]
async fn a_pruned_key_still_buys_nothing_and_its_prompt_is_gone() {
    const PROMPT: &str = "an unmistakable lighthouse in the fog";
    let desk = with(Scenario::new()).await;
    let client = &desk.rig.client;
    let buy = || {
        let request = request(PROMPT).webhook("http://127.0.0.1:9/unmistakable-hook");
        desk.journal.purchase(client, "key", request)
    };
    let done = buy().await.unwrap();
    let url = done
        .ticket
        .as_ref()
        .map(|ticket| ticket.request_id().to_owned())
        .unwrap();
    assert_eq!(
        desk.journal
            .prune(client, Duration::from_secs(3600))
            .await
            .unwrap(),
        0
    );
    assert_eq!(desk.journal.prune(client, Duration::ZERO).await.unwrap(), 1);
    let pruned = buy().await.unwrap();
    assert!(pruned.pruned && pruned.input.is_none() && pruned.pictures.is_empty());
    assert_eq!(
        (pruned.state, &pruned.fingerprint, pruned.cost),
        (State::Done, &done.fingerprint, done.cost)
    );
    assert_eq!(desk.bought(), 1);
    let other = desk.journal.purchase(
        client,
        "key",
        Request::subject("https://example.org/b.png", "x"),
    );
    assert!(matches!(other.await, Err(Error::Conflict { .. })));

    // Closing writes everything into one file.
    let path = desk.journal.path().to_owned();
    drop(desk.journal);
    let bytes = match desk.place.contains("://") {
        true => everything(&desk.place).await.into_bytes(),
        false => std::fs::read(&path).unwrap(),
    };
    for secret in [PROMPT, "unmistakable-hook", url.as_str()] {
        let found = bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is still in the file");
    }
}

#[tokio::test]
async fn a_cancelled_job_is_closed_as_cancelled_and_a_finished_one_is_collected() {
    let builder = Rig::plain_builder()
        .inference_time(Duration::from_secs(3600))
        .cancellable(true);
    let desk = Desk::new(Rig::of(builder).await).await;
    let client = &desk.rig.client;
    let bought = desk
        .journal
        .purchase(client, "key", request("a cat"))
        .detach(true);
    let bought = bought.await.unwrap();
    assert_eq!(bought.state, State::Submitted);
    desk.journal.cancel(client, bought.id).await.unwrap();
    desk.rig.emulator.advance(Duration::from_secs(7200));
    let ended = desk
        .journal
        .resume(client, bought.id, |_| ())
        .await
        .unwrap();
    assert_eq!(
        (ended.state, cause(&ended)),
        (State::Cancelled, Cause::Cancelled)
    );

    let deaf = Rig::plain_builder()
        .inference_time(Duration::from_secs(30))
        .cancellable(false);
    let desk = Desk::new(Rig::of(deaf).await).await;
    let client = &desk.rig.client;
    let bought = desk
        .journal
        .purchase(client, "key", request("a cat"))
        .detach(true);
    let bought = bought.await.unwrap();
    desk.rig.emulator.advance(Duration::from_secs(60));
    desk.journal.cancel(client, bought.id).await.unwrap();
    let ended = desk
        .journal
        .resume(client, bought.id, |_| ())
        .await
        .unwrap();
    assert_eq!(ended.state, State::Done);
}

#[tokio::test]
async fn the_kind_of_the_deciding_error_is_kept() {
    let refusal = Fault::ModelAnswers {
        status: 422,
        body: json!({ "detail": [{ "loc": ["body", "image_size"], "msg": "bad", "type": "value_error" }] }),
    };
    let failure = Fault::FailsWith {
        status: 500,
        error_type: "internal_error".to_owned(),
    };
    for (fault, kind) in [(refusal, ErrorKind::Input), (failure, ErrorKind::Failed)] {
        let desk = with(Scenario::new().on(Operation::Submit, fault)).await;
        let failed = buy(&desk).await.unwrap();
        assert_eq!(failed.state, State::Failed);
        assert_eq!(failed.reason.unwrap().kind, Some(kind));
    }
    for (fault, kind) in [
        (Fault::Locked, ErrorKind::Locked),
        (Fault::Unauthorized, ErrorKind::Auth),
    ] {
        let desk = with(Scenario::new().on(Operation::Submit, fault)).await;
        buy(&desk).await.unwrap_err();
        let listed = desk.journal.jobs(&desk.rig.client).read().await.unwrap();
        assert!(listed[0].is_not_bought());
        assert_eq!(listed[0].reason.as_ref().unwrap().kind, Some(kind));
    }
}

#[tokio::test]
async fn cancelling_says_what_the_service_answered() {
    let hour = Duration::from_secs(3600);
    let builder = Rig::plain_builder().inference_time(hour).concurrency(1);
    let desk = Desk::new(Rig::of(builder).await).await;
    let client = &desk.rig.client;
    let bought = |key: &'static str| {
        let buy = desk.journal.purchase(client, key, request("a cat"));
        buy.detach(true)
    };
    let (running, queued) = (bought("one").await.unwrap(), bought("two").await.unwrap());
    let removed = desk.journal.cancel(client, queued.id).await.unwrap();
    assert_eq!(removed.outcome, CancelOutcome::Removed);
    assert_eq!(removed.purchase.state, State::Cancelled);
    assert_eq!(removed.purchase.cost.committed().get(), 0);
    desk.rig.emulator.advance(hour);
    let late = desk.journal.cancel(client, running.id).await.unwrap();
    assert_eq!(late.outcome, CancelOutcome::AlreadyCompleted);
    desk.rig.emulator.advance(hour * 24);
    is_not_taken_for_cancelled(&desk, &running).await;
    let gone = desk.journal.cancel(client, running.id).await.unwrap();
    assert_eq!(gone.outcome, CancelOutcome::NotFound);
    assert_eq!(gone.purchase.state, State::Submitted, "no proof");
    is_not_taken_for_cancelled(&desk, &running).await;
}

/// The result has expired, which is no proof of a cancellation.
async fn is_not_taken_for_cancelled(desk: &Desk, bought: &Purchase) {
    let client = &desk.rig.client;
    let gone = desk.journal.resume(client, bought.id, |_| ()).await;
    assert!(matches!(gone, Err(Error::NotCollected { .. })), "{gone:?}");
    let row = desk.journal.get(client, bought.id).await.unwrap();
    assert_eq!((row.state, row.cancel_asked), (State::Submitted, false));
}

#[tokio::test]
async fn a_result_that_expires_after_a_cancel_came_too_late_is_not_taken_for_cancelled() {
    let hour = Duration::from_secs(3600);
    let lost = Scenario::new().on(Operation::File, Fault::Gone).always();
    let builder = Rig::plain_builder().inference_time(hour).scenario(lost);
    let desk = Desk::new(Rig::of(builder).await).await;
    let client = &desk.rig.client;
    let buy = desk.journal.purchase(client, "key", request("a cat"));
    let bought = buy.detach(true).await.unwrap();
    let asked = desk.journal.cancel(client, bought.id).await.unwrap();
    assert_eq!(asked.outcome, CancelOutcome::Requested);
    desk.rig.emulator.advance(hour);
    is_not_taken_for_cancelled(&desk, &bought).await;
    desk.rig.emulator.advance(hour * 24);
    is_not_taken_for_cancelled(&desk, &bought).await;
}

#[tokio::test]
async fn a_job_whose_cancel_failed_is_collected_without_another_cancel() {
    let hour = Duration::from_secs(3600);
    let refused = Scenario::new().on(Operation::Cancel, Fault::Status(500));
    let builder = Rig::plain_builder().inference_time(hour).cancellable(true);
    let builder = builder.scenario(refused.always());
    let desk = Desk::new(Rig::of(builder).await).await;
    let client = &desk.rig.client;
    let buy = desk.journal.purchase(client, "key", request("a cat"));
    let bought = buy.detach(true).await.unwrap();
    let failed = desk.journal.cancel(client, bought.id).await;
    assert!(matches!(failed, Err(Error::Lookup { .. })), "{failed:?}");
    desk.rig.emulator.set_scenario(Scenario::new());
    let open = desk.journal.collect(client, bought.id, |_| ()).await;
    let Err(Error::NotCollected { source, .. }) = open else {
        panic!("the job goes on: {open:?}");
    };
    assert_eq!(source.unwrap().kind(), ErrorKind::NotReady);
    desk.rig.emulator.advance(hour);
    let done = desk.journal.resume(client, bought.id, |_| ()).await;
    assert_eq!(done.unwrap().state, State::Done);
}

#[tokio::test]
async fn a_job_that_is_said_to_be_removed_and_goes_on_stays_open() {
    let removed = Fault::Answer {
        status: 200,
        body: json!({ "status": "OK" }).to_string(),
    };
    let hour = Duration::from_secs(3600);
    let scenario = Scenario::new().on(Operation::Cancel, removed);
    let builder = Rig::plain_builder().inference_time(hour).scenario(scenario);
    let desk = Desk::new(Rig::of(builder).await).await;
    let client = &desk.rig.client;
    let buy = desk.journal.purchase(client, "key", request("a cat"));
    let bought = buy.detach(true).await.unwrap();
    let cancelled = desk.journal.cancel(client, bought.id).await.unwrap();
    assert_eq!(cancelled.outcome, CancelOutcome::Removed);
    assert_eq!(cancelled.purchase.state, State::Submitted);
    desk.rig.emulator.advance(hour);
    let resumed = desk.journal.resume(client, bought.id, |_| ()).await;
    assert_eq!(resumed.unwrap().state, State::Done);
}

#[tokio::test]
async fn a_lost_upload_buys_nothing_again_where_one_look_names_a_bill() {
    let units = |units: &str| Fault::BillableUnits(Some(units.to_owned()));
    // Each of the two looks asks for the result of the second job twice.
    let scenario = Scenario::new()
        .on(Operation::Result, units("0"))
        .after(1)
        .times(2)
        .on(Operation::Result, units("1"))
        .after(1)
        .always();
    let desk = Desk::new(Rig::of(Rig::pictures_builder().scenario(scenario)).await).await;
    let buy = |key| {
        let client = &desk.rig.client;
        desk.journal.purchase(client, key, request("a cat"))
    };
    assert_eq!(buy("one").await.unwrap().state, State::Done);
    desk.rig.emulator.forget_files();
    let failed = buy("two").await.unwrap();
    assert_eq!((failed.state, failed.attempt), (State::Failed, 1));
    assert_eq!(desk.bought(), 2);
}

#[tokio::test]
async fn a_lost_upload_is_made_again_and_the_job_bought_again_where_it_cost_nothing() {
    let desk = Desk::new(Rig::with_pictures().await).await;
    let origin = desk.rig.emulator.origin();
    // A client of its own for each purchase: the journal alone knows the uploads.
    let buy = |key: &'static str| {
        let client = uso::Client::new(config_for(&origin).unwrap()).unwrap();
        desk.journal.purchase(&client, key, request("a cat"))
    };
    assert_eq!(buy("one").await.unwrap().attempt, 1);
    desk.rig.emulator.forget_files();
    let again = buy("two").await.unwrap();
    assert_eq!((again.state, again.attempt), (State::Done, 2));
    let ledger = desk.rig.emulator.ledger();
    assert_eq!((ledger.purchases().len(), ledger.billed().count()), (3, 2));
    assert_eq!(buy("three").await.unwrap().attempt, 1);
}

#[tokio::test]
async fn a_row_that_could_not_be_released_is_free_once_the_journal_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journals = [Journal::open(&path).unwrap(), Journal::open(&path).unwrap()];
    let gone = Scenario::new().on(Operation::File, Fault::Gone).always();
    let rig = Rig::of(Rig::plain_builder().scenario(gone)).await;
    let client = &rig.client;
    let database = rusqlite::Connection::open(&path).unwrap();
    let full = "CREATE TRIGGER full BEFORE UPDATE ON job WHEN NEW.worker IS NULL \
                BEGIN SELECT RAISE(ABORT, 'full'); END";
    database.execute_batch(full).unwrap();
    let bought = journals[0].purchase(client, "key", request("a cat")).await;
    let Err(Error::NotCollected { purchase, .. }) = bought else {
        panic!("the picture cannot be fetched: {bought:?}");
    };
    rig.emulator.set_scenario(Scenario::new());
    let busy = journals[1].resume(client, purchase.id, |_| ()).await;
    assert!(matches!(busy, Err(Error::Busy(_))), "{busy:?}");
    // It is tried again, and again in vain.
    journals[0].jobs(client).read().await.unwrap();
    database.execute_batch("DROP TRIGGER full").unwrap();
    journals[0].jobs(client).read().await.unwrap();
    let done = journals[1].resume(client, purchase.id, |_| ()).await;
    assert_eq!(done.unwrap().state, State::Done);
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
}

/// Every row of a journal on a server.
async fn everything(place: &str) -> String {
    let mut all = String::new();
    for table in ["job", "past_attempt", "file", "upload"] {
        let rows = format!("SELECT coalesce(string_agg(r::text, ' '), '') FROM uso.{table} r");
        all += &uso_tests::postgres::text(place, &rows).await;
    }
    all
}
