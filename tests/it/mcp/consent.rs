//! Consent of the user: a client that can ask its user makes no purchase without an answer.

use std::time::Duration;

use serde_json::json;
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::{Journal, State};
use uso_tests::rig::{Rig, until};

use super::{Scene, wish};

/// The journal of a scene, and the scene with that journal.
fn with_journal(mut scene: Scene) -> (Scene, Journal) {
    let state = scene.cli.folder().join("state");
    scene.cli = scene.cli.variable("USO_STATE_DIR", state.to_str().unwrap());
    let journal = Journal::open(state.join("journal.db")).unwrap();
    (scene, journal)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_that_a_killed_server_had_not_sent_needs_consent() {
    let scenario = Scenario::new().on(Operation::Initiate, Fault::Hang);
    let scene = Scene::of(Rig::plain_builder().scenario(scenario)).await;
    let (scene, journal) = with_journal(scene);
    // Too large to be sent with the request.
    super::picture(&scene.cli.folder().join("photo.png"), 1500, 1000);
    let client = &scene.rig.client;
    let mut agent = scene.agent(&["--yes"]).await;
    agent.send_call("buy", wish("left")).await;
    let hangs = || scene.rig.operations().contains(&"initiate".to_owned());
    until("the upload", hangs).await;
    let row = journal.find(client, "agent/left").await.unwrap();
    assert_eq!(row.state, State::Reserved);
    agent.child.start_kill().unwrap();
    agent.child.wait().await.unwrap();

    let mut agent = scene.asking(&[]).await;
    let call = agent.send_call("buy", wish("left")).await;
    let question = agent.question().await;
    assert_eq!(scene.bought(), 0);
    agent.respond(question, "decline").await;
    let answer = agent.answer(call).await;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(scene.bought(), 0);

    let call = agent.send_call("buy", wish("left")).await;
    let question = agent.question().await;
    agent.respond(question, "accept").await;
    let answer = agent.answer(call).await;
    assert_ne!(answer["result"]["isError"], true, "{answer}");
    agent.done("left").await;
    assert_eq!(scene.bought(), 1);
}

/// The budget has no room, so that the user is not asked; then other purchases make room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_that_the_budget_refuses_is_not_made_once_there_is_room() {
    let builder = Rig::plain_builder().inference_time(Duration::from_secs(600));
    let scene = Scene::of(builder).await;
    let mut agent = scene.asking(&["--budget", "0.15"]).await;
    let call = agent.send_call("buy", wish("first")).await;
    let question = agent.question().await;
    agent.respond(question, "accept").await;
    agent.answer(call).await;

    let mut second = wish("second");
    second["seed"] = json!(8);
    let mut dear = second.clone();
    dear["max_cost_usd"] = json!(0.09);
    for (arguments, cap) in [(&second, "$0.15"), (&dear, "$0.09")] {
        let refused = agent.refused("buy", arguments.clone()).await;
        assert_eq!(
            (&refused["error"], &refused["bought"]),
            (&json!("budget"), &json!("no")),
            "{refused}"
        );
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains(cap), "{message}");
    }
    scene.rig.emulator.advance(Duration::from_secs(601));
    agent.done("first").await;
    assert_eq!(scene.bought(), 1);
    // With room, the user is asked.
    let call = agent.send_call("buy", second).await;
    let question = agent.question().await;
    assert_eq!(scene.bought(), 1);
    agent.respond(question, "accept").await;
    let answer = agent.answer(call).await;
    assert_ne!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(scene.bought(), 2);
}

/// What is bought, or may be, is not asked about: it costs nothing more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_whose_response_was_lost_is_looked_up_without_a_question() {
    let scenario = Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop);
    let builder = Rig::plain_builder()
        .scenario(scenario)
        .index_delay(Duration::from_secs(600));
    let scene = Scene::of(builder).await;
    let mut agent = scene.agent(&["--yes"]).await;
    agent.ok("buy", wish("lost")).await;
    agent.child.start_kill().unwrap();
    agent.child.wait().await.unwrap();

    let mut agent = scene.asking(&[]).await;
    // A question would be no answer to the call.
    let job = agent.ok("buy", wish("lost")).await;
    assert_eq!(job["label"], "lost", "{job}");
    scene.rig.emulator.advance(Duration::from_secs(600));
    agent.done("lost").await;
    let again = agent.ok("buy", wish("lost")).await;
    assert_eq!((&again["status"], scene.bought()), (&json!("done"), 1));
}
