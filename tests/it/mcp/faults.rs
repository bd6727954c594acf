//! Lost responses, killed servers, cancelled calls and several clients: one label buys once.

use std::time::Duration;

use serde_json::json;
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Rig, until};

use super::{Scene, wish};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_response_is_unknown_and_then_adopted() {
    // The listing shows a request a while after it was accepted.
    let scenario = Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop);
    let builder = Rig::plain_builder()
        .scenario(scenario)
        .index_delay(Duration::from_secs(600));
    let scene = Scene::of(builder).await;
    let mut agent = scene.agent(&[]).await;
    let job = agent.ok("buy", wish("lost")).await;
    assert_ne!(job["bought"], "no", "{job}");
    for _ in 0..2 {
        let again = agent.ok("buy", wish("lost")).await;
        assert_eq!(again["id"], job["id"], "{again}");
    }
    scene.rig.emulator.advance(Duration::from_secs(600));
    agent.done("lost").await;
    assert_eq!(scene.bought(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_purchase_names_the_next_step_and_is_never_bought_again() {
    let scene = Scene::unlisted().await;
    let mut agent = scene.agent(&[]).await;
    agent.ok("buy", wish("lost")).await;
    let mut waited = agent
        .ok("wait", json!({ "ids": ["lost"], "seconds": 1 }))
        .await;
    let job = waited["jobs"][0].take();
    assert_eq!(
        (&job["status"], &job["bought"]),
        (&json!("unknown"), &json!("unknown")),
        "{job}"
    );
    assert_eq!(job["do_not"], "call buy with another label");
    let again = agent.ok("buy", wish("lost")).await;
    assert_eq!(again["id"], job["id"]);
    let listing = agent.ok("list", json!({ "unfinished": true })).await;
    assert_eq!(listing["spent_or_reserved_usd"], 0.1, "{listing}");
    assert_eq!(scene.bought(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_server_continues_the_purchases_of_a_killed_server() {
    let builder = Rig::plain_builder().inference_time(Duration::from_secs(600));
    let scene = Scene::of(builder).await;
    for (round, label) in ["waiting", "buying"].into_iter().enumerate() {
        let mut agent = scene.agent(&[]).await;
        // Requests of one input could not be told apart.
        let mut wish = wish(label);
        wish["seed"] = json!(round);
        if label == "waiting" {
            agent.ok("buy", wish.clone()).await;
            agent
                .send_call("wait", json!({ "ids": [label], "seconds": 25 }))
                .await;
        } else {
            agent.send_call("buy", wish.clone()).await;
            // Killed in the moment in which the service has accepted it.
            until("the purchase", || scene.bought() > round).await;
        }
        agent.child.start_kill().unwrap();
        agent.child.wait().await.unwrap();

        let mut next = scene.agent(&[]).await;
        // The lookup of a lost response sees the job before it ends.
        let mut looks = 0;
        let known = loop {
            looks += 1;
            let ids = json!({ "ids": [label], "seconds": 1 });
            let known = next.ok("wait", ids).await;
            if known["jobs"][0]["status"] == "submitted" {
                break known;
            }
            assert!(looks < 60, "{known}");
        };
        let again = next.ok("buy", wish.clone()).await;
        assert_eq!(again["id"], known["jobs"][0]["id"], "{again}");
        scene.rig.emulator.advance(Duration::from_secs(601));
        next.done(label).await;
        assert_eq!(scene.bought(), round + 1, "{label}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_in_the_middle_of_a_purchase_leaves_a_known_job() {
    let delay = Fault::Delay(Duration::from_secs(1));
    let builder = Rig::plain_builder().scenario(Scenario::new().on(Operation::Submit, delay));
    let scene = Scene::of(builder).await;
    let mut agent = scene.agent(&[]).await;
    agent.send_call("buy", wish("left")).await;
    until("the purchase", || scene.bought() == 1).await;
    assert_eq!(agent.close().await, Some(0));
    let mut next = scene.agent(&[]).await;
    let job = next.ok("result", json!({ "id": "left" })).await;
    assert_eq!(job["bought"], "yes", "{job}");
    next.done("left").await;
    assert_eq!(scene.bought(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_call_loses_nothing() {
    let delay = Fault::Delay(Duration::from_secs(1));
    let builder = Rig::plain_builder().scenario(Scenario::new().on(Operation::Submit, delay));
    let scene = Scene::of(builder).await;
    let mut agent = scene.agent(&[]).await;
    let id = agent.send_call("buy", wish("dropped")).await;
    until("the purchase", || scene.bought() == 1).await;
    agent
        .notify(
            "notifications/cancelled",
            json!({ "requestId": id, "reason": "a timeout" }),
        )
        .await;
    agent.ok("buy", wish("dropped")).await;
    agent.done("dropped").await;
    assert_eq!(scene.bought(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_with_one_label_buy_once_and_a_different_picture_is_refused() {
    let scene = Scene::plain().await;
    let mut first = scene.agent(&[]).await;
    let mut second = scene.agent(&[]).await;
    let (one, other) = tokio::join!(
        first.ok("buy", wish("shared")),
        second.ok("buy", wish("shared"))
    );
    assert_eq!(one["id"], other["id"]);
    assert_eq!(first.done("shared").await, second.done("shared").await);
    let mut changed = wish("shared");
    changed["prompt"] = json!("a harbour");
    let refused = second.refused("buy", changed).await;
    assert_eq!(
        (&refused["error"], &refused["bought"]),
        (&json!("label_taken"), &json!("no"))
    );
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains(r#"prompt was "a lighthouse in ink" and is "a harbour""#),
        "{message}"
    );
    assert_eq!(scene.bought(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_clients_at_once_stay_within_the_budget_also_after_a_restart() {
    // No bill is known while the jobs run, so that each purchase holds its $0.10.
    let builder = Rig::plain_builder().inference_time(Duration::from_secs(600));
    let scene = Scene::of(builder).await;
    let budget = ["--budget", "0.25"];
    let mut agents = Vec::new();
    for _ in 0..4 {
        agents.push(scene.agent(&budget).await);
    }
    let calls = agents
        .iter_mut()
        .enumerate()
        .map(|(number, agent)| async move {
            agent.call("buy", wish(&format!("picture-{number}"))).await
        });
    let results = futures_util::future::join_all(calls).await;
    let refused: Vec<_> = results
        .iter()
        .filter(|result| result["isError"] == true)
        .collect();
    assert_eq!((refused.len(), scene.bought()), (2, 2));
    for result in refused {
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("the budget of agents is $0.25"), "{text}");
    }
    drop(agents);
    let mut next = scene.agent(&budget).await;
    let stopped = next.refused("buy", wish("another")).await;
    assert_eq!(stopped["error"], "budget", "{stopped}");
    let mut dear = wish("dear");
    dear["max_cost_usd"] = json!(0.09);
    let mut raised = scene.agent(&["--budget", "5"]).await;
    let stopped = raised.refused("buy", dear).await;
    let message = stopped["message"].as_str().unwrap();
    assert!(message.contains("max_cost_usd is $0.09"), "{message}");
    assert_eq!(scene.bought(), 2);
}
