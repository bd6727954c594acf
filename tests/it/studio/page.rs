//! What the page calls: prices, purchases and pictures.

use serde_json::json;
use uso::MicroDollars;
use uso_studio::Settings;
use uso_tests::rig::{Rig, content, style};

use super::Served;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_priced_bought_followed_and_shown() {
    let served = Served::plain().await;
    let draft = served.draft().await;
    let (status, quote) = served.post("/api/quote", &draft).await;
    assert_eq!(status, 200, "{quote}");
    assert_eq!(quote["size"], json!([512, 512]));
    assert_eq!(
        (quote["price"].as_u64(), quote["at_most"].as_u64()),
        (Some(26_215), Some(100_000))
    );
    assert!(quote["pictures"]["content"]["width"].is_u64(), "{quote}");

    let (status, job) = served.buy(1, &draft).await;
    assert_eq!(status, 201, "{job}");
    let done = served.until(&job["id"], "done").await;
    assert_eq!(
        (done["seed"].as_str(), done["source"].as_str()),
        (Some("7"), Some("studio"))
    );
    let mut expected = draft.clone();
    expected["prompt"] = json!("");
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&done["draft"][name], value, "{name}");
    }
    assert!(done["billed"].as_u64().is_some(), "{done}");

    let id = done["id"].as_str().unwrap();
    let picture = served.read(&format!("/api/jobs/{id}/pictures/1")).await;
    assert_eq!(picture.headers()["content-type"], "image/png");
    assert_eq!(&picture.bytes().await.unwrap()[1..4], b"PNG");
    let before = served.read(&format!("/api/jobs/{id}/content")).await;
    assert_eq!(
        before.bytes().await.unwrap(),
        std::fs::read(content()).unwrap()
    );

    let changes = served.get("/api/changes").await;
    assert_eq!(changes["jobs"], json!([done]));
    assert_eq!(changes["budget"]["committed"], done["billed"]);

    // A result becomes an input.
    let (status, taken) = served
        .post(&format!("/api/jobs/{id}/pictures/1"), &json!({}))
        .await;
    assert_eq!(status, 201, "{taken}");
    let mut again = draft.clone();
    again["content"] = json!({ "picture": taken["picture"] });
    let (status, job) = served.buy(2, &again).await;
    assert_eq!(status, 201, "{job}");
    served.until(&job["id"], "done").await;
    assert_eq!(served.rig.emulator.ledger().purchases().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_press_buys_once_however_often_it_is_sent() {
    let served = Served::plain().await;
    let draft = served.draft().await;
    let presses = (0..20).map(|_| served.buy(7, &draft));
    for (status, job) in futures_util::future::join_all(presses).await {
        assert_eq!((status, job["id"].as_str()), (201, Some("j1")), "{job}");
    }
    served.until(&json!("j1"), "done").await;
    assert_eq!(served.rig.emulator.ledger().purchases().len(), 1);

    let mut other = draft.clone();
    other["seed"] = json!("8");
    let (status, refused) = served.buy(7, &other).await;
    assert_eq!(
        (status, refused["error"]["code"].as_str()),
        (409, Some("conflict"))
    );
    assert_eq!(served.rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_the_budget_nor_the_shown_price_is_exceeded() {
    // Each picture of 512 by 512 reserves $0.10, and is billed less.
    let settings = Settings::new().budget(MicroDollars::new(150_000));
    let builder = Rig::plain_builder().inference_time(std::time::Duration::from_secs(600));
    let served = Served::of(builder, settings).await;
    let draft = served.draft().await;
    let order = json!({ "key": format!("{:032x}", 1), "draft": draft, "at_most": 99_999 });
    let (status, refused) = served.post("/api/jobs", &order).await;
    assert_eq!(
        (status, refused["error"]["code"].as_str()),
        (409, Some("budget")),
        "{refused}"
    );

    assert_eq!(served.buy(2, &draft).await.0, 201);
    served.running("j1").await;
    let (status, refused) = served.buy(3, &draft).await;
    assert_eq!(
        (status, refused["error"]["code"].as_str()),
        (409, Some("budget")),
        "{refused}"
    );
    served
        .rig
        .emulator
        .advance(std::time::Duration::from_secs(600));
    served.until(&json!("j1"), "done").await;
    assert_eq!(served.buy(4, &draft).await.0, 201, "the bill made room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thumbnail_is_small_and_needs_the_cookie() {
    let served = Served::of(Rig::pictures_builder(), Settings::new()).await;
    let draft = served.draft().await;
    let (_, job) = served.buy(1, &draft).await;
    served.until(&job["id"], "done").await;
    let whole = served.read("/api/jobs/j1/pictures/1").await;
    let whole = whole.bytes().await.unwrap();
    assert_eq!(image::load_from_memory(&whole).unwrap().width(), 512);
    let mut lengths = Vec::new();
    for _ in 0..2 {
        let small = served.read("/api/jobs/j1/thumbnails/1").await;
        assert_eq!(small.status(), 200);
        assert_eq!(small.headers()["content-type"], "image/jpeg");
        let small = small.bytes().await.unwrap();
        let picture = image::load_from_memory(&small).unwrap();
        assert_eq!((picture.width(), picture.height()), (400, 400));
        lengths.push(small.len());
    }
    assert_eq!(lengths[0], lengths[1]);
    assert!(
        lengths[0] < 40_000 && lengths[0] * 4 < whole.len(),
        "{lengths:?} of {}",
        whole.len()
    );
    for missing in ["/api/jobs/j1/thumbnails/2", "/api/jobs/j9/thumbnails/1"] {
        assert_eq!(served.read(missing).await.status(), 404, "{missing}");
    }
    // Without the cookie nothing is shown.
    let stranger = served.bare("GET", "/api/jobs/j1/thumbnails/1").send().await;
    assert_eq!(stranger.unwrap().status(), 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_form_is_refused_by_its_field() {
    let served = Served::plain().await;
    let (content, style) = (
        served.picture(&content()).await,
        served.picture(&style()).await,
    );
    let gone = json!({ "picture": "ab".repeat(32) });
    let url = |url: &str| json!({ "url": url });
    let cases = [
        ("content", json!({ "mode": "restyle", "style": style })),
        ("style", json!({ "mode": "restyle", "content": content })),
        (
            "style",
            json!({ "mode": "reimagine", "content": content, "style": style, "prompt": "x" }),
        ),
        (
            "prompt",
            json!({ "mode": "reimagine", "content": content, "prompt": "  " }),
        ),
        (
            "prompt",
            json!({ "mode": "restyle", "content": content, "style": style, "prompt": "x" }),
        ),
        (
            "size",
            json!({ "mode": "reimagine", "content": content, "prompt": "x", "size": "keep" }),
        ),
        (
            "size",
            json!({ "mode": "restyle_by_text", "content": content, "prompt": "x", "size": "square" }),
        ),
        (
            "size",
            json!({ "mode": "restyle", "content": content, "style": style, "size": "vast" }),
        ),
        (
            "size",
            json!({ "mode": "restyle", "content": content, "style": style, "size": { "width": 0, "height": 9 } }),
        ),
        (
            "images",
            json!({ "mode": "restyle", "content": content, "style": style, "images": 5 }),
        ),
        (
            "steps",
            json!({ "mode": "restyle", "content": content, "style": style, "steps": 51 }),
        ),
        (
            "guidance",
            json!({ "mode": "restyle", "content": content, "style": style, "guidance": 0.5 }),
        ),
        (
            "seed",
            json!({ "mode": "restyle", "content": content, "style": style, "seed": "18446744073709551616" }),
        ),
        (
            "format",
            json!({ "mode": "restyle", "content": content, "style": style, "format": "bmp" }),
        ),
        (
            "content",
            json!({ "mode": "restyle", "content": gone, "style": style }),
        ),
        (
            "content",
            json!({ "mode": "restyle", "content": { "picture": "../token" }, "style": style }),
        ),
        (
            "content",
            json!({ "mode": "restyle", "content": url("/etc/passwd"), "style": style }),
        ),
        (
            "content",
            json!({ "mode": "restyle", "content": url("file:///etc/passwd"), "style": style }),
        ),
        (
            "style",
            json!({ "mode": "restyle", "content": content, "style": url("data:image/png;base64,AA") }),
        ),
        (
            "content",
            json!({ "mode": "restyle", "content": url("https://"), "style": style }),
        ),
    ];
    for (key, (field, draft)) in cases.into_iter().enumerate() {
        for (status, refused) in [
            served.post("/api/quote", &draft).await,
            served.buy(key as u128, &draft).await,
        ] {
            assert_eq!(status, 422, "{draft}: {refused}");
            assert_eq!(
                refused["error"]["problems"][0]["field"], field,
                "{draft}: {refused}"
            );
        }
    }
    assert!(served.rig.emulator.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_whole_picture_is_refused_and_not_kept() {
    let served = Served::plain().await;
    let whole = std::fs::read(content()).unwrap();
    let cut = whole[..whole.len() / 2].to_vec();
    for (bytes, expected) in [
        (b"<svg onload=alert(1)>".to_vec(), 415),
        (b"GIF89a".to_vec(), 422),
        (cut, 422),
        (Vec::new(), 415),
    ] {
        let request = served
            .changing("/api/pictures")
            .header("content-type", "image/png");
        let response = request.body(bytes).send().await.unwrap();
        assert_eq!(response.status(), expected);
        let text = response.text().await.unwrap();
        assert!(
            !text.contains(served.folder.path().to_str().unwrap()),
            "{text}"
        );
    }
    let kept = std::fs::read_dir(served.folder.path().join("studio/pictures")).unwrap();
    assert_eq!(kept.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_response_holds_the_key_or_a_path_and_the_files_are_private() {
    let served = Served::plain().await;
    let draft = served.draft().await;
    let (_, job) = served.buy(1, &draft).await;
    served.until(&job["id"], "done").await;
    let folder = served.folder.path().to_str().unwrap().to_owned();
    for path in [
        "/",
        "/app.js",
        "/api/options",
        "/api/jobs",
        "/api/jobs/j1",
        "/api/changes",
        "/api/nothing",
    ] {
        let response = served.read(path).await;
        let headers = format!("{:?}", response.headers());
        let text = headers + &response.text().await.unwrap();
        for secret in [
            "test-secret",
            "test-id",
            folder.as_str(),
            served.token.as_str(),
        ] {
            assert!(!text.contains(secret), "{path} holds {secret}");
        }
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let studio = served.folder.path().join("studio");
        let mode =
            |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&studio), 0o700);
        assert_eq!(mode(&studio.join("token")), 0o600);
        let pictures: Vec<_> = std::fs::read_dir(studio.join("pictures"))
            .unwrap()
            .flatten()
            .collect();
        assert_eq!(pictures.len(), 2);
        for picture in pictures {
            assert_eq!(mode(&picture.path()), 0o600);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_small_and_names_no_other_host() {
    let served = Served::plain().await;
    let mut all = String::new();
    for path in ["/", "/app.js", "/app.css", "/icon.svg"] {
        let response = served.bare("GET", path).send().await.unwrap();
        let policy = response.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'")
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        all += &response.text().await.unwrap();
    }
    assert!(all.len() < 100_000, "{} bytes", all.len());
    for sink in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        " style=\"",
        "<script>",
    ] {
        assert!(!all.contains(sink), "{sink}");
    }
    let elsewhere = all.matches("://").count() - all.matches("http://www.w3.org/2000/svg").count();
    let placeholders = all.matches("https://…").count();
    let patterns = all.matches("https?:\\/\\/").count();
    assert_eq!(elsewhere, placeholders, "{patterns} patterns");
}
