//! "Buy again" of the page: a new attempt at a job that has ended, made once.

use serde_json::{Value, json};
use uso_emulator::{Fault, Operation, Scenario};
use uso_studio::Settings;
use uso_tests::rig::{Rig, until_async};

use super::Served;

/// Presses "Buy again" for an attempt.
async fn again(served: &Served, id: &Value, attempt: u32, at_most: u64) -> (u16, Value) {
    let path = format!("/api/jobs/{}/verbs/retry", id.as_str().unwrap());
    let order = json!({ "attempt": attempt, "at_most": at_most });
    served.post(&path, &order).await
}

/// A bought job whose response was lost and that was written off, at this cap of the session.
async fn written_off(settings: Settings) -> (Served, Value) {
    let scenario = Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop);
    let builder = Rig::plain_builder().scenario(scenario);
    let rig = Rig::configured(builder, uso::Config::without_reconciliation).await;
    let served = Served::again(rig, tempfile::tempdir().unwrap(), settings).await;
    let draft = served.draft().await;
    let (_, job) = served.buy(1, &draft).await;
    served.until(&job["id"], "unknown").await;
    let path = format!("/api/jobs/{}/verbs/write_off", job["id"].as_str().unwrap());
    // The studio may be looking it up at this moment.
    let is_written_off = async || served.post(&path, &json!({ "seen": "unknown" })).await.0 != 409;
    until_async("the job is free to be written off", is_written_off).await;
    let job = served.until(&job["id"], "failed").await;
    assert_eq!(job["can"], json!(["retry", "reopen"]), "{job}");
    (served, job)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_attempt_leaves_the_way_back_to_the_paid_job() {
    let (served, job) = written_off(Settings::new()).await;
    let id = &job["id"];
    let (status, refused) = again(&served, id, 1, 1).await;
    assert_eq!(
        (status, refused["error"]["code"].as_str()),
        (409, Some("budget")),
        "{refused}"
    );
    let path = format!("/api/jobs/{}", id.as_str().unwrap());
    assert_eq!(served.get(&path).await, job);
    let (status, reopened) = served
        .post(&format!("{path}/verbs/reopen"), &json!({}))
        .await;
    assert_eq!(
        (status, reopened["job"]["state"].as_str()),
        (200, Some("unknown")),
        "{reopened}"
    );
    assert_eq!(served.rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_without_its_pictures_leaves_the_way_back_to_the_paid_job() {
    let (served, job) = written_off(Settings::new()).await;
    for picture in std::fs::read_dir(served.folder.path().join("studio/pictures")).unwrap() {
        std::fs::remove_file(picture.unwrap().path()).unwrap();
    }
    let (status, refused) = again(&served, &job["id"], 1, 1_000_000).await;
    assert_eq!(status, 422, "{refused}");
    let path = format!("/api/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(served.get(&path).await["can"], job["can"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_is_asked_for_twice_is_made_once() {
    let fails = Fault::FailsWith {
        status: 500,
        error_type: "internal_error".to_owned(),
    };
    let scenario = Scenario::new().on(Operation::Submit, fails).always();
    let served = Served::of(Rig::plain_builder().scenario(scenario), Settings::new()).await;
    let draft = served.draft().await;
    let (_, job) = served.buy(1, &draft).await;
    served.until(&job["id"], "failed").await;
    for _ in 0..3 {
        let (status, told) = again(&served, &job["id"], 1, 1_000_000).await;
        assert_eq!(status, 200, "{told}");
        assert_eq!(told["job"]["attempt"], 2, "{told}");
        served.until(&job["id"], "failed").await;
        assert_eq!(served.rig.emulator.ledger().purchases().len(), 2);
    }
    let (status, told) = again(&served, &job["id"], 2, 1_000_000).await;
    assert_eq!(
        (status, told["job"]["attempt"].as_u64()),
        (200, Some(3)),
        "{told}"
    );
    served.until(&job["id"], "failed").await;
    assert_eq!(served.rig.emulator.ledger().purchases().len(), 3);
    // A page that does not say which attempt it showed buys nothing.
    let path = format!("/api/jobs/{}/verbs/retry", job["id"].as_str().unwrap());
    let (status, _) = served.post(&path, &json!({ "at_most": 1_000_000 })).await;
    assert_eq!(status, 400);
    assert_eq!(served.rig.emulator.ledger().purchases().len(), 3);
}
