//! Workers that are frozen between the record of a submit and the write to the socket.

use std::process::Child;

use uso_tests::postgres;
use uso_tests::rig::{Cli, Rig, until_async};

use super::machines::{Fleet, end, gate, signal, work};
use super::server;

/// Freezes the worker of one row once the row is `sending` and before the worker knows it, until its
/// lease has ended.
async fn frozen(fleet: &Fleet, machine: &Cli) -> Child {
    postgres::run(&fleet.place, &gate("sending")).await;
    let worker = work(machine);
    let passed = "SELECT is_called::text FROM public.passed";
    let at_gate = async || fleet.text(passed).await == "true";
    until_async("the gate", at_gate).await;
    signal(&worker, "STOP");
    // The server commits what the worker sent before, and the answer waits in the socket.
    let is_sending = async || fleet.count("state = 'sending'").await == 1;
    until_async("the commit", is_sending).await;
    let ended = "SELECT (count(*) = 1)::text FROM uso.worker WHERE expires_at < uso.uso_now()";
    let has_ended = async || fleet.text(ended).await == "true";
    until_async("the end of the lease", has_ended).await;
    assert_eq!(fleet.bought(), 0, "nothing left before");
    worker
}

fn submits(fleet: &Fleet) -> usize {
    let requests = fleet.emulator.requests();
    let words = requests.iter().map(|request| request.operation.as_str());
    words.filter(|word| *word == "submit").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_taken_over_while_frozen_sends_nothing() {
    let Some(server) = server("frozen::taken_over") else {
        return;
    };
    let emulator = Rig::plain_builder().start().await.unwrap();
    let fleet = Fleet::new(server, emulator, 1).await;
    let machine = fleet.machine();
    let worker = frozen(&fleet, &machine).await;
    let other = end(work(&fleet.machine())).await;
    assert_eq!(other.code, 6, "the outcome is unknown: {other:?}");
    assert_eq!(fleet.count("state = 'unknown'").await, 1);
    signal(&worker, "CONT");
    let late = end(worker).await;
    assert_eq!(late.code, 6, "{late:?}");
    assert_eq!(submits(&fleet), 0, "it sent late: {late:?}");
    assert_eq!(fleet.count("state = 'unknown'").await, 1, "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_frozen_and_not_taken_over_buys_once() {
    let Some(server) = server("frozen::alone") else {
        return;
    };
    let emulator = Rig::plain_builder().start().await.unwrap();
    let fleet = Fleet::new(server, emulator, 1).await;
    let machine = fleet.machine();
    let worker = frozen(&fleet, &machine).await;
    signal(&worker, "CONT");
    let ended = end(worker).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!((submits(&fleet), fleet.bought()), (1, 1), "{ended:?}");
    assert_eq!(fleet.count("state = 'done'").await, 1, "{ended:?}");
}
