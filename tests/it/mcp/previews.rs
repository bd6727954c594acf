//! Previews of saved pictures: small, only on request, and of nothing but what was saved.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use uso_tests::rig::Rig;

use super::{Agent, Scene, picture, wish};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_is_small_and_only_on_request() {
    let scene = Scene::of(Rig::pictures_builder()).await;
    picture(&scene.cli.folder().join("large.png"), 1200, 800);
    let mut agent = scene.agent(&[]).await;
    let mut wish = wish("large");
    wish["content"] = json!("large.png");
    wish["size"] = json!("1200x800");
    agent.ok("buy", wish).await;
    agent.done("large").await;
    let plain = agent.call("result", json!({ "id": "large" })).await;
    assert_eq!(plain["content"].as_array().unwrap().len(), 1);
    let shown = agent
        .call("result", json!({ "id": "large", "preview": true }))
        .await;
    let block = &shown["content"][1];
    assert_eq!(block["mimeType"], "image/jpeg");
    let data = block["data"].as_str().unwrap();
    let bytes = BASE64_STANDARD.decode(data).unwrap();
    let preview = image::load_from_memory(&bytes).unwrap();
    assert_eq!((preview.width(), preview.height()), (512, 341));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_picture_has_no_preview_and_hides_nothing() {
    let document = uso_tests::rig::file("fixtures/endpoints/flux-schnell.json");
    let document = std::fs::read_to_string(document).unwrap();
    let mut scene = Scene::of(Rig::plain_builder().endpoint(&document).unwrap()).await;
    let state = scene.cli.folder().join("state");
    scene.cli = scene.cli.variable("USO_STATE_DIR", state.to_str().unwrap());
    let client = &scene.rig.client;
    let journal = uso_journal::Journal::open(state.join("journal.db")).unwrap();
    let flux = uso::endpoint::Endpoint::<Value, Value>::new(client, "fal-ai/flux/schnell");
    let order = flux
        .unwrap()
        .order(&json!({ "prompt": "a cat", "seed": 7 }));
    let order = journal.purchase_order(client, "agent/cat", order.unwrap());
    let bought = order.batch("agents", None).await.unwrap();
    assert_eq!(
        bought.pictures.len(),
        2,
        "a picture, and the result as JSON"
    );
    let mut agent = scene.agent(&[]).await;
    let wish = json!({ "id": "cat", "preview": true });
    let shown = agent.call("result", wish.clone()).await;
    assert_ne!(shown["isError"], true, "{shown}");
    let blocks = shown["content"].as_array().unwrap();
    let kinds = blocks.iter().map(|block| &block["type"]);
    assert_eq!(kinds.collect::<Vec<_>>(), ["text", "image"]);

    let picture = &bought.pictures[0].path;
    std::fs::write(picture, "a diary").unwrap();
    let shown = agent.call("result", wish).await;
    assert_eq!(shown["structuredContent"]["status"], "done", "{shown}");
    let line = shown["content"][1]["text"].as_str().unwrap();
    assert!(line.contains(picture.to_str().unwrap()), "{line}");
}

/// Asks for the preview of a purchase with one picture, which has none, and gives the line in its place.
async fn no_preview(agent: &mut Agent, label: &str) -> String {
    let wish = json!({ "id": label, "preview": true });
    let shown = agent.call("result", wish).await;
    assert_eq!(shown["structuredContent"]["status"], "done", "{shown}");
    let blocks = shown["content"].as_array().unwrap();
    assert_eq!(blocks.len(), 2, "{shown}");
    assert_eq!(blocks[1]["type"], "text", "{shown}");
    blocks[1]["text"].as_str().unwrap().to_owned()
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_took_the_place_of_a_saved_picture_is_not_shown() {
    let scene = Scene::plain().await;
    let outside = tempfile::tempdir().unwrap();
    let private = outside.path().join("private.png");
    picture(&private, 8, 8);
    let mut agent = scene.agent(&[]).await;
    agent.ok("buy", wish("shown")).await;
    let done = agent.done("shown").await;
    let saved = std::path::Path::new(done["pictures"][0]["path"].as_str().unwrap());
    let bytes = std::fs::read(saved).unwrap();
    let copy = outside.path().join("copy.png");
    std::fs::write(&copy, &bytes).unwrap();
    let mut same_length = std::fs::read(&private).unwrap();
    assert!(same_length.len() < bytes.len());
    same_length.resize(bytes.len(), 0);

    type Replacement<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let link = |to: &std::path::Path| std::os::unix::fs::symlink(to, saved).unwrap();
    let replacements: Vec<Replacement<'_>> = vec![
        ("a link to a picture outside", Box::new(|| link(&private))),
        ("a link to a copy", Box::new(|| link(&copy))),
        (
            "a picture of the same length",
            Box::new(|| std::fs::write(saved, &same_length).unwrap()),
        ),
        (
            "a longer file",
            Box::new(|| std::fs::write(saved, bytes.repeat(2)).unwrap()),
        ),
        (
            "a named pipe",
            Box::new(|| {
                let made = std::process::Command::new("mkfifo").arg(saved).status();
                assert!(made.unwrap().success());
            }),
        ),
        ("a device", Box::new(|| link("/dev/zero".as_ref()))),
        ("nothing", Box::new(|| {})),
    ];
    for (what, replace) in replacements {
        std::fs::remove_file(saved).unwrap_or_default();
        replace();
        let line = no_preview(&mut agent, "shown").await;
        assert!(line.contains(saved.to_str().unwrap()), "{what}: {line}");
    }

    std::fs::write(saved, &bytes).unwrap();
    let shown = agent
        .call("result", json!({ "id": "shown", "preview": true }))
        .await;
    assert_eq!(shown["content"][1]["type"], "image", "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_on_another_machine_has_no_preview_here() {
    let mut scene = Scene::plain().await;
    let state = scene.cli.folder().join("state");
    scene.cli = scene.cli.variable("USO_STATE_DIR", state.to_str().unwrap());
    let mut agent = scene.agent(&[]).await;
    agent.ok("buy", wish("moved")).await;
    agent.done("moved").await;
    let journal = rusqlite::Connection::open(state.join("journal.db")).unwrap();
    let sql = "UPDATE job SET pictures = json_set(pictures, '$[0].host', 'another-machine')";
    assert_eq!(journal.execute(sql, ()).unwrap(), 1);
    let line = no_preview(&mut agent, "moved").await;
    assert!(line.contains("another-machine"), "{line}");
}
