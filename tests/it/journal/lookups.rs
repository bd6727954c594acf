//! Purchases that are looked up in the account's listing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use uso::endpoint::Endpoint;
use uso::{Config, Request};
use uso_emulator::{EmulatorBuilder, Fault, Operation, Scenario};
use uso_journal::{Cause, Purchase, State};
use uso_tests::rig::{Rig, file};

use super::{Desk, request};

/// Every purchase of these tests has the same input, seed and all.
fn same() -> Request {
    request("a cat").seed(7)
}

async fn desk(builder: EmulatorBuilder) -> Desk {
    Desk::new(Rig::configured(builder, Config::without_reconciliation).await).await
}

async fn buy(desk: &Desk, key: &str) -> Purchase {
    let buy = desk.journal.purchase(&desk.rig.client, key, same());
    buy.await.unwrap()
}

fn failing() -> Scenario {
    let failure = Fault::FailsWith {
        status: 500,
        error_type: "internal_error".to_owned(),
    };
    Scenario::new().on(Operation::Submit, failure)
}

#[tokio::test]
async fn a_lost_attempt_is_not_taken_for_an_earlier_one() {
    let scenario = failing().on(Operation::Submit, Fault::AcceptThenDrop);
    let desk = desk(Rig::plain_builder().scenario(scenario)).await;
    let failed = buy(&desk, "key").await;
    assert_eq!(failed.state, State::Failed);
    let first = failed.request_id().unwrap().to_owned();
    desk.journal
        .retry(&desk.rig.client, failed.id, 1)
        .await
        .unwrap();
    assert_eq!(buy(&desk, "key").await.state, State::Unknown);
    let found = buy(&desk, "key").await;
    assert_eq!(found.state, State::Done, "{:?}", found.reason);
    assert_ne!(found.request_id(), Some(first.as_str()));
    assert_eq!(desk.bought(), 2);
}

/// The search that follows the lost response sees the earlier attempt alone.
#[tokio::test(start_paused = true)]
async fn a_lost_attempt_that_is_not_listed_yet_is_not_taken_for_an_earlier_one() {
    const LISTED_AFTER: Duration = Duration::from_secs(60);
    let scenario = failing().on(Operation::Submit, Fault::AcceptThenDrop);
    let builder = Rig::plain_builder().index_delay(LISTED_AFTER);
    let desk = Desk::new(Rig::of(builder.scenario(scenario)).await).await;
    let failed = buy(&desk, "key").await;
    let first = failed.request_id().unwrap().to_owned();
    desk.journal
        .retry(&desk.rig.client, failed.id, 1)
        .await
        .unwrap();
    desk.rig.emulator.advance(LISTED_AFTER);
    let lost = buy(&desk, "key").await;
    assert_eq!(lost.state, State::Unknown, "{:?}", lost.reason);
    desk.rig.emulator.advance(LISTED_AFTER);
    let found = buy(&desk, "key").await;
    assert_eq!(found.state, State::Done, "{:?}", found.reason);
    assert_ne!(found.request_id(), Some(first.as_str()));
    assert_eq!(desk.bought(), 2);
}

#[tokio::test]
async fn a_purchase_that_never_arrived_is_not_taken_for_another_one_of_its_input() {
    let scenario = Scenario::new().on(Operation::Submit, Fault::Drop).after(1);
    let desk = desk(Rig::plain_builder().scenario(scenario)).await;
    assert_eq!(buy(&desk, "a").await.state, State::Done);
    for _ in 0..2 {
        let lost = buy(&desk, "b").await;
        assert_eq!(lost.state, State::Unknown, "{:?}", lost.reason);
        assert_eq!(lost.request_id(), None);
    }
    assert_eq!(desk.bought(), 1);
}

#[tokio::test]
async fn a_lost_purchase_is_found_beside_another_one_of_its_input() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .after(1);
    let desk = desk(Rig::plain_builder().scenario(scenario)).await;
    let other = buy(&desk, "a").await;
    assert_eq!(buy(&desk, "b").await.state, State::Unknown);
    let found = buy(&desk, "b").await;
    assert_eq!(found.state, State::Done, "{:?}", found.reason);
    assert_ne!(found.request_id(), other.request_id());
    assert_eq!(desk.bought(), 2);
}

/// Of two lost purchases with one input, one arrived. Searches at the same time do not both take it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_is_not_taken_for_two_purchases() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .on(Operation::Submit, Fault::Drop);
    let desk = desk(Rig::plain_builder().scenario(scenario)).await;
    for key in ["a", "b"] {
        assert_eq!(buy(&desk, key).await.state, State::Unknown);
    }
    let both = tokio::join!(buy(&desk, "a"), buy(&desk, "b"));
    let done = [&both.0, &both.1]
        .iter()
        .filter(|it| it.state == State::Done)
        .count();
    assert_eq!(done, 1, "{both:?}");
    assert_eq!(desk.bought(), 1);
}

/// An order may be made long before it is bought.
#[tokio::test]
async fn an_order_is_looked_for_from_the_time_of_its_purchase_on() {
    let document = std::fs::read_to_string(file("fixtures/endpoints/flux-schnell.json")).unwrap();
    let scenario = Scenario::new().on(Operation::Submit, Fault::Drop);
    let builder = Rig::plain_builder().endpoint(&document).unwrap();
    let desk = desk(builder.scenario(scenario)).await;
    let client = &desk.rig.client;
    let flux = Endpoint::<Value, Value>::new(client, "fal-ai/flux/schnell").unwrap();
    let order = flux.order(&json!({ "prompt": "a cat" })).unwrap();
    let made_at = order.intent().made_at();
    while SystemTime::now() <= made_at + Duration::from_millis(1) {
        tokio::task::yield_now().await;
    }
    let lost = desk
        .journal
        .purchase_order(client, "key", order)
        .await
        .unwrap();
    assert_eq!(lost.state, State::Unknown);
    let intent = lost.intent.unwrap();
    assert!(intent.made_at() > made_at);
    let kept = serde_json::to_value(&intent).unwrap();
    let sent_at = UNIX_EPOCH + Duration::from_millis(kept["sent_at_ms"].as_u64().unwrap());
    assert_eq!(
        intent.listed_by(),
        sent_at + intent.start_within() + Duration::from_secs(60)
    );
}

/// The owner decides whether to risk paying twice.
#[tokio::test]
async fn a_purchase_that_the_listing_rules_out_stays_unknown_until_its_owner_decides() {
    let desk = desk(Rig::plain_builder()).await;
    let client = &desk.rig.client;
    // The service tells its time.
    let unknown = client.job_by_id("unknown").unwrap();
    unknown.status().await.unwrap_err();
    let lost = client.prepare(same()).await.unwrap();
    let mut intent = serde_json::to_value(client.intent(lost.order())).unwrap();
    for name in ["made_at_ms", "sent_from_ms", "sent_at_ms"] {
        intent[name] = 1000.into();
    }
    let folder = desk.path().join("old");
    std::fs::create_dir(&folder).unwrap();
    let origin = client.config().base_urls().queue().to_string();
    let record = json!({ "origin": origin, "intent": intent,
        "target": { "folder": desk.path().join("out") } });
    std::fs::write(folder.join("17a-1.json"), record.to_string()).unwrap();
    let imported = desk.journal.import_state_files(client, &folder).await;
    assert_eq!(imported.unwrap().added, 1);
    let id = desk.journal.jobs(client).read().await.unwrap()[0].id;
    let looked_up = desk.journal.reconcile(client, id).await.unwrap();
    let cause = looked_up.reason.map(|reason| reason.cause);
    assert_eq!(
        (looked_up.state, cause),
        (State::Unknown, Some(Cause::NotListed))
    );
    assert_eq!(desk.bought(), 0);
}
