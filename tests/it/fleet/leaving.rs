//! Workers that end: what they held goes on elsewhere at once.

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use uso_tests::rig::{Rig, until_async};

use super::machines::{Fleet, end, signal, work};
use super::server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_interrupted_twice_gives_its_lease_and_its_rows_back() {
    let Some(server) = server("leaving::interrupted") else {
        return;
    };
    // Longer than the test: the rows are in flight when the worker ends.
    let builder = Rig::plain_builder().inference_time(Duration::from_secs(3600));
    let fleet = Fleet::new(server, builder.start().await.unwrap(), 2).await;
    let machine = fleet.machine();
    let mut worker = work(&machine);
    let in_flight = async || fleet.count("state = 'submitted'").await == 2;
    until_async("both are bought", in_flight).await;
    assert_eq!(fleet.count("worker IS NOT NULL").await, 2);
    signal(&worker, "INT");
    let mut said = BufReader::new(worker.stderr.take().unwrap()).lines();
    let first = said.find(|line| line.as_ref().unwrap().contains("Ctrl-C again"));
    assert!(first.is_some(), "the first signal is heard");
    signal(&worker, "INT");
    let ended = end(worker).await;
    assert_eq!(fleet.count("worker IS NOT NULL").await, 0, "{ended:?}");
    let leases = fleet.text("SELECT count(*)::text FROM uso.worker").await;
    assert_eq!(leases, "0", "{ended:?}");
    assert_eq!(fleet.count("state = 'submitted'").await, 2);
    assert_eq!(fleet.bought(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_done_leaves_no_lease() {
    let Some(server) = server("leaving::done") else {
        return;
    };
    let emulator = Rig::plain_builder().start().await.unwrap();
    let fleet = Fleet::new(server, emulator, 2).await;
    let ended = end(work(&fleet.machine())).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let leases = fleet.text("SELECT count(*)::text FROM uso.worker").await;
    assert_eq!(leases, "0");
}
