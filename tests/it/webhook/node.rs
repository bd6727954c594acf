//! The same signatures by another implementation: Node's crypto, in both directions.

use std::process::Command;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderMap, HeaderName, Request};
use serde_json::{Map, Value, json};
use uso::webhook::{KeySet, Receiver, Rejection, Verifier};
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{file, skipped};

use super::{Scene, clock_at};

/// Runs the program; nothing where there is no Node.
fn node(test: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new("node")
        .arg(file("webhook/node.mjs"))
        .args(arguments)
        .output();
    let Ok(output) = output else {
        skipped(&format!("webhook::node::{test}"), "node");
        return None;
    };
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaint}");
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

async fn jwks(origin: &str) -> String {
    let config = uso_transport::Config::keyless(uso::BaseUrls::single_origin(origin).unwrap());
    let transport = uso_transport::Transport::new(config).unwrap();
    let document = transport.jwks(None).await.unwrap();
    String::from_utf8(document.to_vec()).unwrap()
}

#[tokio::test]
async fn what_the_emulator_signs_verifies_with_node_and_here() {
    let tampered = Scenario::new()
        .on(Operation::Webhook, Fault::Tamper)
        .after(1);
    let mut scene = Scene::new(tampered).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("jwks.json"), jwks(&scene.emulator().origin()).await).unwrap();
    for verifies in [true, false] {
        scene.submit().await;
        let request = scene.hook.next().await;
        let headers: Map<String, Value> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
            .collect();
        let body = BASE64_STANDARD.encode(request.body());
        let notification = json!({ "headers": headers, "body": body });
        std::fs::write(path("notification.json"), notification.to_string()).unwrap();
        let arguments = ["verify", &path("jwks.json"), &path("notification.json")];
        let test = "what_the_emulator_signs_verifies_with_node_and_here";
        let Some(printed) = node(test, &arguments) else {
            return;
        };
        assert_eq!(printed, verifies.to_string());
        let ours = scene.receiver.receive(request).await;
        assert_eq!(ours.is_ok(), verifies, "{ours:?}");
        scene.attempts(1).await;
    }
}

#[tokio::test]
async fn a_signature_of_node_verifies() {
    // Text outside ASCII, so that bytes and characters are told apart.
    let body = json!({
        "request_id": "r-1",
        "gateway_request_id": "g-1",
        "status": "OK",
        "payload": { "images": [{ "url": "https://example.org/a.png" }], "prompt": "Häuser im Nebel 🌫" },
    })
    .to_string();
    let Some(printed) = node(
        "a_signature_of_node_verifies",
        &["sign", "1760000000", &body],
    ) else {
        return;
    };
    let signed: Value = serde_json::from_str(&printed).unwrap();
    let headers: HeaderMap = signed["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, value.as_str().unwrap().parse().unwrap())
        })
        .collect();
    let keys = KeySet::from_jwks(signed["jwks"].to_string().as_bytes()).unwrap();
    let verifier = Verifier::new().clock(clock_at(1_760_000_100));
    let receiver = Receiver::new(keys).verifier(verifier);
    let request = |body: &str| {
        let mut request = Request::post("/hook")
            .body(body.as_bytes().to_vec())
            .unwrap();
        *request.headers_mut() = headers.clone();
        request
    };
    let notification = receiver.receive(request(&body)).await.unwrap();
    assert_eq!(notification.user_id(), "github|4711");
    let output = notification.output().unwrap();
    assert_eq!(output.prompt.as_deref(), Some("Häuser im Nebel 🌫"));
    let other = body.replace("Nebel", "Regen");
    let refused = receiver.receive(request(&other)).await.unwrap_err();
    assert_eq!(refused, Rejection::NoKeyFits);
}
