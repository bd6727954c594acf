//! fal's own clients, as published and unmodified, against the emulator: what they do here is what
//! they do at fal, so that a test of our client against it means something.
//!
//! They are reached by what they offer: host variables, a request middleware, and an authority
//! whose certificate they are told to trust. The programs that use them are in `tests/official`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use uso::Request;
use uso_emulator::{Billing, Emulator, EmulatorBuilder, Fault, Operation, PictureMode, Scenario};
use uso_tests::rig::{self, Rig, skipped};

/// Longest time that one program may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// An emulator that speaks HTTPS, and what its callers need to reach it.
struct Service {
    emulator: Emulator,
    folder: tempfile::TempDir,
    key: &'static str,
}

impl Service {
    /// With a certificate by an authority, as Python from 3.13 on accepts no other.
    async fn start(builder: EmulatorBuilder) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // Two certificates of one name would count as one that signed itself.
        authority
            .distinguished_name
            .push(DnType::CommonName, "authority of a test");
        let authority_key = KeyPair::generate().unwrap();
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        let names = ["127.0.0.1", "rest.fal.ai", "v3.fal.media", "v3b.fal.media"];
        let mut params = CertificateParams::new(names.map(str::to_owned)).unwrap();
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();

        let emulator = builder
            .tls(certificate.into_bytes(), key.serialize_pem().into_bytes())
            .start()
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("authority.pem"), authority_pem).unwrap();
        Self {
            emulator,
            folder,
            key: "test-id:test-secret",
        }
    }

    /// With tiny plain pictures, whose references are not fetched.
    async fn plain(scenario: Scenario) -> Self {
        Self::start(Rig::plain_builder().scenario(scenario)).await
    }

    /// Every request so far, as words such as `submit`, repetitions in a row once.
    fn course(&self) -> Vec<String> {
        let requests = self.emulator.requests();
        let mut course: Vec<String> = requests
            .iter()
            .map(|request| request.operation.to_string())
            .collect();
        course.dedup();
        course
    }

    fn count(&self, operation: Operation) -> usize {
        let requests = self.emulator.requests();
        let operations = requests.iter().map(|request| request.operation);
        operations.filter(|seen| *seen == operation).count()
    }

    fn purchases(&self) -> usize {
        self.emulator.ledger().purchases().len()
    }
}

/// One of fal's clients, installed, with the program that uses it.
struct Official {
    program: PathBuf,
    arguments: Vec<PathBuf>,
}

impl Official {
    /// The JavaScript client; skips the test where it is missing.
    fn javascript(test: &str) -> Option<Self> {
        let folder = javascript(test)?;
        Some(Self {
            program: "node".into(),
            arguments: vec![source("client.mjs"), folder.to_owned()],
        })
    }

    /// The Python client; skips the test where it is missing.
    fn python(test: &str) -> Option<Self> {
        Some(Self {
            program: python(test)?,
            arguments: vec![source("client.py")],
        })
    }

    /// Lets it be used once, and gives what came of it. Time that the program asks for passes on
    /// the service's clock.
    async fn plays(&self, service: &Service, name: &str, input: &Value) -> Value {
        let host = service.emulator.addr();
        let authority = service.folder.path().join("authority.pem");
        let mut child = tokio::process::Command::new(&self.program)
            .args(&self.arguments)
            .args([name, &input.to_string()])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", service.folder.path())
            .env("FAL_KEY", service.key)
            .env("FAL_RUN_HOST", format!("{host}/run"))
            .env("FAL_QUEUE_RUN_HOST", format!("{host}/queue"))
            .env("FAL_REST_HOST", format!("{host}/rest"))
            .env("FAL_ADDRESS", host.to_string())
            .env("SSL_CERT_FILE", &authority)
            .env("NODE_EXTRA_CA_CERTS", &authority)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = child.stderr.take().unwrap();
        let mut complaint = String::new();
        let conversation = async {
            let mut outcome = None;
            while let Some(line) = lines.next_line().await.unwrap() {
                let mut said: Value = serde_json::from_str(&line).unwrap();
                match said["skip"].as_u64() {
                    Some(seconds) => {
                        service.emulator.advance(Duration::from_secs(seconds));
                        stdin.write_all(b"\n").await.unwrap();
                    }
                    None => outcome = Some(said["outcome"].take()),
                }
            }
            outcome
        };
        let ended = tokio::time::timeout(PATIENCE, async {
            let (outcome, _) = tokio::join!(conversation, stderr.read_to_string(&mut complaint));
            (outcome, child.wait().await.unwrap())
        });
        match ended.await {
            Ok((Some(outcome), status)) if status.success() => outcome,
            Ok((_, status)) => panic!("{name}: {status}: {complaint}"),
            Err(_) => panic!(
                "{name}: not ended after {PATIENCE:?}: {:?}",
                service.course()
            ),
        }
    }
}

/// Where the JavaScript client is installed; skips the test where it is missing.
pub(crate) fn javascript(test: &str) -> Option<&'static Path> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    found(test, INSTALLED.get_or_init(install_javascript)).map(PathBuf::as_path)
}

/// Where the official clients of the Model Context Protocol are installed; skips the test where they
/// are missing.
pub(crate) fn mcp_clients(test: &str) -> Option<&'static Path> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let pins = ["mcp/package.json", "mcp/package-lock.json"];
    let installed = INSTALLED.get_or_init(|| install_from_npm("mcp", pins));
    found(test, installed).map(PathBuf::as_path)
}

fn found<'a>(test: &str, installed: &'a Result<PathBuf, String>) -> Option<&'a PathBuf> {
    installed
        .as_ref()
        .map_err(|missing| skipped(&format!("official::{test}"), missing))
        .ok()
}

fn source(name: &str) -> PathBuf {
    rig::file("official").join(name)
}

fn install_javascript() -> Result<PathBuf, String> {
    install_from_npm("javascript", ["package.json", "package-lock.json"])
}

fn install_from_npm(name: &str, pins: [&str; 2]) -> Result<PathBuf, String> {
    let version = version("node")?;
    self::version("npm")?;
    install(name, &version, &pins, |folder| {
        for pin in pins {
            let pin = source(pin);
            std::fs::copy(&pin, folder.join(pin.file_name().unwrap())).unwrap();
        }
        let npm = [
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
            "--fetch-retries=1",
            "--fetch-timeout=60000",
        ];
        output(Command::new("npm").args(npm).current_dir(folder))
            .map_err(|why| format!("the packages of {} from npm's registry ({why})", pins[0]))
    })
}

/// The interpreter that has the Python client; skips the test where the client is not installed.
pub(crate) fn python(test: &str) -> Option<PathBuf> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = found(test, INSTALLED.get_or_init(install_python))?;
    Some(folder.join("bin/python"))
}

fn install_python() -> Result<PathBuf, String> {
    let version = version("python3")?;
    let pins = ["requirements.txt"];
    install("python", &version, &pins, |folder| {
        output(Command::new("python3").args(["-m", "venv"]).arg(folder))
            .map_err(|why| format!("python3 with its module venv ({why})"))?;
        let pip = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--retries=1",
            "--timeout=60",
            "-r",
        ];
        let mut python = Command::new(folder.join("bin/python"));
        output(python.args(pip).arg(source("requirements.txt")))
            .map_err(|why| format!("fal-client from PyPI ({why})"))
    })
}

/// Makes an installation in a folder under cargo's target directory, unless there is one of the
/// same pins by the same interpreter. What is missing is the error.
fn install(
    name: &str,
    interpreter: &str,
    pins: &[&str],
    fill: impl FnOnce(&Path) -> Result<String, String>,
) -> Result<PathBuf, String> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("official");
    std::fs::create_dir_all(&place).unwrap();
    // Another run of the tests may be at it. The lock falls with the file.
    let lock = File::create(place.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let mut wanted = interpreter.to_owned();
    for pin in pins {
        wanted += &std::fs::read_to_string(source(pin)).unwrap();
    }
    let folder = place.join(name);
    let stamp = folder.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(folder);
    }
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    fill(&folder)?;
    std::fs::write(&stamp, wanted).unwrap();
    Ok(folder)
}

fn version(program: &str) -> Result<String, String> {
    output(Command::new(program).arg("--version")).map_err(|_| program.to_owned())
}

/// What a program printed, or the first thing that it complained of.
fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let first = complaint
        .lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with("WARNING"));
    Err(first.unwrap_or("it failed").to_owned())
}

/// An input that needs no upload.
fn input() -> Value {
    json!({
        "input_image_urls": ["https://example.org/content.png"],
        "prompt": "a lighthouse in ink",
        "image_size": { "width": 96, "height": 64 },
        "seed": 8_123_456_789_u64,
    })
}

/// The same with a picture in it, which a client must pass on and the service must read.
fn input_with_picture() -> Value {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(8, 8, image::Rgb([200, 60, 20]))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    let data = base64::prelude::BASE64_STANDARD.encode(bytes.into_inner());
    let mut input = input();
    input["input_image_urls"] = json!([format!("data:image/png;base64,{data}")]);
    input
}

fn words(updates: &Value) -> Vec<&str> {
    let updates = updates.as_array().unwrap();
    let mut words: Vec<&str> = updates
        .iter()
        .map(|update| update["status"].as_str().unwrap())
        .collect();
    words.dedup();
    words
}

/// Subscribes in one of a client's modes, from start to picture, and gives the log lines that the
/// caller had seen in the end.
async fn subscribes(client: &Official, mode: &str, course: &[&str]) -> Vec<Value> {
    let builder = Emulator::builder()
        .picture(PictureMode::Restyled)
        .inference_time(Duration::from_secs(600));
    let service = Service::start(builder).await;
    let input = input_with_picture();
    let outcome = client.plays(&service, mode, &input).await;

    let ledger = service.emulator.ledger();
    let [purchase] = ledger.purchases() else {
        panic!("one purchase: {ledger:?}");
    };
    assert_eq!(purchase.input, input, "it arrives as it was given");
    assert_eq!(purchase.billing, Billing::Billed);
    // The JavaScript client hands out the request id beside the data.
    let value = &outcome["value"];
    let data = value.get("data").unwrap_or(value);
    if let Some(request_id) = value.get("requestId") {
        assert_eq!(*request_id, purchase.request_id);
    }
    assert_eq!(data["seed"], input["seed"]);
    assert_eq!(data["prompt"], input["prompt"]);
    assert_eq!(data["has_nsfw_concepts"], json!([false]));
    let image = &data["images"][0];
    assert_eq!(
        (&image["width"], &image["height"]),
        (&json!(96), &json!(64))
    );
    let url = image["url"].as_str().unwrap();
    let cdn = format!("{}/cdn/files/b/", service.emulator.origin());
    assert!(url.starts_with(&cdn), "{url}");

    assert_eq!(words(&outcome["updates"]), ["IN_PROGRESS", "COMPLETED"]);
    assert_eq!(service.course(), course);
    let last = outcome["updates"].as_array().unwrap().last().unwrap();
    assert!(last["metrics"]["inference_time"].is_number(), "{last}");
    last["logs"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_client_subscribes_by_polling_and_by_streaming() {
    let Some(client) =
        Official::javascript("the_javascript_client_subscribes_by_polling_and_by_streaming")
    else {
        return;
    };
    let (polled, streamed) = tokio::join!(
        subscribes(&client, "subscribe", &["submit", "status", "result"]),
        subscribes(
            &client,
            "subscribe-streaming",
            &["submit", "stream", "result"]
        ),
    );
    // Polled, every answer has all lines; streamed, the client adds them up. Had the stream
    // repeated itself, or the poll left some out, the two would differ.
    let messages = |logs: &[Value]| -> Vec<Value> {
        logs.iter().map(|line| line["message"].clone()).collect()
    };
    assert!(polled.len() > 1, "{polled:?}");
    assert_eq!(messages(&polled), messages(&streamed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_subscribes_in_both_its_modes() {
    let Some(client) = Official::python("the_python_client_subscribes_in_both_its_modes") else {
        return;
    };
    let course = ["submit", "status", "result"];
    let (blocking, not_blocking) = tokio::join!(
        subscribes(&client, "subscribe", &course),
        subscribes(&client, "subscribe-async", &course),
    );
    assert!(blocking.len() > 1, "{blocking:?}");
    assert_eq!(blocking.len(), not_blocking.len());
}

/// Submit, status, result and cancel one by one: the first of two jobs runs, the second waits for
/// it and is cancelled.
async fn goes_through_the_queue(client: &Official) -> Value {
    let builder = Rig::plain_builder()
        .inference_time(Duration::from_secs(600))
        .concurrency(1);
    let service = Service::start(builder).await;
    let outcome = client.plays(&service, "queue", &input()).await;
    let ledger = service.emulator.ledger();
    let billing = |which: &str| {
        ledger
            .find(outcome[which].as_str().unwrap())
            .unwrap()
            .billing
    };

    assert_eq!(outcome["queued"]["status"], "IN_QUEUE");
    assert_eq!(outcome["queued"]["queue_position"], 0);
    for (state, word) in [("running", "IN_PROGRESS"), ("completed", "COMPLETED")] {
        let with_logs = &outcome[format!("{state}_with_logs")];
        for status in [&outcome[state], with_logs] {
            assert_eq!(status["status"], word);
        }
        assert_eq!(
            outcome[state].get("logs"),
            Some(&Value::Null),
            "not asked for"
        );
        assert!(with_logs["logs"].is_array(), "{with_logs}");
    }
    assert!(outcome["completed"]["metrics"]["inference_time"].is_number());

    assert!(outcome["cancel"].get("error").is_none(), "{outcome}");
    assert_eq!(outcome["cancelled"]["status"], "COMPLETED");
    assert_eq!(outcome["cancelled"]["error_type"], "client_cancelled");
    assert_eq!(outcome["cancelled_result"]["error"]["status"], 499);
    assert_eq!(billing("second"), Billing::Free { status: 499 });

    let value = &outcome["result"]["value"];
    let data = value.get("data").unwrap_or(value);
    assert_eq!(data["seed"], input()["seed"]);
    assert_eq!(billing("first"), Billing::Billed);
    let errors = [
        ("late_cancel", 400, json!({ "status": "ALREADY_COMPLETED" })),
        ("unknown", 404, json!({ "status": "NOT_FOUND" })),
        ("unknown_cancel", 404, json!({ "status": "NOT_FOUND" })),
    ];
    for (which, status, body) in errors {
        let error = &outcome[which]["error"];
        assert_eq!((&error["status"], &error["body"]), (&json!(status), &body));
    }
    assert_eq!(service.purchases(), 2);
    assert_eq!(service.count(Operation::Submit), 2);
    assert_eq!(service.count(Operation::Cancel), 3);
    assert_eq!(service.count(Operation::Other), 0);
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_client_goes_through_the_queue() {
    let Some(client) = Official::javascript("the_javascript_client_goes_through_the_queue") else {
        return;
    };
    let outcome = goes_through_the_queue(&client).await;
    // Only this client asks for a result without waiting for it.
    assert_eq!(outcome["early"]["error"]["status"], 400);
    assert_eq!(outcome["unknown_result"]["error"]["status"], 404);
    assert_eq!(outcome["result"]["value"]["requestId"], outcome["first"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_goes_through_the_queue() {
    let Some(client) = Official::python("the_python_client_goes_through_the_queue") else {
        return;
    };
    let outcome = goes_through_the_queue(&client).await;
    assert_eq!(outcome["addresses_agree"], true);
}

/// Synchronous runs, answered as JSON and as a stream of events.
async fn runs_without_the_queue(client: &Official) -> Value {
    let service = Service::plain(Scenario::new()).await;
    let outcome = client.plays(&service, "run", &input()).await;
    let value = &outcome["value"];
    let data = value.get("data").unwrap_or(value);
    assert_eq!(data["images"].as_array().unwrap().len(), 1);
    let ledger = service.emulator.ledger();
    assert_eq!(ledger.billed().count(), 1);
    if let Some(request_id) = value.get("requestId") {
        assert_eq!(*request_id, ledger.purchases()[0].request_id);
    }
    let outcome = client.plays(&service, "stream", &input()).await;
    assert_eq!(service.course(), ["run"]);
    assert_eq!(service.count(Operation::Run), 2);
    assert_eq!(service.emulator.ledger().billed().count(), 2);
    outcome["value"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_client_runs_and_streams_without_the_queue() {
    let test = "the_javascript_client_runs_and_streams_without_the_queue";
    let Some(client) = Official::javascript(test) else {
        return;
    };
    let streamed = runs_without_the_queue(&client).await;
    // The events, and the last one once more, which the client takes for the result.
    assert_eq!(streamed["events"], json!([streamed["done"]]));
    assert_eq!(streamed["done"]["seed"], input()["seed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_runs_and_streams_without_the_queue() {
    let test = "the_python_client_runs_and_streams_without_the_queue";
    let Some(client) = Official::python(test) else {
        return;
    };
    let streamed = runs_without_the_queue(&client).await;
    let events = streamed.as_array().unwrap();
    assert_eq!(events.len(), 1, "{streamed}");
    assert_eq!(events[0]["images"].as_array().unwrap().len(), 1);
}

/// What the service refuses is final for the clients and costs nothing.
async fn is_refused(client: &Official, validation_error: &str) {
    let mut wrong = input();
    wrong["num_inference_steps"] = json!(0);
    let service = Service::plain(Scenario::new()).await;
    let outcome = client.plays(&service, "subscribe", &wrong).await;
    let error = &outcome["error"];
    assert_eq!(error["name"], validation_error);
    assert_eq!(error["status"], 422);
    let detail = &error["body"]["detail"][0];
    assert_eq!(detail["loc"], json!(["body", "num_inference_steps"]));
    assert_eq!(detail["type"], "greater_than_equal");
    let ledger = service.emulator.ledger();
    let [purchase] = ledger.purchases() else {
        panic!("one purchase: {ledger:?}");
    };
    assert_eq!(purchase.billing, Billing::Free { status: 422 });
    assert_eq!(error["request_id"], purchase.request_id);
    assert_eq!(service.count(Operation::Result), 1);

    let never = Scenario::new().on(Operation::Submit, Fault::NeverStarts);
    let service = Service::plain(never).await;
    let outcome = client.plays(&service, "start-timeout", &input()).await;
    let error = &outcome["error"];
    assert_eq!(error["status"], 504);
    assert_eq!(error["user_timeout"], true);
    assert_eq!(service.count(Operation::Result), 1, "not asked for again");

    let mut service = Service::start(Rig::plain_builder().key("test-id:test-secret")).await;
    service.key = "other-id:other-secret";
    let outcome = client.plays(&service, "subscribe", &input()).await;
    assert_eq!(outcome["error"]["status"], 401);
    assert_eq!(service.course(), ["submit"]);
    assert_eq!(service.purchases(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_client_is_refused() {
    let Some(client) = Official::javascript("the_javascript_client_is_refused") else {
        return;
    };
    is_refused(&client, "ValidationError").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_is_refused() {
    let Some(client) = Official::python("the_python_client_is_refused") else {
        return;
    };
    is_refused(&client, "FalClientHTTPError").await;
}

/// One fault in the way of one submit: how often the client sends it, and how often it buys.
async fn submits_under(client: &Official, fault: Fault, sent: usize, bought: usize) {
    let name = fault.name();
    let service = Service::plain(Scenario::new().on(Operation::Submit, fault)).await;
    let outcome = client.plays(&service, "subscribe", &input()).await;
    let count = (service.count(Operation::Submit), service.purchases());
    assert_eq!(count, (sent, bought), "{name}: {outcome}");
    let succeeds = bought > 0;
    assert_eq!(
        outcome.get("value").is_some(),
        succeeds,
        "{name}: {outcome}"
    );
}

/// The two clients tell refusals that are worth another try from those that are not by different
/// marks; that each does here what its code says shows that the marks are right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_client_repeats_what_it_repeats_at_fal() {
    let Some(client) = Official::javascript("the_javascript_client_repeats_what_it_repeats_at_fal")
    else {
        return;
    };
    let throttled = Fault::Throttled { retry_after: None };
    tokio::join!(
        submits_under(&client, Fault::Drop, 2, 1),
        submits_under(&client, throttled, 2, 1),
        submits_under(&client, Fault::GatewayPage(502), 2, 1),
        // By its status alone.
        submits_under(&client, Fault::Status(503), 2, 1),
        submits_under(&client, Fault::Status(500), 1, 0),
        submits_under(&client, Fault::UserTimeout, 1, 0),
        submits_under(&client, Fault::Locked, 1, 0),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_repeats_what_it_repeats_at_fal() {
    let Some(client) = Official::python("the_python_client_repeats_what_it_repeats_at_fal") else {
        return;
    };
    let throttled = Fault::Throttled { retry_after: None };
    tokio::join!(
        submits_under(&client, Fault::Drop, 2, 1),
        submits_under(&client, throttled, 2, 1),
        submits_under(&client, Fault::GatewayPage(502), 2, 1),
        // It has fal's request id, so it is not from a load balancer.
        submits_under(&client, Fault::Status(503), 1, 0),
        submits_under(&client, Fault::Status(500), 1, 0),
        submits_under(&client, Fault::UserTimeout, 1, 0),
        submits_under(&client, Fault::Locked, 1, 0),
    );
}

/// The service accepts one purchase and the answer is lost on its way.
fn lost_answers() -> [Fault; 2] {
    [Fault::AcceptThenDrop, Fault::AcceptThenGatewayPage(504)]
}

/// One call of a client after which the ledger counts two purchases, both billed in the end.
async fn buys_twice(client: &Official, mode: &str, operation: Operation, fault: Fault) {
    let name = fault.name();
    let service = Service::plain(Scenario::new().on(operation, fault)).await;
    let outcome = client.plays(&service, mode, &input()).await;
    assert!(outcome.get("value").is_some(), "{mode}, {name}: {outcome}");
    let ledger = service.emulator.ledger();
    assert_eq!(ledger.purchases().len(), 2, "{mode}, {name}");
    assert_eq!(ledger.billed().count(), 2, "{mode}, {name}");
    let value = &outcome["value"];
    if let Some(request_id) = value.get("requestId") {
        assert_eq!(
            *request_id,
            ledger.purchases()[1].request_id,
            "the first is an orphan"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_client_buys_twice_where_ours_buys_once() {
    ours_buys_once().await;
    let Some(client) =
        Official::javascript("the_javascript_client_buys_twice_where_ours_buys_once")
    else {
        return;
    };
    for fault in lost_answers() {
        let again = fault.clone();
        tokio::join!(
            buys_twice(&client, "subscribe", Operation::Submit, fault),
            buys_twice(&client, "run", Operation::Run, again),
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_buys_twice_where_ours_buys_once() {
    ours_buys_once().await;
    let Some(client) = Official::python("the_python_client_buys_twice_where_ours_buys_once") else {
        return;
    };
    for fault in lost_answers() {
        let (second, third) = (fault.clone(), fault.clone());
        tokio::join!(
            buys_twice(&client, "subscribe", Operation::Submit, fault),
            buys_twice(&client, "subscribe-async", Operation::Submit, second),
            buys_twice(&client, "run", Operation::Run, third),
        );
    }
}

/// Our client under the same faults: it finds the one purchase that was made, and its picture.
async fn ours_buys_once() {
    for fault in lost_answers() {
        let scenario = Scenario::new().on(Operation::Submit, fault);
        let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
        let request = Request::subject("https://example.org/content.png", "a lighthouse in ink");
        let job = rig.client.submit(request).await.unwrap();
        job.wait().await.unwrap();
        let ledger = rig.emulator.ledger();
        let [purchase] = ledger.purchases() else {
            panic!("one purchase: {ledger:?}");
        };
        assert_eq!(job.ticket().request_id(), purchase.request_id);
        assert_eq!(purchase.billing, Billing::Billed);
    }
}

/// One upload of one of the clients: it arrives whole, by these operations.
async fn uploads(client: &Official, mode: &str, mebibytes: usize, course: &[&str]) {
    let service = Service::plain(Scenario::new()).await;
    let input = json!({ "mebibytes": mebibytes });
    let outcome = client.plays(&service, mode, &input).await;
    let url = outcome["value"]
        .as_str()
        .unwrap_or_else(|| panic!("{mode}: {outcome}"));
    assert_eq!(service.course(), course, "{mode}");
    // The Python client names the service's own host, which is here.
    let cdn = format!("{}/cdn", service.emulator.origin());
    let url = url.replace("https://v3b.fal.media", &cdn);
    let authority = std::fs::read(service.folder.path().join("authority.pem")).unwrap();
    let config = rig::config_for(&service.emulator.origin()).unwrap();
    let config = config.root_certificates(authority).max_body(128 << 20);
    let transport = uso_transport::Transport::new(config).unwrap();
    let arrived = transport
        .fetch(&url, &uso_transport::Expected::anything())
        .await
        .unwrap();
    assert_eq!(arrived.len(), mebibytes << 20, "{mode}");
    for (number, block) in arrived.chunks(1 << 20).enumerate() {
        let (mark, rest) = block.split_at(4);
        assert_eq!(mark, (number as u32).to_be_bytes(), "{mode}");
        assert!(
            rest.iter().all(|byte| *byte == b'x'),
            "{mode}: block {number}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_client_uploads_whole_and_in_parts() {
    let Some(client) = Official::javascript("the_javascript_client_uploads_whole_and_in_parts")
    else {
        return;
    };
    uploads(&client, "upload", 3, &["initiate", "upload"]).await;
    // Above 90 MiB.
    uploads(&client, "upload", 91, &["initiate", "part", "complete"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_uploads_by_token_whole_and_in_parts() {
    let Some(client) = Official::python("the_python_client_uploads_by_token_whole_and_in_parts")
    else {
        return;
    };
    uploads(&client, "upload", 3, &["token", "upload"]).await;
    // Above 100 MiB; bytes of that length are damaged by the client itself, files are not.
    let course = ["token", "initiate", "part", "complete"];
    uploads(&client, "upload-file", 101, &course).await;
}

/// A header cannot carry such a name, so the client takes its second way: a presigned address, to
/// which it sends its key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_uploads_a_file_with_a_cyrillic_name() {
    let test = "the_python_client_uploads_a_file_with_a_cyrillic_name";
    let Some(client) = Official::python(test) else {
        return;
    };
    uploads(
        &client,
        "upload-named-file",
        1,
        &["token", "initiate", "upload"],
    )
    .await;
}
