//! Purchases of proxies: what is erased of them, and what stays.

use std::time::Duration;

use serde_json::json;
use uso::MicroDollars;
use uso_journal::{Relay, RelayEnd, RelayLimits, RelayRefusal, State};
use uso_tests::postgres;

use super::Desk;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn relay(id: &str) -> Relay {
    Relay {
        id: id.to_owned(),
        owner: "alice".to_owned(),
        digest: id.to_owned(),
        endpoint: "fal-ai/uso".to_owned(),
        is_kept: true,
        bound: MicroDollars::new(100),
        record: json!({ "id": id }),
    }
}

/// Two of these purchases a day, and no third.
fn limits() -> RelayLimits {
    RelayLimits {
        per_day: MicroDollars::new(250),
        kept: 10,
        kept_each: 10,
    }
}

/// Records a purchase that was bought, with its request id if that is known.
async fn bought(desk: &Desk, id: &str, request_id: Option<&str>) {
    let client = &desk.rig.client;
    let begun = desk.journal.begin_relay(client, relay(id), limits()).await;
    begun.unwrap().unwrap();
    end(desk, id, Some(true), request_id).await;
}

/// Records the outcome of a purchase.
async fn end(desk: &Desk, id: &str, is_bought: Option<bool>, request_id: Option<&str>) {
    let client = &desk.rig.client;
    let job = request_id.map(|id| client.job_by_id(id).unwrap());
    let end = RelayEnd {
        id: id.to_owned(),
        record: json!({ "id": id }),
        is_bought,
        ticket: job.map(|job| job.ticket().clone()),
        not_repeated_for: Duration::ZERO,
        kept_for: DAY,
    };
    desk.journal.end_relay(client, end).await.unwrap();
}

/// Makes every record two days old.
async fn age(desk: &Desk) {
    let days = 2 * DAY.as_millis();
    let relays =
        format!("relay SET begun_at = begun_at - {days}, kept_until = kept_until - {days}");
    let jobs = format!("job SET changed_at = changed_at - {days}");
    match desk.place.contains("://") {
        true => {
            for update in [relays, jobs] {
                postgres::run(&desk.place, &format!("UPDATE uso.{update}")).await;
            }
        }
        false => {
            let database = rusqlite::Connection::open(&desk.place).unwrap();
            for update in [relays, jobs] {
                database.execute(&format!("UPDATE {update}"), []).unwrap();
            }
        }
    }
}

/// How many records name an owner.
async fn owners(desk: &Desk) -> i64 {
    match desk.place.contains("://") {
        true => {
            let count = postgres::text(&desk.place, "SELECT count(*)::text FROM uso.relay");
            count.await.parse().unwrap()
        }
        false => {
            let database = rusqlite::Connection::open(&desk.place).unwrap();
            let count = database.query_row("SELECT count(*) FROM relay", [], |row| row.get(0));
            count.unwrap()
        }
    }
}

#[tokio::test]
async fn pruning_erases_the_owner_of_a_purchase_that_is_written_off() {
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let proxy = desk.open().await;
    let begun = proxy.begin_relay(client, relay("died"), limits()).await;
    begun.unwrap().unwrap();
    drop(proxy);
    desk.end_leases().await;
    let lost = desk.journal.unknown_relays(client).await.unwrap();
    assert_eq!(lost, [json!({ "id": "died" })]);
    age(&desk).await;
    desk.journal.prune(client, Duration::ZERO).await.unwrap();
    assert_eq!(owners(&desk).await, 1, "the purchase is not closed");

    let unknown = desk.journal.find(client, "proxy:died").await.unwrap();
    desk.journal
        .write_off(client, unknown.id, State::Unknown)
        .await
        .unwrap();
    desk.journal.prune(client, Duration::ZERO).await.unwrap();
    assert_eq!(owners(&desk).await, 0);
}

#[tokio::test]
async fn pruning_erases_owners_whose_time_is_over_and_keeps_what_cannot_be_collected() {
    const ID: &str = "11111111-2222-3333-4444-555555555555";
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    bought(&desk, "known", Some(ID)).await;
    bought(&desk, "lost", None).await;
    let owner = async || {
        let owner = desk.journal.relay_owner(client, "fal-ai/uso", ID).await;
        owner.unwrap()
    };
    let lost = async || desk.journal.unknown_relays(client).await.unwrap();
    assert_eq!(owner().await.as_deref(), Some("alice"));
    assert_eq!(lost().await, [json!({ "id": "lost" })]);

    // A day's owners and spending stay, however much is pruned.
    desk.journal.prune(client, Duration::ZERO).await.unwrap();
    assert_eq!(owner().await.as_deref(), Some("alice"));
    let third = desk.journal.begin_relay(client, relay("third"), limits());
    let refused = third.await.unwrap().map(|_| "begun");
    assert!(
        matches!(refused, Err(RelayRefusal::Spent(_))),
        "{refused:?}"
    );

    age(&desk).await;
    desk.journal.prune(client, Duration::ZERO).await.unwrap();
    assert_eq!(owner().await, None);
    assert_eq!(lost().await, [json!({ "id": "lost" })]);
    // Another owner may have the request id now, as the first record of it is gone.
    let adopted = ("fal-ai/uso", ID);
    let adopting = desk.journal.adopt_relay(client, "bob", adopted, DAY).await;
    adopting.unwrap();
    assert_eq!(owner().await.as_deref(), Some("bob"));
}

#[tokio::test]
async fn an_end_can_be_recorded_again_and_after_the_claim_was_lost() {
    const ID: &str = "11111111-2222-3333-4444-555555555555";
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let state = async |id: &str| {
        let row = desk.journal.find(client, &format!("proxy:{id}")).await;
        row.unwrap().state
    };
    bought(&desk, "first", Some(ID)).await;
    end(&desk, "first", Some(true), Some(ID)).await;
    assert_eq!(state("first").await, State::HandedOver);
    let owner = desk.journal.relay_owner(client, "fal-ai/uso", ID).await;
    assert_eq!(owner.unwrap().as_deref(), Some("alice"));

    let begun = desk.journal.begin_relay(client, relay("second"), limits());
    begun.await.unwrap().unwrap();
    end(&desk, "second", None, None).await;
    assert_eq!(state("second").await, State::Unknown);
    end(&desk, "second", Some(false), None).await;
    assert_eq!(state("second").await, State::Failed);
    // Its money is free again.
    let third = desk.journal.begin_relay(client, relay("third"), limits());
    third.await.unwrap().unwrap();
}
