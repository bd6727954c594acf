//! Workers of one batch in separate folders: killed, stopped past their lease, and continued.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use futures_util::future::join_all;
use uso_tests::postgres;
use uso_tests::rig::{Cli, Rig, until_async};

use super::machines::{Fleet, end, gate, signal, work};
use super::server;

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_four_workers_two_are_killed_and_a_fifth_machine_collects_every_picture() {
    let Some(server) = server("workers::killed") else {
        return;
    };
    let builder = Rig::plain_builder().inference_time(Duration::from_millis(400));
    let fleet = Fleet::new(server, builder.start().await.unwrap(), 24).await;
    let machines: Vec<Cli> = (0..4).map(|_| fleet.machine()).collect();
    let mut workers: Vec<Child> = machines.iter().map(work).collect();
    for killed in 0..2 {
        let wanted = 5 * (killed + 1);
        let enough = async || fleet.bought() >= wanted;
        until_async("purchases", enough).await;
        let mut worker = workers.remove(0);
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    for worker in workers {
        let run = end(worker).await;
        assert!(run.code == 0 || run.code == 6, "{run:?}");
    }
    // A kill between the record of the submit and its outcome leaves a row unknown.
    assert_eq!(fleet.count("state NOT IN ('done', 'unknown')").await, 0);
    let fifth = fleet.machine();
    let collected = fifth.run(&["batch", "collect", "b", "-o", "all"]);
    assert!(collected.code == 0 || collected.code == 6, "{collected:?}");
    let done = fleet.count("state = 'done'").await;
    let unknown = fleet.count("state = 'unknown'").await;
    assert_eq!(done + unknown, fleet.rows);
    assert_eq!(
        fleet.bought(),
        done,
        "{unknown} rows never left: {collected:?}"
    );
    assert_eq!(names(&fifth.folder().join("all")).len(), done);
    let again = fifth.run(&["batch", "work", "b"]);
    assert_eq!(fleet.bought(), done, "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stopped_past_its_lease_sends_nothing_late() {
    let Some(server) = server("workers::stopped") else {
        return;
    };
    let case = async |point: &str| {
        let builder = Rig::plain_builder().inference_time(Duration::from_millis(100));
        let fleet = Fleet::new(server, builder.start().await.unwrap(), 4).await;
        postgres::run(&fleet.place, &gate(point)).await;
        let machine = fleet.machine();
        let stopped = work(&machine);
        let passed = "SELECT is_called::text FROM public.passed";
        let at_point = async || fleet.text(passed).await == "true";
        until_async(point, at_point).await;
        signal(&stopped, "STOP");
        let ended = "SELECT (count(*) > 0)::text FROM uso.worker WHERE expires_at < uso.uso_now()";
        let has_ended = async || fleet.text(ended).await == "true";
        until_async("the lease ends", has_ended).await;
        let other = fleet.machine();
        let run = end(work(&other)).await;
        assert!(run.code == 0 || run.code == 6, "{point}: {run:?}");
        let settled = fleet.count("state IN ('done', 'unknown')").await;
        assert_eq!(settled, fleet.rows, "{point}: {run:?}");
        let (bought, unknown) = (fleet.bought(), fleet.count("state = 'unknown'").await);
        signal(&stopped, "CONT");
        let late = end(stopped).await;
        assert!(late.code == 0 || late.code == 6, "{point}: {late:?}");
        assert_eq!(fleet.bought(), bought, "{point}: it bought late: {late:?}");
        // A response that waited in the socket is recorded, and its row collected. What is bought is
        // done, or is one of the rows that are unknown still.
        let still = fleet.count("state = 'unknown'").await;
        let done = fleet.count("state = 'done'").await;
        assert_eq!(done + still, fleet.rows, "{point}: {late:?}");
        assert!(still <= unknown, "{point}: it wrote late: {late:?}");
        assert!((done..=done + still).contains(&bought), "{point}: {late:?}");
        assert!(bought <= fleet.rows, "{point}: a row was bought twice");
    };
    // Each waits for the end of a lease.
    join_all(["reserved", "sending", "submitted", "done"].map(case)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_worker_bought_is_collected_while_rows_are_still_pending() {
    let Some(server) = server("workers::pending") else {
        return;
    };
    let hour = Duration::from_secs(3600);
    let builder = Rig::plain_builder().inference_time(hour).concurrency(8);
    let fleet = Fleet::new(server, builder.start().await.unwrap(), 8).await;
    let machines = [fleet.machine(), fleet.machine()];
    let has = async |wanted: usize, condition: &str| fleet.count(condition).await == wanted;
    let mut killed = work(&machines[0]);
    let bought = "state = 'submitted'";
    until_async("two purchases", async || has(2, bought).await).await;
    // Both have places for two; the account's are taken, and each worker has room for one.
    let mut other = work(&machines[1]);
    until_async("another purchase", async || has(3, bought).await).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    let leases = "SELECT count(*)::text FROM uso.worker";
    let has_one = async || fleet.text(leases).await == "1";
    until_async("the release of its rows", has_one).await;
    fleet.emulator.advance(hour);
    until_async("the pictures", async || has(3, "state = 'done'").await).await;
    assert!(fleet.count("state = 'pending'").await > 0);
    other.kill().unwrap();
    other.wait().unwrap();
}
