//! The official clients of the protocol, as published and unmodified, drive every tool: the current
//! one in both eras of the protocol, and its predecessor, which most programs still embed.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;
use uso_tests::rig::{Rig, file};

use super::{PROGRAM, Scene, wish};
use crate::official::mcp_clients;

/// Longest time that one program may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Ways to reach the server: the client and the era of the protocol.
const WAYS: [&str; 3] = ["modern", "legacy", "v1"];

/// Lets a client make calls, one after the other, and gives their results. A client with an answer
/// for its user can be asked for confirmation.
async fn plays(scene: &Scene, way: &str, answer: Option<&str>, calls: Value) -> Option<Value> {
    let clients = mcp_clients(&format!("mcp::official {way}"))?;
    let command = scene.cli.command(&[]);
    let variables = command.get_envs().filter_map(|(name, value)| {
        let value = value?.to_str()?;
        Some((name.to_str()?.to_owned(), json!(value)))
    });
    let settings = json!({
        "way": way,
        "command": PROGRAM,
        "args": ["mcp"],
        "cwd": scene.cli.folder(),
        "env": variables.collect::<serde_json::Map<String, Value>>(),
        "answer": answer,
        "calls": calls,
    });
    let running = Command::new("node")
        .arg(file("official/mcp/client.mjs"))
        .arg(clients)
        .arg(settings.to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, running)
        .await
        .unwrap()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{way}: {complaint}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_clients_drive_every_tool_in_both_eras() {
    for way in WAYS {
        let scene = Scene::plain().await;
        let mut price = wish("hero");
        price.as_object_mut().unwrap().remove("label");
        price.as_object_mut().unwrap().remove("max_cost_usd");
        let calls = json!([
            ["estimate", price],
            ["buy", wish("hero")],
            ["wait", { "ids": ["hero"], "seconds": 25 }],
            ["result", { "id": "hero", "preview": true }],
            ["buy", wish("hero")],
            ["list", {}],
            ["cancel", { "id": "hero" }],
        ]);
        let Some(played) = plays(&scene, way, None, calls).await else {
            return;
        };
        let version = if way == "modern" {
            "2026-07-28"
        } else {
            "2025-11-25"
        };
        assert_eq!(played["version"], version, "{way}");
        assert_eq!(played["tools"].as_array().unwrap().len(), 6, "{way}");
        let answer = |call: usize| &played["results"][call]["structuredContent"];
        assert_eq!(answer(0)["at_most_usd"], 0.1, "{way}: {played}");
        assert_eq!(answer(1)["bought"], "yes", "{way}: {played}");
        assert_eq!(answer(2)["jobs"][0]["status"], "done", "{way}: {played}");
        assert_eq!(answer(3)["status"], "done", "{way}");
        assert_eq!(played["results"][3]["content"][1]["type"], "image", "{way}");
        assert_eq!(answer(4)["id"], answer(1)["id"], "{way}");
        assert_eq!(answer(5)["jobs"][0]["label"], "hero", "{way}");
        assert_eq!(played["results"][6]["isError"], true, "{way}");
        assert_eq!(scene.bought(), 1, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_can_ask_its_user_buys_only_with_a_yes() {
    for way in WAYS {
        let scene = Scene::of(Rig::plain_builder()).await;
        let calls = json!([["buy", wish("asked")]]);
        for answer in ["decline", "cancel"] {
            let Some(played) = plays(&scene, way, Some(answer), calls.clone()).await else {
                return;
            };
            let text = played["results"][0]["content"][0]["text"].as_str().unwrap();
            assert!(text.contains("not_confirmed"), "{way}: {played}");
            let question = played["questions"][0].as_str().unwrap();
            assert!(question.contains("$0.10"), "{way}: {question}");
            assert_eq!(scene.bought(), 0, "{way}");
        }
        // A label that is bought is not asked about again.
        let twice = json!([["buy", wish("asked")], ["buy", wish("asked")]]);
        let played = plays(&scene, way, Some("accept"), twice).await.unwrap();
        assert_eq!(
            played["questions"].as_array().unwrap().len(),
            1,
            "{way}: {played}"
        );
        let bought = &played["results"][1]["structuredContent"]["bought"];
        assert_eq!(bought, "yes", "{way}: {played}");
        assert_eq!(scene.bought(), 1, "{way}");
    }
}
