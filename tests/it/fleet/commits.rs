//! Commits whose answers are lost, or that reach the server late: each is made once.

use uso::{Config, Request};
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::{Journal, State, UnitPrice};
use uso_tests::postgres;
use uso_tests::rig::{Rig, content, until_async};

use super::claims::WATCH;
use super::link::Link;
use super::server;

fn request() -> Request {
    Request::subject(content(), "x").size(uso::ImageSize {
        width: Some(1000),
        height: Some(1000),
    })
}

/// What the account has committed: in total, and in the minutes of the day.
async fn committed(place: &str) -> String {
    let sql = "SELECT committed || ' ' || (SELECT sum(committed) FROM uso.spend) FROM uso.realm";
    postgres::text(place, sql).await
}

/// How often a row was claimed.
async fn claims(place: &str) -> String {
    postgres::text(place, "SELECT count(*)::text FROM public.claim").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_state_of_a_purchase_is_entered_once_though_the_answer_to_its_commit_is_lost() {
    let Some(server) = server("commits::purchase") else {
        return;
    };
    for state in ["reserved", "sending", "submitted", "done"] {
        let (rig, link) = (Rig::plain().await, Link::to(server));
        let (place, folder) = (server.database().await, tempfile::tempdir().unwrap());
        let journal = Journal::connect(&link.place(&place)).await.unwrap();
        link.lose(state);
        let buy = journal.purchase(&rig.client, "key", request());
        let purchase = buy.folder(folder.path()).await.unwrap();
        assert!(link.has_lost_all(), "{state}");
        assert_eq!(purchase.state, State::Done, "{state}");
        assert_eq!(rig.emulator.ledger().purchases().len(), 1, "{state}");
        assert_eq!(committed(&place).await, "100000 100000", "{state}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offered_rows_are_offered_and_claimed_once_though_the_answers_are_lost() {
    let Some(server) = server("commits::offer") else {
        return;
    };
    let (rig, link) = (Rig::plain().await, Link::to(server));
    let (place, folder) = (server.database().await, tempfile::tempdir().unwrap());
    let journal = Journal::connect(&link.place(&place)).await.unwrap();
    postgres::run(&place, WATCH).await;
    for state in ["pending", "reserved"] {
        link.lose(state);
    }
    for key in ["a", "b", "c"] {
        let price = Some(UnitPrice::published());
        let offered = journal.offer(&rig.client, "b", (key, request()), price);
        assert_eq!(offered.await.unwrap().state, State::Pending);
    }
    let work = journal.work(&rig.client, "b", folder.path()).await.unwrap();
    // One claim takes all three.
    let summary = work.concurrency(3).start().finish().await;
    assert!(link.has_lost_all());
    assert_eq!(summary.done, 3, "{summary:?}");
    assert_eq!(rig.emulator.ledger().purchases().len(), 3);
    assert_eq!(committed(&place).await, "300000 300000");
    assert_eq!(claims(&place).await, "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_of_an_owner_is_made_once_though_the_answer_to_its_commit_is_lost() {
    let Some(server) = server("commits::owner") else {
        return;
    };
    for state in ["unknown", "failed", "pending", "cancelled"] {
        // The submit leaves, and neither its response nor the listing tells more.
        let scenario = Scenario::new().on(Operation::Submit, Fault::Drop).times(1);
        let builder = Rig::plain_builder().scenario(scenario);
        let rig = Rig::configured(builder, Config::without_reconciliation).await;
        let (link, place) = (Link::to(server), server.database().await);
        let journal = Journal::connect(&link.place(&place)).await.unwrap();
        link.lose(state);
        let client = &rig.client;
        let unknown = journal.purchase(client, "key", request()).await.unwrap();
        assert_eq!(unknown.state, State::Unknown, "{state}");
        assert_eq!(committed(&place).await, "100000 100000", "{state}");
        let id = unknown.id;
        let failed = journal.write_off(client, id, State::Unknown).await.unwrap();
        assert_eq!(failed.state, State::Failed, "{state}");
        assert_eq!(committed(&place).await, "0 0", "{state}");
        let pending = journal.retry(client, id, 1).await.unwrap();
        let is_second = (pending.state, pending.attempt) == (State::Pending, 2);
        assert!(is_second, "{state}: {pending:?}");
        let cancelled = journal.cancel(client, id).await.unwrap().purchase;
        assert_eq!(cancelled.state, State::Cancelled, "{state}");
        assert!(link.has_lost_all(), "{state}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_whose_claim_is_committed_after_its_connection_was_lost_are_claimed_once() {
    let Some(server) = server("commits::late") else {
        return;
    };
    let (rig, link) = (Rig::plain().await, Link::to(server));
    let (place, folder) = (server.database().await, tempfile::tempdir().unwrap());
    let journal = Journal::connect(&link.place(&place)).await.unwrap();
    for row in 0..12 {
        let offered = journal.offer(&rig.client, "b", (format!("r{row}"), request()), None);
        offered.await.unwrap();
    }
    postgres::run(&place, WATCH).await;
    link.delay("reserved");
    let work = journal.work(&rig.client, "b", folder.path()).await.unwrap();
    let run = work.concurrency(3).start();
    let waits = "SELECT (count(*) > 0)::text FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let is_repeated = async || postgres::text(&place, waits).await == "true";
    until_async("the claim is made again", is_repeated).await;
    assert!(link.has_lost_all());
    link.deliver();
    let held = "SELECT coalesce(max(held), 0)::text FROM public.claim";
    let held = async || postgres::text(&place, held).await.parse::<usize>().unwrap();
    let done = "SELECT (count(*) = 12)::text FROM uso.job WHERE state = 'done'";
    let has_ended = async || postgres::text(&place, done).await == "true" || held().await > 3;
    until_async("every row is done", has_ended).await;
    assert_eq!(
        held().await,
        3,
        "the repeat took rows besides those of the first try"
    );
    let summary = run.finish().await;
    assert_eq!(summary.done, 12, "{summary:?}");
    assert_eq!(rig.emulator.ledger().purchases().len(), 12);
    assert_eq!(claims(&place).await, "12");
}
