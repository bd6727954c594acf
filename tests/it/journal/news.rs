//! News of purchases that came another way: notifications, and state files of the first release.

use std::fs;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use serde_json::json;
use tokio::task::block_in_place;
use uso::webhook::{FalKeys, Notification, Receiver};
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::{Buy, Error, Notified, Progress, Purchase, State, Stop};
use uso_tests::rig::{Rig, config_for, until};

use super::{Desk, request};
use crate::webhook::Hook;

/// Less than a signature may be ahead of the receiver's clock.
const INFERENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_notification_finds_the_purchase_whose_response_was_lost() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .on(Operation::Listing, Fault::EmptyListing)
        .always();
    let builder = Rig::plain_builder().scenario(scenario);
    let rig = Rig::configured(builder, uso::Config::without_reconciliation);
    let desk = Desk::new(rig.await).await;
    let client = &desk.rig.client;
    let mut hook = Hook::start().await;
    let keys = FalKeys::new(&config_for(&desk.rig.emulator.origin()).unwrap()).unwrap();
    let receiver = Receiver::new(keys);
    let buy = || {
        let request = request("a cat").webhook(hook.url.as_str());
        desk.journal.purchase(client, "key", request)
    };
    assert_eq!(buy().await.unwrap().state, State::Unknown);
    let called = hook.next().await;
    let verified = receiver.receive(called.map(|body| body.to_vec())).await;
    let notification = verified.unwrap();
    let adopted = desk.journal.deliver(&notification).await.unwrap();
    let Notified::Adopted(adopted) = adopted else {
        panic!("the purchase is recognised: {adopted:?}");
    };
    assert_eq!(adopted.state, State::Submitted);
    assert_eq!(adopted.request_id(), Some(notification.request_id()));
    // The same again, and one of a purchase of another owner.
    let again = desk.journal.deliver(&notification).await.unwrap();
    assert_eq!(again, Notified::Known(adopted));
    let other = uso_journal::Journal::temporary().unwrap();
    let foreign = other.deliver(&notification).await.unwrap();
    assert_eq!(foreign, Notified::Foreign);

    let request = request("a cat");
    let done = desk.journal.purchase(client, "key", request).await.unwrap();
    assert_eq!((done.state, desk.bought()), (State::Done, 1));
}

/// The row of a purchase whose response was lost, written off by its owner; and the notification of
/// its job, which comes late.
async fn given_up(desk: &Desk, hook: &mut Hook) -> (Purchase, Notification) {
    let client = &desk.rig.client;
    let unknown = with_webhook(desk, hook).await.unwrap();
    assert_eq!(unknown.state, State::Unknown);
    let notification = next(desk, hook).await;
    let given_up = desk
        .journal
        .write_off(client, unknown.id, State::Unknown)
        .await
        .unwrap();
    (given_up, notification)
}

/// The next notification that comes, verified.
async fn next(desk: &Desk, hook: &mut Hook) -> Notification {
    let keys = FalKeys::new(&config_for(&desk.rig.emulator.origin()).unwrap()).unwrap();
    let receiver = Receiver::new(keys);
    let called = hook.next().await;
    let verified = receiver.receive(called.map(|body| body.to_vec()));
    verified.await.unwrap()
}

fn with_webhook(desk: &Desk, hook: &Hook) -> Buy {
    let request = request("a cat").webhook(hook.url.as_str());
    desk.journal.purchase(&desk.rig.client, "key", request)
}

/// A service that takes each submit, and tells in its response nothing of the first `lost` ones.
async fn lossy(lost: u64) -> Desk {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .times(lost)
        .on(Operation::Listing, Fault::EmptyListing)
        .always();
    let builder = Rig::plain_builder().scenario(scenario);
    let rig = Rig::configured(builder, uso::Config::without_reconciliation);
    Desk::new(rig.await).await
}

#[tokio::test]
async fn a_purchase_that_was_found_since_it_was_seen_is_not_written_off() {
    let (desk, mut hook) = (lossy(1).await, Hook::start().await);
    let seen = with_webhook(&desk, &hook).await.unwrap();
    assert_eq!(seen.state, State::Unknown);
    let notification = next(&desk, &mut hook).await;
    desk.journal.deliver(&notification).await.unwrap();
    let client = &desk.rig.client;
    let refused = desk.journal.write_off(client, seen.id, seen.state).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, Error::NotAllowed { .. }), "{refused:?}");
    let done = with_webhook(&desk, &hook).await.unwrap();
    assert_eq!((done.state, desk.bought()), (State::Done, 1));
}

#[tokio::test]
async fn a_notification_that_comes_while_the_listing_is_read_stands() {
    let minute = Duration::from_secs(60);
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .on(Operation::Listing, Fault::Delay(minute));
    let builder = Rig::plain_builder()
        .scenario(scenario)
        .index_delay(Duration::from_secs(1_000_000));
    let rig = Rig::configured(builder, uso::Config::without_reconciliation);
    let (desk, mut hook) = (Desk::new(rig.await).await, Hook::start().await);
    let unknown = with_webhook(&desk, &hook).await.unwrap();
    let notification = next(&desk, &mut hook).await;
    let listings = || {
        let operations = desk.rig.operations();
        operations.iter().filter(|word| *word == "listing").count()
    };
    let before = listings();
    let (journal, client) = (desk.journal.clone(), desk.rig.client.clone());
    let looking = tokio::spawn(async move { journal.reconcile(&client, unknown.id).await });
    until("the listing is asked for", || listings() > before).await;
    desk.journal.deliver(&notification).await.unwrap();
    desk.rig.emulator.advance(minute);
    let found = looking.await.unwrap().unwrap();
    assert_eq!((found.state, &found.reason), (State::Submitted, &None));
    assert_eq!(desk.bought(), 1);
}

#[tokio::test]
async fn a_notification_of_an_earlier_attempt_contradicts_a_later_one_that_was_sent() {
    // The later attempt has a request id, or its response is lost too.
    for (lost, state) in [(1, State::Done), (2, State::Unknown)] {
        let (desk, mut hook) = (lossy(lost).await, Hook::start().await);
        let (given_up, notification) = given_up(&desk, &mut hook).await;
        let second = with_webhook(&desk, &hook).again(given_up.attempt);
        let second = second.await.unwrap();
        assert_eq!((second.state, second.attempt), (state, 2));
        let first = notification.request_id();
        assert_ne!(second.request_id(), Some(first));
        let told = desk.journal.deliver(&notification).await.unwrap();
        assert_eq!(told, Notified::Contradicts(Box::new(second.clone())));
        // The earlier attempt has the job, so that no search finds it for another one.
        let again = desk.journal.deliver(&notification).await.unwrap();
        assert_eq!(again, Notified::Known(Box::new(second)));
        assert_eq!(desk.bought(), 2);
    }
}

#[tokio::test]
async fn a_notification_of_an_earlier_attempt_contradicts_a_later_one_that_was_written_off() {
    let (desk, mut hook) = (lossy(2).await, Hook::start().await);
    let client = &desk.rig.client;
    let (given_up, notification) = given_up(&desk, &mut hook).await;
    let second = with_webhook(&desk, &hook).again(given_up.attempt);
    let second = second.await.unwrap();
    let second = desk.journal.write_off(client, second.id, second.state);
    let second = second.await.unwrap();
    // The later attempt may have been bought as well.
    let told = desk.journal.deliver(&notification).await.unwrap();
    assert_eq!(told, Notified::Contradicts(Box::new(second)));
}

#[tokio::test]
async fn a_purchase_that_was_written_off_counts_again_once_it_is_known_to_be_bought() {
    let (desk, mut hook) = (lossy(1).await, Hook::start().await);
    let client = &desk.rig.client;
    let (given_up, notification) = given_up(&desk, &mut hook).await;
    let spent = async || desk.journal.budget(client).await.unwrap().total_committed;
    assert_eq!(spent().await.get(), 0);
    let told = desk.journal.deliver(&notification).await.unwrap();
    assert!(matches!(told, Notified::Adopted(_)), "{told:?}");
    assert_eq!(Some(spent().await), given_up.cost.reserved);
}

#[tokio::test]
async fn a_notification_of_an_earlier_attempt_is_adopted_where_no_later_one_was_sent() {
    let (desk, mut hook) = (lossy(1).await, Hook::start().await);
    let client = &desk.rig.client;
    let (given_up, notification) = given_up(&desk, &mut hook).await;
    let pending = desk.journal.retry(client, given_up.id, 1).await.unwrap();
    assert_eq!((pending.cost.billed, pending.cost.reserved), (None, None));
    assert_eq!(desk.journal.find(client, "key").await.unwrap(), pending);
    let told = desk.journal.deliver(&notification).await.unwrap();
    let Notified::Adopted(adopted) = told else {
        panic!("nothing else was bought: {told:?}");
    };
    assert_eq!(adopted.state, State::Submitted);
    assert_eq!(adopted.request_id(), Some(notification.request_id()));
    let counted = Some(adopted.cost.committed());
    assert_eq!(counted, given_up.cost.reserved, "{:?}", adopted.cost);
    let again = desk.journal.deliver(&notification).await.unwrap();
    assert_eq!(again, Notified::Known(adopted));
    let done = with_webhook(&desk, &hook).await.unwrap();
    assert_eq!((done.state, desk.bought()), (State::Done, 1));
    let budget = desk.journal.budget(client).await.unwrap();
    assert_eq!(Some(budget.total_committed), done.cost.billed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_that_is_told_as_bought_while_it_is_stopped_is_collected() {
    let (desk, mut hook) = (lossy(1).await, Hook::start().await);
    let (_, notification) = given_up(&desk, &mut hook).await;
    let (prepared, is_prepared) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = Mutex::new(goes_on);
    let stop = Stop::new();
    let buy = with_webhook(&desk, &hook).again(1).stop(&stop);
    let buy = buy.on_progress(move |progress| {
        if matches!(progress, Progress::Prepared(_)) {
            prepared.send(()).unwrap();
            block_in_place(|| goes_on.lock().unwrap().recv().unwrap());
        }
    });
    let buying = tokio::spawn(async move { buy.await });
    block_in_place(|| is_prepared.recv().unwrap());
    let told = desk.journal.deliver(&notification).await.unwrap();
    assert!(matches!(told, Notified::Adopted(_)), "{told:?}");
    stop.stop();
    go_on.send(()).unwrap();
    let bought = buying.await.unwrap().unwrap();
    assert_eq!(bought.request_id(), Some(notification.request_id()));
    assert_eq!((bought.state, desk.bought()), (State::Done, 1));
}

#[tokio::test]
async fn a_notification_of_an_earlier_attempt_with_a_known_request_id_is_known() {
    let failure = Fault::FailsWith {
        status: 500,
        error_type: "internal_error".to_owned(),
    };
    let scenario = Scenario::new().on(Operation::Submit, failure).times(1);
    let builder = Rig::plain_builder().scenario(scenario);
    let (desk, mut hook) = (Desk::new(Rig::of(builder).await).await, Hook::start().await);
    let failed = with_webhook(&desk, &hook).await.unwrap();
    assert_eq!(failed.state, State::Failed);
    let notification = next(&desk, &mut hook).await;
    assert_eq!(failed.request_id(), Some(notification.request_id()));
    let second = with_webhook(&desk, &hook).again(1).await.unwrap();
    let told = desk.journal.deliver(&notification).await.unwrap();
    assert_eq!(told, Notified::Known(Box::new(second)));
}

#[tokio::test]
async fn notifications_tell_the_ends_of_jobs_in_place_of_connections() {
    let builder = Rig::plain_builder()
        .inference_time(INFERENCE)
        .concurrency(3);
    let desk = Desk::new(Rig::of(builder).await).await;
    let emulator = &desk.rig.emulator;
    let mut hook = Hook::start().await;
    let keys = FalKeys::new(&config_for(&emulator.origin()).unwrap()).unwrap();
    let receiver = Receiver::new(keys);
    let url = hook.url.clone();
    let rows = ["a", "b", "c"].map(|key| {
        let request = request(key).webhook(url.as_str());
        (key.to_owned(), request)
    });
    let batch = desk.journal.run(&desk.rig.client, rows).concurrency(3);
    let run = batch.await_notifications().start();
    let asked = |operation: Operation| {
        let requests = emulator.requests().into_iter();
        requests
            .filter(|request| request.operation == operation)
            .count()
    };
    until("each job is awaited", || asked(Operation::Status) == 3).await;
    assert_eq!(asked(Operation::Stream), 0);
    emulator.advance(INFERENCE);
    for _ in 0..3 {
        let called = hook.next().await;
        let verified = receiver.receive(called.map(|body| body.to_vec())).await;
        desk.journal.deliver(&verified.unwrap()).await.unwrap();
    }
    assert_eq!(run.finish().await.done, 3);
    assert_eq!((asked(Operation::Status), desk.bought()), (3, 3));
}

#[tokio::test]
async fn state_files_of_the_first_release_are_imported_once_and_kept() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .after(1);
    let builder = Rig::plain_builder().scenario(scenario);
    let rig = Rig::configured(builder, uso::Config::without_reconciliation);
    let desk = Desk::new(rig.await).await;
    let client = &desk.rig.client;
    let folder = desk.path().join("old");
    fs::create_dir(&folder).unwrap();
    let origin = client.config().base_urls().queue().to_string();
    let account = client.config().account();
    let bought = client.prepare(request("a cat")).await.unwrap();
    let job = client.place(bought.order()).await.unwrap();
    let lost = client.prepare(request("a dog")).await.unwrap();
    client.place(lost.order()).await.unwrap_err();
    let files = [
        (
            "17a-1",
            json!({ "origin": origin, "account": account,
                "target": { "file": desk.path().join("out/a.png") },
                "intent": bought.order().intent(), "ticket": job.ticket() }),
        ),
        (
            "17b-1",
            json!({ "origin": origin, "target": { "folder": desk.path().join("out") },
                "intent": lost.order().intent() }),
        ),
    ];
    for (stem, record) in &files {
        fs::write(folder.join(format!("{stem}.json")), record.to_string()).unwrap();
    }
    fs::write(folder.join("bad.json"), "{").unwrap();
    fs::write(folder.join("huge.json"), vec![b' '; 1 << 20]).unwrap();
    fs::create_dir(folder.join("folder.json")).unwrap();

    let imported = desk
        .journal
        .import_state_files(client, &folder)
        .await
        .unwrap();
    assert_eq!((imported.added, imported.passed_over.len()), (2, 3));
    let again = desk
        .journal
        .import_state_files(client, &folder)
        .await
        .unwrap();
    assert_eq!(again.added, 0);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 5);

    let listed = desk.journal.jobs(client).read().await.unwrap();
    let states: Vec<State> = listed.iter().map(|purchase| purchase.state).collect();
    assert_eq!(states, [State::Unknown, State::Submitted]);
    for purchase in listed {
        let done = desk
            .journal
            .resume(client, purchase.id, |_| ())
            .await
            .unwrap();
        assert_eq!(done.state, State::Done);
    }
    assert!(desk.path().join("out/a.png").exists());
    assert_eq!(desk.bought(), 2);
    let none = desk
        .journal
        .import_state_files(client, desk.path().join("nowhere"));
    assert_eq!(none.await.unwrap().added, 0);
}
