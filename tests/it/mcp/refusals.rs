//! What a refusal says about money: the state of the purchase that the call names.

use std::time::Duration;

use serde_json::{Value, json};
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::Rig;

use super::{Scene, wish};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_about_a_bought_picture_does_not_deny_the_purchase() {
    let scene = Scene::plain().await;
    let mut agent = scene.agent(&[]).await;
    let id = agent.ok("buy", wish("hero")).await["id"].clone();
    agent.done("hero").await;
    let mut wrong = wish("hero");
    wrong["images"] = json!(9);
    for (tool, arguments) in [
        ("cancel", json!({ "id": "hero" })),
        ("cancel", json!({ "id": id })),
        ("buy", wrong),
        ("wait", json!({ "ids": ["hero"], "seconds": 26 })),
        ("wait", json!({ "ids": "hero" })),
        ("result", json!({ "id": "hero", "previews": true })),
    ] {
        let refused = agent.refused(tool, arguments.clone()).await;
        assert_eq!(refused["bought"], "yes", "{tool} {arguments}: {refused}");
    }
    // Of two purchases, of which one was never made, neither word is true.
    let both = json!({ "ids": ["hero", "nothing"] });
    let refused = agent.refused("wait", both).await;
    assert_eq!(
        (&refused["error"], &refused["bought"]),
        (&json!("not_found"), &json!("unknown"))
    );
    let refused = agent.refused("wait", json!({ "ids": ["nothing"] })).await;
    assert_eq!(refused["bought"], "no", "{refused}");
    assert_eq!(scene.bought(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_that_the_service_cannot_take_leaves_a_bought_picture_bought() {
    let scenario = Scenario::new()
        .on(Operation::Cancel, Fault::Status(500))
        .always();
    let builder = Rig::plain_builder().inference_time(Duration::from_secs(3600));
    let scene = Scene::of(builder.scenario(scenario)).await;
    let mut agent = scene.agent(&[]).await;
    agent.ok("buy", wish("running")).await;
    let refused = agent.refused("cancel", json!({ "id": "running" })).await;
    assert_eq!(refused["bought"], "yes", "{refused}");
    assert_ne!(refused["error"], "not_allowed", "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_about_an_unknown_purchase_says_unknown() {
    let scene = Scene::unlisted().await;
    let mut agent = scene.agent(&[]).await;
    agent.ok("buy", wish("lost")).await;
    let refused = agent.refused("cancel", json!({ "id": "lost" })).await;
    assert_eq!(refused["bought"], "unknown", "{refused}");
    assert_eq!(scene.bought(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_is_too_large_does_not_deny_its_purchases() {
    let scene = Scene::plain().await;
    let mut output = scene.cli.folder().to_owned();
    for _ in 0..5 {
        output.push("a".repeat(150));
    }
    std::fs::create_dir_all(&output).unwrap();
    let mut agent = scene
        .agent(&["--budget", "9", "--output", output.to_str().unwrap()])
        .await;
    let labels = ["one", "two", "three", "four"];
    for (seed, label) in labels.into_iter().enumerate() {
        let mut wish = wish(label);
        wish["images"] = json!(2);
        wish["seed"] = json!(seed);
        agent.ok("buy", wish).await;
        agent.done(label).await;
    }
    let refused = agent.refused("wait", json!({ "ids": labels })).await;
    assert_eq!(
        (&refused["error"], &refused["bought"]),
        (&json!("too_large"), &json!("yes")),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_that_was_written_off_may_have_been_bought() {
    let hour = Duration::from_secs(3600);
    let mut scene = Scene::of(Rig::plain_builder().inference_time(hour)).await;
    let state = scene.cli.folder().join("state");
    scene.cli = scene.cli.variable("USO_STATE_DIR", state.to_str().unwrap());
    let mut agent = scene.agent(&[]).await;
    agent.ok("buy", wish("given-up")).await;
    agent.child.start_kill().unwrap();
    agent.child.wait().await.unwrap();
    let journal = uso_journal::Journal::open(state.join("journal.db")).unwrap();
    let client = &scene.rig.client;
    let row = journal.find(client, "agent/given-up").await.unwrap();
    journal.write_off(client, row.id, row.state).await.unwrap();
    drop(journal);
    let mut agent = scene.agent(&[]).await;
    let job: Value = agent.ok("result", json!({ "id": "given-up" })).await;
    assert_eq!(
        (&job["status"], &job["bought"]),
        (&json!("failed"), &json!("yes")),
        "{job}"
    );
    let refused = agent.refused("cancel", json!({ "id": "given-up" })).await;
    assert_eq!(refused["bought"], "yes", "{refused}");
}
