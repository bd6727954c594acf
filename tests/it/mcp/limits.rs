//! What a server refuses: files that are not its root's, files that are no pictures, and wrong
//! arguments. Nothing of them reaches the service.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Scene, picture, wish};

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_pictures_below_the_root_leave_the_machine() {
    use std::os::unix::fs::symlink;
    let scene = Scene::plain().await;
    let outside = tempfile::tempdir().unwrap();
    picture(&outside.path().join("private.png"), 8, 8);
    let folder = scene.cli.folder();
    symlink(outside.path().join("private.png"), folder.join("link.png")).unwrap();
    symlink(outside.path(), folder.join("linked")).unwrap();
    std::fs::write(folder.join("secret.png"), "FAL_KEY=abc:def\n".repeat(40)).unwrap();
    // A picture by its first bytes alone, with a text behind them.
    let mut forged = std::fs::read(folder.join("photo.png")).unwrap();
    forged.truncate(40);
    forged.extend(b"password ".repeat(200));
    std::fs::write(folder.join("forged.png"), forged).unwrap();
    std::fs::create_dir(folder.join("dir.png")).unwrap();
    let fifo = folder.join("pipe.png");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());

    let mut agent = scene.agent(&[]).await;
    let elsewhere = outside.path().join("private.png");
    let inside = folder.canonicalize().unwrap().join("link.png");
    for given in [
        "link.png",
        "linked/private.png",
        inside.to_str().unwrap(),
        elsewhere.to_str().unwrap(),
        &format!("file://{}", elsewhere.display()),
        "/etc/passwd",
        "../../../../../../etc/passwd",
        "missing.png",
        "secret.png",
        "dir.png",
        "pipe.png",
        "data:image/png;base64,iVBORw0KGgo=",
        "ftp://example.org/a.png",
        "",
    ] {
        for role in ["content", "styles"] {
            let mut wish = wish("refused");
            match role {
                "content" => wish["content"] = json!(given),
                _ => wish["styles"] = json!([given]),
            }
            let refused = agent.refused("buy", wish).await;
            assert_eq!(refused["error"], "argument", "{given}: {refused}");
            let message = refused["message"].as_str().unwrap();
            assert!(message.starts_with(role), "{given}: {message}");
        }
    }
    let mut damaged = wish("forged");
    damaged["content"] = json!("forged.png");
    let job = agent.ok("buy", damaged).await;
    assert_eq!(
        (&job["status"], &job["bought"]),
        (&json!("failed"), &json!("no")),
        "{job}"
    );
    assert_eq!(scene.rig.operations(), Vec::<String>::new());

    // Another root is another set of files; the link's own target is inside of it.
    let root = outside.path().to_str().unwrap();
    let mut agent = scene.agent(&["--root", root]).await;
    let mut inside = wish("inside");
    inside["content"] = json!("private.png");
    agent.ok("buy", inside).await;
    assert_eq!(scene.bought(), 1);
}

/// The picture is checked and the user is asked; meanwhile a link to a file outside takes its place.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_replaces_a_checked_picture_sends_nothing_from_outside() {
    let scene = Scene::plain().await;
    let outside = tempfile::tempdir().unwrap();
    let private = outside.path().join("private.png");
    picture(&private, 8, 8);
    let checked = scene.cli.folder().join("photo.png");
    let checked_bytes = std::fs::read(&checked).unwrap();
    let mut agent = scene.asking(&[]).await;
    let call = agent.send_call("buy", wish("swapped")).await;
    let question = agent.question().await;
    std::fs::remove_file(&checked).unwrap();
    std::os::unix::fs::symlink(&private, &checked).unwrap();
    agent.respond(question, "accept").await;
    let answer = agent.answer(call).await;
    assert_ne!(answer["result"]["isError"], true, "{answer}");

    let ledger = scene.rig.emulator.ledger();
    let input = &ledger.purchases()[0].input;
    let sent = input["input_image_urls"][0].as_str().unwrap();
    let sent = sent.split_once("base64,").unwrap().1;
    let sent = STANDARD.decode(sent).unwrap();
    assert_eq!(sent, checked_bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_arguments_are_refused_with_their_name_and_buy_nothing() {
    let scene = Scene::plain().await;
    let mut agent = scene.agent(&[]).await;
    let changed = |name: &str, value: Value| {
        let mut wish = wish("right");
        wish[name] = value;
        wish
    };
    for (arguments, named) in [
        (changed("images", json!(9)), "images"),
        (changed("size", json!("huge")), "size"),
        (changed("steps", json!(0)), "steps"),
        (
            changed("styles", json!(["photo.png", "photo.png", "photo.png"])),
            "styles",
        ),
        (changed("prompt", json!(" ")), "prompt"),
        (changed("label", json!("../../x")), "label"),
        (changed("label", json!("j17")), "label"),
        (changed("label", json!("")), "label"),
        (changed("max_cost_usd", json!(0)), "max_cost_usd"),
        (changed("max_cost_usd", json!(-1)), "max_cost_usd"),
        (changed("max_cost_usd", json!("1")), "invalid type"),
        (changed("imagse", json!(1)), "imagse"),
        (
            json!({ "label": "a", "content": "photo.png", "prompt": "x" }),
            "max_cost_usd",
        ),
    ] {
        let refused = agent.refused("buy", arguments.clone()).await;
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains(named), "{arguments}: {message}");
        assert_eq!(refused["bought"], "no");
    }
    for (tool, arguments) in [
        ("wait", json!({ "ids": [] })),
        ("wait", json!({ "ids": ["right"], "seconds": 26 })),
        ("wait", json!({ "ids": ["nothing"] })),
        ("result", json!({ "id": "j99" })),
        ("list", json!({ "before": "x" })),
        ("cancel", json!({ "id": "nothing" })),
    ] {
        let refused = agent.refused(tool, arguments).await;
        assert_eq!(refused["bought"], "no", "{refused}");
    }
    let unknown = agent.ask("tools/call", json!({ "name": "sell" })).await;
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    assert_eq!(scene.rig.operations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_sees_no_purchases_of_people() {
    let scene = Scene::plain().await;
    let bought = scene.cli.run(&[
        "generate",
        "photo.png",
        "-p",
        "private",
        "-s",
        "96x64",
        "--json",
    ]);
    assert_eq!(bought.code, 0, "{bought:?}");
    let request_id = scene.rig.emulator.ledger().purchases()[0]
        .request_id
        .clone();
    let mut agent = scene.agent(&[]).await;
    let refused = agent.refused("result", json!({ "id": request_id })).await;
    assert_eq!(refused["error"], "not_found");
    let listing = agent.ok("list", json!({})).await;
    assert_eq!(listing["jobs"], json!([]));
}
