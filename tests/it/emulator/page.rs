//! The emulator's own page: as a program sees it, and in Chromium.

use std::time::Duration;

use http::Method;
use serde_json::json;
use uso::{ImageSizePreset, Request};
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Rig, content, style, until};

use super::{Fal, answer, input, plain};
use crate::browser::Browser;

/// How long a job takes on the emulator's clock.
const HOUR: Duration = Duration::from_secs(3600);

const HOSTILE: &str = "</script><script>window.hacked = true</script><b>bold</b>\
    <img src=x onerror=window.hacked=true>";

#[tokio::test]
async fn the_live_tables_are_bounded_and_do_not_log_themselves() {
    let fal = Fal::start(plain()).await;
    let mut long = input();
    long["prompt"] = "long ".repeat(10_000).into();
    for _ in 0..210 {
        fal.submit(&long).await;
    }
    for table in ["jobs", "requests", "ledger"] {
        let live = fal.get(&format!("/emulator/live?table={table}")).await;
        assert!(live.bytes.len() < 400_000, "{table}: {}", live.bytes.len());
        let live = live.json();
        assert_eq!(live["rows"].as_array().unwrap().len(), 200, "{table}");
        assert_eq!(
            (&live["accepted"], &live["requests"]),
            (&210.into(), &210.into())
        );
    }
    let newest = fal.emulator.ledger().purchases()[209].request_id.clone();
    for table in ["jobs", "ledger"] {
        let live = fal
            .get(&format!("/emulator/live?table={table}"))
            .await
            .json();
        assert_eq!(live["rows"][0]["request_id"], newest.as_str(), "{table}");
    }
    let empty = fal.get("/emulator/live?table=webhooks").await.json();
    assert_eq!(
        (&empty["rows"], &empty["webhooks"]),
        (&json!([]), &0.into())
    );
    assert_eq!(fal.get("/emulator/live?table=other").await.status, 404);
    assert_eq!(fal.emulator.requests().len(), 210);
}

#[tokio::test]
async fn the_page_runs_its_own_script_alone_and_shows_pictures_alone() {
    let fal = Fal::start(plain()).await;
    for (path, kind) in [
        ("/emulator", "text/html; charset=utf-8"),
        ("/emulator/page.js", "text/javascript; charset=utf-8"),
        ("/emulator/page.css", "text/css; charset=utf-8"),
        ("/emulator/live?table=jobs", "application/json"),
    ] {
        let got = fal.get(path).await;
        assert_eq!((got.status, got.header("content-type")), (200, Some(kind)));
        let policy = got.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains("http"),
            "{policy}"
        );
        assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
        let foreign = fal.request(Method::GET, path);
        let foreign = answer(foreign.header("host", "evil.example"))
            .await
            .unwrap();
        assert_eq!(foreign.status, 403, "{path} under a foreign name");
    }
    let page = fal.get("/emulator").await.bytes;
    let page = String::from_utf8(page).unwrap();
    assert!(!page.contains("<script>") && !page.contains("style=") && !page.contains("onclick"));

    let upload = async |kind: &str| {
        let body = json!({ "content_type": kind, "file_name": "a" });
        let asked = fal
            .post(
                "/rest/storage/upload/initiate?storage_type=fal-cdn-v3",
                &body,
            )
            .await
            .json();
        let put = fal.request(Method::PUT, asked["upload_url"].as_str().unwrap());
        let put = answer(put.header("content-type", kind).body("bytes"))
            .await
            .unwrap();
        assert_eq!(put.status, 200);
        let url = asked["file_url"].as_str().unwrap();
        url.split_once("/cdn").unwrap().1.to_owned()
    };
    for (kind, status) in [
        ("image/png", 200),
        ("image/svg+xml", 404),
        ("text/html", 404),
    ] {
        let path = format!("/emulator{}", upload(kind).await);
        assert_eq!(fal.get(&path).await.status, status, "{kind}");
    }
    assert_eq!(fal.get("/emulator/files/b/none/none.png").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_watches_jobs_pictures_requests_ledger_and_webhooks() {
    const TEST: &str = "a_person_watches_jobs_pictures_requests_ledger_and_webhooks";
    let failure = Fault::FailsWith {
        status: 500,
        error_type: "internal_error".to_owned(),
    };
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::Status(429))
        .on(Operation::Submit, failure)
        .after(1);
    let builder = Rig::pictures_builder().inference_time(HOUR).concurrency(1);
    let rig = Rig::of(builder.scenario(scenario)).await;
    let request = |prompt: &str| {
        Request::styled_scene(content(), style(), prompt).size(ImageSizePreset::Square)
    };
    // One job is done, one has failed, one runs and one waits.
    let hostile = request(HOSTILE).webhook("http://127.0.0.1:9/hook");
    let done = rig.client.submit(hostile).await.unwrap();
    rig.emulator.when_running().await;
    rig.emulator.advance(HOUR);
    done.wait().await.unwrap();
    let failed = rig.client.submit(request("fails")).await.unwrap();
    rig.emulator.when_started(failed.request_id()).await;
    rig.emulator.advance(HOUR);
    failed.wait().await.unwrap_err();
    rig.client.submit(request("runs")).await.unwrap();
    rig.client.submit(request("waits")).await.unwrap();
    until("a notification", || {
        !rig.emulator.webhook_attempts().is_empty()
    })
    .await;

    let Some(browser) = Browser::found(TEST) else {
        return;
    };
    let seen = browser.saw("emulator.mjs", rig.emulator.origin()).await;
    assert_eq!(seen["errors"], json!([]), "{seen:#}");
    assert_eq!(seen["dialogs"], 0);
    for request in seen["requests"].as_array().unwrap() {
        let request = request.as_str().unwrap();
        assert!(request.starts_with(&rig.emulator.origin()), "{request}");
    }
    let visits = seen["visits"].as_object().unwrap();
    assert_eq!(visits.len(), 4);
    for (name, visit) in visits {
        let row = |table: &str, from_the_end: usize| {
            let rows = visit["tables"][table]["rows"].as_array().unwrap();
            rows[rows.len() - from_the_end].as_str().unwrap().to_owned()
        };
        for (table, seen) in visit["tables"].as_object().unwrap() {
            assert_eq!(seen["focus"], format!("tab-{table}"), "{name}");
            assert_eq!(
                seen["outline"], "solid",
                "{name} {table}: the focus is seen"
            );
            assert_eq!(seen["overflow"], false, "{name} {table}");
            assert_eq!(
                (&seen["broken"], &seen["foreign"]),
                (&0.into(), &0.into()),
                "{name} {table}"
            );
        }
        // The content, the style and the picture of each job that has them.
        assert!(
            visit["tables"]["jobs"]["images"].as_u64().unwrap() >= 9,
            "{visit:#}"
        );
        assert!(
            row("jobs", 1).contains("done") && row("jobs", 1).contains(HOSTILE),
            "{}",
            row("jobs", 1)
        );
        assert!(row("jobs", 2).contains("failed") && row("jobs", 2).contains("500"));
        assert!(row("jobs", 3).contains("running"));
        assert!(row("jobs", 4).contains("0 ahead"));
        assert!(row("ledger", 1).contains("billed") && row("ledger", 1).contains("$0.02"));
        assert!(row("ledger", 2).contains("free"));
        let requests = visit["tables"]["requests"]["rows"].to_string();
        assert!(
            requests.contains("status") && requests.contains("429"),
            "{requests}"
        );
        assert!(row("webhooks", 1).contains("unreachable"));
        assert!(visit["sums"].as_str().unwrap().contains("1 running"));
        assert_eq!(visit["hacked"], false);
        assert_eq!(
            (&visit["found"], &visit["empty"]),
            (&0.into(), &"No row has these words.".into())
        );
        let (width, scheme) = name.split_once('-').unwrap();
        let first = visit["first"].as_str().unwrap();
        assert!(
            first.contains(&format!("job of {width} {scheme}")),
            "{first}"
        );
        assert_eq!(visit["open"], 1, "an opened row stays open");
    }
    assert_ne!(
        visits["360-light"]["background"],
        visits["360-dark"]["background"]
    );
}
