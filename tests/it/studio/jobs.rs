//! Jobs of the studio and of other processes, as the page lists and follows them.

use std::process::Stdio;

use serde_json::{Value, json};
use uso::Request;
use uso::endpoint::Endpoint;
use uso_emulator::{Fault, Operation, Scenario};
use uso_studio::Settings;
use uso_tests::rig::{Cli, Rig, content, file, style, until_async};

use super::Served;

const PROGRAM: &str = env!("CARGO_BIN_EXE_uso-under-test");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_follows_the_jobs_of_the_studio_before_and_keeps_the_token() {
    let builder = Rig::plain_builder().inference_time(std::time::Duration::from_secs(600));
    let served = Served::of(builder, Settings::new()).await;
    let draft = served.draft().await;
    let (_, job) = served.buy(1, &draft).await;
    let id = job["id"].clone();
    let token = served.token.clone();
    let (rig, folder) = served.stop().await;
    assert_eq!(
        rig.emulator.ledger().purchases().len(),
        1,
        "the submit was not cut off"
    );

    let served = Served::again(rig, folder, Settings::new()).await;
    assert_eq!(served.token, token);
    served
        .rig
        .emulator
        .advance(std::time::Duration::from_secs(600));
    let done = served.until(&id, "done").await;
    assert_eq!(done["draft"]["content"], draft["content"]);
    assert_eq!(served.rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_followed_however_many_newer_rows_of_others_are_open() {
    let rig = Rig::plain().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal.db");
    let journal = uso_journal::Journal::open(&file).unwrap();
    let request = Request::restyle(content(), style());
    let bought = journal.purchase(&rig.client, "studio/0123456789abcdef", request);
    let id = bought.detach(true).await.unwrap().id.to_string();
    drop(journal);
    let database = rusqlite::Connection::open(&file).unwrap();
    super::copy_rows(&database, 1_001);
    drop(database);

    let served = Served::again(rig, folder, Settings::new()).await;
    served.until(&json!(id), "done").await;
    assert_eq!(served.rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_purchase_has_its_verbs_and_is_never_bought_again_unasked() {
    let scenario = Scenario::new().on(Operation::Submit, Fault::Drop);
    let builder = Rig::plain_builder().scenario(scenario);
    let rig = Rig::configured(builder, uso::Config::without_reconciliation).await;
    let folder = tempfile::tempdir().unwrap();
    let served = Served::again(rig, folder, Settings::new()).await;
    let draft = served.draft().await;
    let (_, job) = served.buy(1, &draft).await;
    let job = served.until(&job["id"], "unknown").await;
    assert_eq!(job["can"], json!(["reconcile", "write_off"]), "{job}");
    let verb = |verb: &str| format!("/api/jobs/{}/verbs/{verb}", job["id"].as_str().unwrap());
    let retry = json!({ "attempt": 1, "at_most": 100_000 });
    let (_, again) = served.post(&verb("retry"), &retry).await;
    assert_eq!(again["job"]["state"], "unknown", "{again}");
    assert!(served.rig.emulator.ledger().purchases().is_empty());
    // The studio may be looking it up at this moment.
    let off = loop {
        match served
            .post(&verb("write_off"), &json!({ "seen": "unknown" }))
            .await
        {
            (409, busy) if busy["error"]["code"] == "busy" => tokio::task::yield_now().await,
            (status, off) => break (status, off),
        }
    };
    assert_eq!(
        (off.0, off.1["job"]["state"].as_str()),
        (200, Some("failed")),
        "{off:?}"
    );
    let (status, again) = served.post(&verb("retry"), &retry).await;
    assert_eq!(status, 200, "{again}");
    let done = served.until(&job["id"], "done").await;
    assert_eq!(done["attempt"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_job_is_cancelled_and_its_place_is_told() {
    let builder = Rig::plain_builder()
        .inference_time(std::time::Duration::from_secs(600))
        .concurrency(1);
    let served = Served::of(builder, Settings::new()).await;
    let draft = served.draft().await;
    assert_eq!(served.buy(1, &draft).await.0, 201);
    served.running("j1").await;
    let (_, second) = served.buy(2, &draft).await;
    let id = second["id"].as_str().unwrap();
    let path = format!("/api/jobs/{id}");
    let is_queued = async || !served.get(&path).await["live"]["position"].is_null();
    until_async("the place in the queue", is_queued).await;
    let (status, told) = served
        .post(&format!("{path}/verbs/cancel"), &json!({}))
        .await;
    assert_eq!(
        (status, told["outcome"].as_str()),
        (200, Some("removed")),
        "{told}"
    );
    let cancels = served.rig.operations().into_iter();
    assert_eq!(cancels.filter(|name| name == "cancel").count(), 1);
}

/// The journal holds orders of other endpoints, whose files may be of any type.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_another_endpoint_shows_its_pictures_and_can_be_followed_by_every_command() {
    let flux = std::fs::read_to_string(file("fixtures/endpoints/flux-schnell.json")).unwrap();
    let builder = Rig::plain_builder().endpoint(&flux).unwrap();
    let served = Served::of(builder, Settings::new()).await;
    let place = served.folder.path().join("journal.db");
    let journal = uso_journal::Journal::open(&place).unwrap();
    let client = &served.rig.client;
    let flux = Endpoint::<Value, Value>::new(client, "fal-ai/flux/schnell").unwrap();
    let order = flux
        .order(&json!({ "prompt": "a cat", "seed": 7 }))
        .unwrap();
    let bought = journal
        .purchase_order(client, "cat", order)
        .detach(true)
        .await;
    let id = bought.unwrap().id.to_string();

    let cli = Cli::new(PROGRAM)
        .at(&served.rig.emulator.origin())
        .variable("USO_JOURNAL", place.to_str().unwrap());
    let resumed = cli.run(&["resume", &id]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    let listed = cli.run(&["list"]);
    assert!(listed.stdout.contains(&id), "{listed:?}");
    let job = served.get(&format!("/api/jobs/{id}")).await;
    assert_eq!(
        (&job["state"], &job["draft"]),
        (&json!("done"), &Value::Null)
    );
    let pictures = job["pictures"].as_array().unwrap();
    assert_eq!(pictures.len(), 1, "the result itself is no picture: {job}");
    let picture = served.read(&format!("/api/jobs/{id}/pictures/1")).await;
    assert_eq!(picture.headers()["content-type"], "image/png");
    assert_eq!(
        served
            .read(&format!("/api/jobs/{id}/pictures/2"))
            .await
            .status(),
        404
    );
    assert_eq!(served.rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_another_process_shows_its_log_and_that_it_was_asked_to_cancel() {
    let hour = std::time::Duration::from_secs(3600);
    let served = Served::of(Rig::plain_builder().inference_time(hour), Settings::new()).await;
    let journal = served.folder.path().join("journal.db");
    let cli = Cli::new(PROGRAM)
        .at(&served.rig.emulator.origin())
        .variable("USO_JOURNAL", journal.to_str().unwrap());
    let (content, style) = (content(), style());
    let arguments = [
        "restyle",
        content.to_str().unwrap(),
        style.to_str().unwrap(),
    ];
    let mut other = tokio::process::Command::from(cli.command(&arguments))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();

    served.rig.emulator.when_running().await;
    // The row exists before the submit leaves.
    served.running("j1").await;
    let has_log = async || {
        let job = served.get("/api/jobs/j1").await;
        let log = job["live"]["log"].as_array();
        log.is_some_and(|log| !log.is_empty())
    };
    until_async("the log", has_log).await;
    let job = served.get("/api/jobs/j1").await;
    assert_eq!(
        (&job["source"], &job["cancel_asked"]),
        (&json!("command line"), &json!(false))
    );
    assert_eq!(job["can"], json!(["cancel"]));

    let (status, told) = served.post("/api/jobs/j1/verbs/cancel", &json!({})).await;
    assert_eq!(
        (status, &told["outcome"]),
        (200, &json!("requested")),
        "{told}"
    );
    // The job still runs; every page is told at once that it was asked to end.
    let changes = served.get("/api/changes?tag=&since=0").await;
    let job = &changes["jobs"][0];
    assert_eq!(
        (&job["state"], &job["cancel_asked"]),
        (&json!("submitted"), &json!(true))
    );
    assert_eq!(job["can"], json!([]));

    served.rig.emulator.advance(hour);
    assert!(
        other.wait().await.unwrap().success(),
        "its own process collects it"
    );
    served.until(&json!("j1"), "done").await;
    assert_eq!(served.rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_found_by_words_and_in_pages() {
    let served = Served::plain().await;
    let content = served.picture(&content()).await;
    for at in 0..25 {
        let prompt = format!("Picture {at} of a <b>lighthouse</b>");
        let draft = json!({
            "mode": "reimagine", "content": content, "size": "square", "seed": at.to_string(), "prompt": prompt,
        });
        // The bill is less than what was reserved, so that the budget suffices.
        let (status, job) = served.buy(at, &draft).await;
        assert_eq!(status, 201, "{job}");
        served.until(&job["id"], "done").await;
    }
    let all = served.get("/api/jobs").await;
    assert_eq!(all["jobs"].as_array().unwrap().len(), 25);
    assert!(all["next"].is_null());
    let page = served.get("/api/jobs?before=j3").await;
    assert_eq!(page["jobs"].as_array().unwrap().len(), 2);
    for (query, count) in [
        ("LIGHTHOUSE", 25),
        ("lighthouse%2017", 1),
        ("j25", 1),
        ("fox", 0),
        ("%3Cb%3E", 25),
    ] {
        let found = served.get(&format!("/api/jobs?q={query}")).await;
        assert_eq!(found["jobs"].as_array().unwrap().len(), count, "{query}");
    }
    let failed = served.get("/api/jobs?state=failed").await;
    assert!(failed["jobs"].as_array().unwrap().is_empty());
}
