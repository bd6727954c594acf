//! Changes that a caller has heard of: a crash of the server right after keeps them.

use std::sync::{Mutex, mpsc};

use tokio::task::block_in_place;
use uso::{Config, MicroDollars, Request};
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::{Journal, Progress, State};
use uso_tests::postgres::Cluster;
use uso_tests::rig::{Rig, content, skipped, until_async};

use super::link::Link;

/// A server that puts its log on the disk only when a transaction asks for that, and writes no more
/// of the log than it has to.
fn server(test: &str) -> Option<Cluster> {
    let settings = [
        "wal_writer_delay=10s",
        "wal_level=minimal",
        "max_wal_senders=0",
    ];
    let server = Cluster::start(&settings);
    if server.is_none() {
        skipped(&format!("fleet::durable::{test}"), "PostgreSQL");
    }
    server
}

fn crash(server: &mut Cluster) {
    block_in_place(|| server.crash());
}

/// A service that takes a submit and tells nothing of it.
async fn silent() -> Rig {
    let scenario = Scenario::new().on(Operation::Submit, Fault::Drop).times(1);
    let builder = Rig::plain_builder().scenario(scenario);
    Rig::configured(builder, Config::without_reconciliation).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_a_caller_has_heard_of_survives_a_crash_of_the_server() {
    let Some(mut server) = server("a_state") else {
        return;
    };
    let rig = silent().await;
    let client = &rig.client;
    let place = server.database().await;
    let journal = Journal::connect(&place).await.unwrap();
    let cap = Some(MicroDollars::new(5_000_000));
    journal.set_caps(client, None, cap).await.unwrap();
    crash(&mut server);
    assert_eq!(journal.budget(client).await.unwrap().total_cap, cap);
    let offered = ("offered", Request::subject(content(), "x"));
    let offered = journal.offer(client, "b", offered, None).await.unwrap();
    crash(&mut server);
    let found = journal.find(client, "offered").await.unwrap();
    assert_eq!(found.id, offered.id);
    let request = Request::subject(content(), "x");
    let id = journal.purchase(client, "key", request).await.unwrap().id;
    crash(&mut server);
    let state = async || journal.find(client, "key").await.unwrap().state;
    assert_eq!(state().await, State::Unknown);
    journal.write_off(client, id, State::Unknown).await.unwrap();
    crash(&mut server);
    assert_eq!(state().await, State::Failed);
    journal.retry(client, id, 1).await.unwrap();
    crash(&mut server);
    assert_eq!(state().await, State::Pending);
    journal.cancel(client, id).await.unwrap();
    crash(&mut server);
    assert_eq!(state().await, State::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_whose_first_commit_reached_no_disk_is_durable_after_the_repeat() {
    let Some(mut server) = server("a_repeat") else {
        return;
    };
    for (lost, wanted) in [("unknown", State::Unknown), ("failed", State::Failed)] {
        let (rig, place) = (silent().await, server.database().await);
        let client = &rig.client;
        let link = Link::to(&server);
        let journal = Journal::connect(&link.place(&place)).await.unwrap();
        link.lose(lost);
        let request = Request::subject(content(), "x");
        let id = journal.purchase(client, "key", request).await.unwrap().id;
        if wanted == State::Failed {
            journal.write_off(client, id, State::Unknown).await.unwrap();
        }
        crash(&mut server);
        assert!(link.has_lost_all(), "{lost}");
        let found = journal.find(client, "key").await.unwrap();
        assert_eq!(found.state, wanted, "{lost}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_of_an_offered_row_that_a_crash_forgot_is_made_again() {
    let Some(mut server) = server("a_claim") else {
        return;
    };
    // The call that waits for its purchase, and the one whose work goes on beside it.
    for begins in [false, true] {
        let (rig, place) = (Rig::plain().await, server.database().await);
        let client = &rig.client;
        let journal = Journal::connect(&place).await.unwrap();
        let request = || Request::subject("https://example.org/a.png", "x");
        let offered = journal.offer(client, "b", ("key", request()), None);
        offered.await.unwrap();
        let (prepared, is_prepared) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel::<()>();
        let goes_on = Mutex::new(goes_on);
        let buy = journal.purchase(client, "key", request());
        let buy = buy.on_progress(move |progress| {
            if matches!(progress, Progress::Prepared(_)) && prepared.send(()).is_ok() {
                // A sender that has gone lets the second try pass.
                let _ = block_in_place(|| goes_on.lock().unwrap().recv());
            }
        });
        let buying = tokio::spawn(async move {
            match begins {
                true => buy.begin().await,
                false => buy.await,
            }
        });
        block_in_place(|| is_prepared.recv().unwrap());
        crash(&mut server);
        let row = journal.find(client, "key").await.unwrap();
        assert_eq!((row.state, row.in_work), (State::Pending, false));
        drop((go_on, is_prepared));
        buying.await.unwrap().unwrap();
        let is_done = async || journal.find(client, "key").await.unwrap().state == State::Done;
        until_async("the purchase", is_done).await;
        assert_eq!(rig.emulator.ledger().purchases().len(), 1, "{begins}");
    }
}
