//! fal's own clients through the proxy: in Python, in Node, and on a page in a real browser.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use uso_emulator::{Emulator, Fault, Operation, PictureMode, Scenario};
use uso_proxy::{PROXY_PATH, Settings};
use uso_tests::rig::{Cli, Rig, file};

use super::{ALICE, ALICES_NAME, KEY, Served, input};
use crate::browser::Browser;
use crate::official::{javascript, python};

/// Longest time that one program may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// A small picture that the service can read.
fn picture() -> String {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(8, 8, image::Rgb([200, 60, 20]))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    base64::prelude::BASE64_STANDARD.encode(bytes.into_inner())
}

/// Lets the client be used in Node, and gives what came of it.
async fn plays(installation: &Path, served: &Served, name: &str) -> Value {
    let settings = json!({
        "proxy": format!("http://{}{PROXY_PATH}", served.address),
        "bearer": ALICE,
        "input": input(1),
        "picture": picture(),
    });
    let running = Command::new("node")
        .arg(file("official/proxied-node.mjs"))
        .arg(installation)
        .args([name, &settings.to_string()])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, running)
        .await
        .unwrap()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_client_works_through_the_proxy() {
    let Some(client) = javascript("the_javascript_client_works_through_the_proxy") else {
        return;
    };
    let builder = Emulator::builder()
        .picture(PictureMode::Restyled)
        .inference_time(Duration::from_millis(100));
    let served = Served::of(builder).await;
    let uploaded = plays(client, &served, "upload").await;
    let url = uploaded["url"].as_str().unwrap();
    assert!(url.starts_with(&served.emulator.origin()), "{uploaded}");
    let data = &uploaded["value"]["data"];
    assert_eq!(data["seed"], 1, "{uploaded}");
    assert_eq!(data["images"][0]["width"], 96);
    assert_eq!(
        uploaded["updates"].as_array().unwrap().last().unwrap(),
        "COMPLETED"
    );
    let ledger = served.emulator.ledger();
    let purchase = &ledger.purchases()[0];
    assert_eq!(purchase.input["input_image_urls"], json!([url]));
    assert_eq!(uploaded["value"]["requestId"], purchase.request_id);

    for (name, status) in [("webhook", 400), ("other", 400)] {
        let refused = plays(client, &served, name).await;
        assert_eq!(refused["error"]["status"], status, "{refused}");
    }
    assert_eq!(served.emulator.ledger().purchases().len(), 1);
}

/// Alone it buys twice here, as a test of the emulator shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_client_buys_once_through_the_proxy() {
    let Some(client) = javascript("the_javascript_client_buys_once_through_the_proxy") else {
        return;
    };
    for fault in [Fault::AcceptThenDrop, Fault::AcceptThenGatewayPage(504)] {
        let again = fault.clone();
        let scenario = Scenario::new()
            .on(Operation::Submit, fault)
            .on(Operation::Run, again);
        let served = Served::configured(
            Rig::plain_builder().scenario(scenario),
            |config| config,
            Settings::allow_run,
        )
        .await;
        for (bought, name) in [(1, "polling"), (2, "run")] {
            let outcome = plays(client, &served, name).await;
            assert_eq!(outcome["error"]["status"], 409, "{name}: {outcome}");
            let purchases = served.emulator.ledger().purchases().len();
            assert_eq!(purchases, bought, "{name}");
        }
    }
}

/// The Python client repeats a submit on 409, which is how the proxy refuses a repeated purchase.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_buys_once_through_the_proxy_and_ends_with_the_reason() {
    let test = "the_python_client_buys_once_through_the_proxy_and_ends_with_the_reason";
    let Some(python) = python(test) else {
        return;
    };
    for (fault, first) in [
        (Fault::AcceptThenGatewayPage(504), 504),
        (Fault::AcceptThenDrop, 502),
        (Fault::AcceptThenStatus(409), 409),
    ] {
        let scenario = Scenario::new().on(Operation::Submit, fault.clone());
        let served = Served::of(Rig::plain_builder().scenario(scenario)).await;
        let settings = json!({
            "proxy": format!("http://{}{PROXY_PATH}", served.address),
            "bearer": ALICE,
            "input": input(1),
        });
        let running = Command::new(&python)
            .arg(file("official/proxied.py"))
            .arg(settings.to_string())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, running).await.unwrap();
        let output = output.unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{fault}: {complaint}");
        let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(outcome["attempts"][0], first, "{fault}: {outcome}");
        let error = &outcome["error"];
        if first == 502 {
            // The proxy's own 502 ends the client, which repeats those of load balancers alone.
            let detail = error["body"]["detail"].as_str().unwrap();
            assert!(detail.contains("may be billed"), "{outcome}");
        } else {
            assert_eq!(error["status"], 409, "{fault}: {outcome}");
            let detail = error["body"]["detail"].as_str().unwrap();
            assert!(detail.contains("the same input was"), "{outcome}");
        }
        assert_eq!(served.emulator.ledger().purchases().len(), 1, "{fault}");
    }
}

/// A program that is ended with the test, its lines, and its talk.
struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    talk: JoinHandle<String>,
}

impl Program {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = child.stderr.take().unwrap();
        // Read all the time: a full pipe would hold the program up.
        let talk = tokio::spawn(async move {
            let mut talk = String::new();
            stderr.read_to_string(&mut talk).await.unwrap();
            talk
        });
        Self { child, lines, talk }
    }

    async fn line(&mut self) -> Value {
        match tokio::time::timeout(PATIENCE, self.lines.next_line()).await {
            Ok(Ok(Some(line))) => serde_json::from_str(&line).unwrap(),
            ended => panic!("{ended:?}: {}", self.end().await),
        }
    }

    /// Ends it, and gives what it said.
    async fn end(&mut self) -> String {
        let _ = self.child.start_kill();
        (&mut self.talk).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_in_a_browser_never_sees_the_key() {
    const TEST: &str = "a_page_in_a_browser_never_sees_the_key";
    let Some(browser) = Browser::found(TEST) else {
        return;
    };
    let emulator = Emulator::builder()
        .picture(PictureMode::Restyled)
        .key(KEY)
        .concurrency(8)
        .inference_time(Duration::from_millis(100))
        .start()
        .await
        .unwrap();

    let home = tempfile::tempdir().unwrap();
    let mut page = Program::start(browser.script("browser.mjs", home.path()));
    let origin = page.line().await["page"].as_str().unwrap().to_owned();

    let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test"))
        .variable("USO_BASE_URL", &emulator.origin())
        .variable("FAL_KEY", KEY)
        .variable("USO_PROXY_TOKEN", ALICE);
    let arguments = ["--json", "-vv", "proxy", "--listen", "127.0.0.1:0"];
    let mut proxy = cli.command(&arguments);
    proxy.args(["--allow-origin", &origin]);
    let mut proxy = Program::start(proxy.into());
    let address = proxy.line().await["proxy"].as_str().unwrap().to_owned();

    let uses = [
        "polling",
        "streaming",
        "upload",
        "cancel",
        "refused",
        "run",
        "webhook",
        "other",
    ];
    let settings = json!({
        "proxy": address.strip_suffix(PROXY_PATH).unwrap(),
        "token": ALICE,
        "input": { "seed": 1, "prompt": "a lighthouse in ink", "image_size": { "width": 96, "height": 64 },
            "input_image_urls": [format!("data:image/png;base64,{}", picture())] },
        "picture": picture(),
        "uses": uses,
    });
    let stdin = page.child.stdin.as_mut().unwrap();
    stdin
        .write_all(format!("{settings}\n").as_bytes())
        .await
        .unwrap();
    let told = page.line().await;
    let outcome = &told["outcome"];

    for use_ in ["polling", "streaming", "upload", "with_the_session"] {
        let data = &outcome[use_]["value"]["data"];
        assert_eq!(data["seed"], 1, "{use_}: {}", outcome[use_]);
        let updates = outcome[use_]["updates"].as_array().unwrap();
        assert_eq!(updates.last().unwrap(), "COMPLETED", "{use_}");
    }
    assert_eq!(outcome["shown"], json!([96, 64]));
    let late = &outcome["cancel"]["error"];
    assert_eq!(
        (&late["status"], &late["body"]["status"]),
        (&json!(400), &json!("ALREADY_COMPLETED"))
    );
    let refused = &outcome["refused"]["error"];
    assert_eq!(refused["status"], 422, "{outcome}");
    assert_eq!(
        refused["body"]["detail"][0]["loc"],
        json!(["body", "num_inference_steps"])
    );
    assert!(refused["request_id"].is_string());
    for (use_, status) in [
        ("run", 400),
        ("webhook", 400),
        ("other", 400),
        ("unknown_caller", 401),
        ("before_the_session", 401),
    ] {
        assert_eq!(
            outcome[use_]["error"]["status"], status,
            "{use_}: {outcome}"
        );
    }
    assert_eq!(
        outcome["session"],
        json!([204, ""]),
        "the cookie is not the script's"
    );

    // What the browser's wire carried.
    let seen = told["seen"].as_array().unwrap();
    let is_to = |entry: &&Value, part: &str| entry["request"].as_str().unwrap().contains(part);
    assert!(
        seen.iter().filter(|entry| is_to(entry, PROXY_PATH)).count() > 20,
        "{}",
        seen.len()
    );
    assert!(seen.iter().any(|entry| {
        entry["body"]
            .as_str()
            .is_some_and(|body| body.contains("COMPLETED"))
    }));
    let put = seen
        .iter()
        .find(|entry| is_to(entry, "PUT ") && !is_to(entry, PROXY_PATH))
        .unwrap();
    assert_eq!(
        put["status"], 200,
        "the upload goes to the storage itself: {put}"
    );
    let wire = told.to_string();
    let talk = proxy.end().await;
    assert!(talk.contains("uso_proxy"), "{talk}");
    assert!(wire.contains(ALICE), "headers were looked at, too");
    let (id, secret) = KEY.split_once(':').unwrap();
    for hidden in [id, secret] {
        assert!(!wire.contains(hidden), "the browser saw {hidden}");
        assert!(!talk.contains(hidden), "the log has {hidden}");
    }
    assert!(
        !talk.contains(ALICE) && !talk.contains("a lighthouse in ink"),
        "{talk}"
    );

    // Two lines for each purchase, before and after it, and no more purchases than uses.
    let mut records = 0;
    while let Ok(Some(line)) = proxy.lines.next_line().await {
        let record: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(record["caller"], ALICES_NAME);
        records += 1;
    }
    // Polling, streaming, upload, cancel, refused, and the one with the session.
    assert_eq!(emulator.ledger().purchases().len(), 6);
    assert_eq!(records, 12);
    let requests = emulator.requests();
    let streams = requests
        .iter()
        .filter(|logged| logged.operation == "stream");
    assert_eq!(streams.count(), 2);
    for logged in requests {
        let has_key = !matches!(logged.operation, Operation::File | Operation::Preflight)
            && logged.path.starts_with("/queue");
        if has_key {
            assert!(logged.has_authorization, "{logged:?}");
            assert!(
                logged
                    .fal_headers
                    .contains(&"x-fal-client-proxy".to_owned()),
                "{logged:?}"
            );
            assert!(!logged.fal_headers.contains(&"x-fal-target-url".to_owned()));
        }
    }
}
