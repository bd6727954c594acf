//! Faults of the database in the middle of purchases.

use std::time::Duration;

use futures_util::future::join_all;
use uso::Request;
use uso_journal::{Journal, State};
use uso_tests::postgres::{self, Cluster};
use uso_tests::rig::{Rig, content, until_async};

use super::machines::{Fleet, end, work};
use super::server;

/// States that a purchase goes through.
const STATES: [&str; 4] = ["reserved", "sending", "submitted", "done"];

/// Does something once in the middle of each state change, in the transaction that makes it or at
/// its commit.
fn trigger(when: &str, what: &str) -> String {
    let sequences = STATES.map(|state| format!("CREATE SEQUENCE public.at_{state};"));
    format!(
        "{} CREATE FUNCTION public.fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF nextval('public.at_' || NEW.state) = 1 THEN {what}; END IF; RETURN NEW; END $$; \
         CREATE CONSTRAINT TRIGGER fault AFTER UPDATE ON uso.job {when} FOR EACH ROW \
         WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION public.fault();",
        sequences.join(" ")
    )
}

async fn buys_once_in_spite_of(server: &Cluster, fault: &str) {
    let rig = Rig::plain().await;
    let folder = tempfile::tempdir().unwrap();
    let place = server.database().await;
    let journal = Journal::connect(&place).await.unwrap();
    postgres::run(&place, fault).await;
    let buy = journal.purchase(&rig.client, "key", Request::subject(content(), "x"));
    let purchase = buy.folder(folder.path()).await.unwrap();
    assert_eq!(purchase.state, State::Done, "{fault}");
    assert_eq!(rig.emulator.ledger().purchases().len(), 1, "{fault}");
    for state in STATES {
        let met = format!("SELECT last_value::text FROM public.at_{state}");
        let met = postgres::text(&place, &met).await;
        assert_ne!(met, "1", "{state} was not repeated after the fault");
    }
}

#[tokio::test]
async fn connections_cut_in_each_state_change_lose_nothing() {
    let Some(server) = server("faults::connections_cut") else {
        return;
    };
    let cut = "PERFORM pg_terminate_backend(pg_backend_pid())";
    for when in ["", "DEFERRABLE INITIALLY DEFERRED"] {
        buys_once_in_spite_of(server, &trigger(when, cut)).await;
    }
}

/// The server says what it says when its disk is full.
#[tokio::test]
async fn a_full_disk_in_each_state_change_loses_nothing() {
    let Some(server) = server("faults::a_full_disk") else {
        return;
    };
    let full = "RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'";
    for when in ["", "DEFERRABLE INITIALLY DEFERRED"] {
        buys_once_in_spite_of(server, &trigger(when, full)).await;
    }
}

/// The work on a row ends without a record where each write of the row fails for as long as the
/// worker tries. What follows is one more write.
#[tokio::test]
async fn offered_rows_are_done_once_the_database_takes_writes_again() {
    let Some(server) = server("faults::offered_rows") else {
        return;
    };
    // The states that cannot be written, and how often: the step and the release of the row.
    let cases = [("sending", 12), ("submitted", 7), ("done", 12)];
    let case = async |(state, tries): (&str, u32)| {
        let (rig, folder) = (Rig::plain().await, tempfile::tempdir().unwrap());
        let place = server.database().await;
        let journal = Journal::connect(&place).await.unwrap();
        let row = ("row", Request::subject(content(), "x"));
        journal.offer(&rig.client, "b", row, None).await.unwrap();
        let fault = format!(
            "CREATE SEQUENCE public.at; \
             CREATE FUNCTION public.fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF nextval('public.at') <= {tries} THEN RAISE EXCEPTION 'no write'; END IF; \
             RETURN NEW; END $$; \
             CREATE TRIGGER fault BEFORE UPDATE ON uso.job FOR EACH ROW \
             WHEN (OLD.state <> 'pending' AND (NEW.state = '{state}' OR NEW.worker IS NULL)) \
             EXECUTE FUNCTION public.fault();"
        );
        postgres::run(&place, &fault).await;
        let work = journal.work(&rig.client, "b", folder.path()).await.unwrap();
        let run = work.start();
        let done = "SELECT (state = 'done' AND worker IS NULL)::text FROM uso.job";
        let is_done = async || postgres::text(&place, done).await == "true";
        until_async("the row is done", is_done).await;
        let summary = run.finish().await;
        let counts = (summary.done, summary.unfinished, summary.stopped);
        assert_eq!(counts, (1, 0, None), "{state}");
        assert_eq!(rig.emulator.ledger().purchases().len(), 1, "{state}");
        let tried = postgres::text(&place, "SELECT last_value::text FROM public.at").await;
        assert!(tried.parse::<u32>().unwrap() > tries, "{state}: {tried}");
    };
    join_all(cases.map(case)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_server_in_the_middle_of_a_batch_loses_nothing() {
    let Some(mut server) = Cluster::start(&[]) else {
        uso_tests::rig::skipped("fleet::faults::a_crash_of_the_server", "PostgreSQL");
        return;
    };
    let builder = Rig::plain_builder().inference_time(Duration::from_millis(300));
    let rig = Rig::of(builder).await;
    let folder = tempfile::tempdir().unwrap();
    let place = server.database().await;
    let journal = Journal::connect(&place).await.unwrap();
    let request = |seed| Request::subject(content(), "x").seed(seed);
    let rows: Vec<_> = (0..12)
        .map(|key| (format!("k{key:02}"), request(key)))
        .collect();
    let run = journal.run(&rig.client, rows).concurrency(4);
    let mut run = run.folder(folder.path()).start();
    let mut crashes = 0;
    while run.next().await.is_some() {
        let bought = rig.emulator.ledger().purchases().len();
        if bought > crashes * 4 && crashes < 2 {
            crashes += 1;
            tokio::task::block_in_place(|| server.crash());
        }
    }
    assert_eq!(crashes, 2);
    assert_eq!(run.summary().done, 12, "{:?}", run.summary());
    assert_eq!(rig.emulator.ledger().purchases().len(), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_of_the_server_under_two_workers_lose_nothing() {
    let Some(mut server) = Cluster::start(&[]) else {
        uso_tests::rig::skipped("fleet::faults::crashes_under_two", "PostgreSQL");
        return;
    };
    let builder = Rig::plain_builder().inference_time(Duration::from_millis(300));
    let fleet = Fleet::new(&server, builder.start().await.unwrap(), 12).await;
    let machines = [fleet.machine(), fleet.machine()];
    let workers = machines.each_ref().map(work);
    for crash in 1..=2 {
        let enough = async || fleet.bought() >= 4 * crash;
        until_async("purchases", enough).await;
        tokio::task::block_in_place(|| server.crash());
    }
    for worker in workers {
        let ended = end(worker).await;
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    assert_eq!(fleet.count("state = 'done'").await, 12);
    assert_eq!(fleet.bought(), 12);
}
