//! `kill -9` of commands at moments spread over the whole of their work.

use std::time::{Duration, Instant};

use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::State;
use uso_tests::rig::pick;

use super::{Child, Scene, Shape};

/// Rounds, where `USO_KILLS` asks for no other number.
const ROUNDS: usize = 20;

/// A fault of each operation that a command makes, and another one of the submit in each round.
fn scenario(round: usize) -> Scenario {
    let submits = [
        Fault::AcceptThenDrop,
        Fault::Drop,
        Fault::AcceptThenGatewayPage(502),
        Fault::Throttled { retry_after: None },
        Fault::AcceptThenHang,
    ];
    let mut scenario = Scenario::new()
        .on(Operation::Stream, Fault::CutStream)
        .on(Operation::Result, Fault::Drop)
        .on(Operation::File, Fault::TruncatedBody);
    // One round of six has a submit without a fault.
    if let Some(fault) = submits.get(round % 6) {
        scenario = scenario.on(Operation::Submit, fault.clone());
    }
    scenario
}

/// A process that makes no request for this long waits for something that does not come.
const IDLE: Duration = Duration::from_millis(300);

/// Kills the process once the emulator has seen this many requests more, or sees none any more.
async fn kill_after(scene: &Scene, requests: usize, mut child: Child) {
    let seen = || scene.rig.emulator.requests().len();
    let until = seen() + requests;
    let (mut last, mut since) = (seen(), Instant::now());
    while last < until && since.elapsed() < IDLE && child.try_wait().unwrap().is_none() {
        if seen() > last {
            (last, since) = (seen(), Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_commands_buy_nothing_twice_and_lose_nothing() {
    let wanted = std::env::var("USO_KILLS").ok();
    let rounds = wanted.map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut done = 0;
    for round in 0..rounds {
        let scene = Scene::new(scenario(round), Duration::from_millis(5)).await;
        let buying = scene.generate(Shape::One, &[]);
        kill_after(&scene, pick(round, 1, 14), buying).await;
        let resuming = scene.start(&["resume"]);
        kill_after(&scene, pick(round, 2, 6), resuming).await;
        // A request that was in the socket of a killed process may be accepted after the first look.
        for _ in 0..3 {
            scene.run(&["resume"]).await;
        }
        let states = scene.states().await;
        let files = scene.files("out");
        let told = format!(
            "round {round}: {states:?} {files:?} {:?}",
            scene.rig.operations()
        );
        match scene.rig.emulator.ledger().purchases().len() {
            // Killed before the record, before the POST, or with a POST that was not accepted.
            0 => assert!(
                matches!(states[..], [] | [State::Cancelled | State::Unknown]) && files.is_empty(),
                "{told}"
            ),
            1 => {
                assert_eq!(states, [State::Done], "{told}");
                assert_eq!(files.len(), 1, "{told}");
                let picture = std::fs::read(&files[0]).unwrap();
                assert!(image::load_from_memory(&picture).is_ok(), "{told}");
                done += 1;
            }
            _ => panic!("bought twice: {told}"),
        }
    }
    assert!(done > 0, "no round of {rounds} bought anything");
}
