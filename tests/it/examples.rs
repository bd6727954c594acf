//! The examples of the facade as their readers run them: programs of their own before an emulator.
//! The example of unit tests runs as a test of its own (`cargo test -p uso --example testing`).

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use uso_tests::rig::{Rig, content, file, style, until};
use xtask::codegen::Support;

/// The document of the endpoint that an example uses.
const FLUX: &str = "fixtures/endpoints/flux-schnell.json";

/// How long a job takes on the emulator's clock, which the tests move.
const HOUR: Duration = Duration::from_secs(3600);

/// A running example.
struct Example {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Example {
    fn start(program: &str, rig: &Rig, arguments: &[&Path]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("USO_BASE_URL", rig.emulator.origin())
            .env("FAL_KEY", "test-id:test-secret")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        let line = self.lines.next_line().await.unwrap();
        line.expect("the example still runs")
    }

    /// The next line that holds this text.
    async fn line_with(&mut self, text: &str) -> String {
        loop {
            let line = self.line().await;
            if line.contains(text) {
                return line;
            }
        }
    }

    async fn type_in(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).await.unwrap();
    }
}

fn is_png(path: &Path) -> bool {
    std::fs::read(path).unwrap().starts_with(b"\x89PNG")
}

#[tokio::test]
async fn the_blocking_example_restyles_one_picture() {
    let rig = Rig::plain().await;
    let folder = tempfile::tempdir().unwrap();
    let arguments = [&content(), &style(), folder.path()];
    let program = env!("CARGO_BIN_EXE_example-blocking");
    let mut example = Example::start(program, &rig, &arguments);
    assert!(is_png(Path::new(&example.line().await)));
    assert!(example.child.wait().await.unwrap().success());
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test]
async fn the_endpoint_example_buys_a_picture_of_another_endpoint() {
    let document = std::fs::read_to_string(file(FLUX)).unwrap();
    let builder = Rig::plain_builder().endpoint(&document).unwrap();
    let rig = Rig::of(builder).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lighthouse.png");
    let arguments = [Path::new("a lighthouse at dusk"), &path];
    let program = env!("CARGO_BIN_EXE_example-endpoint");
    let mut example = Example::start(program, &rig, &arguments);
    let request_id = example.line().await;
    assert!(example.child.wait().await.unwrap().success());
    assert!(is_png(&path));
    let ledger = rig.emulator.ledger();
    let [purchase] = ledger.purchases() else {
        panic!("one purchase: {ledger:?}");
    };
    assert_eq!(purchase.request_id, request_id);
    assert_eq!(purchase.endpoint_id, "fal-ai/flux/schnell");
    assert_eq!(purchase.input["prompt"], "a lighthouse at dusk");
}

#[test]
fn the_types_of_the_endpoint_example_are_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("flux.rs");
    xtask::commands::any_document(&file(FLUX), &out, Support::Facade).unwrap();
    let fresh = std::fs::read_to_string(out).unwrap();
    let current = file("../crates/uso/examples/endpoint/flux.rs");
    assert!(
        std::fs::read_to_string(current).unwrap() == fresh,
        "run cargo xtask codegen --schema tests/{FLUX} --for-uso --out crates/uso/examples/endpoint/flux.rs"
    );
}

#[tokio::test]
async fn the_progress_example_follows_jobs_and_cancels_by_number() {
    let builder = Rig::plain_builder().inference_time(HOUR).cancellable(true);
    let rig = Rig::of(builder).await;
    let folder = tempfile::tempdir().unwrap();
    let (photo, style) = (content(), style());
    let arguments = [folder.path(), &style, &photo, &photo, &photo];
    let program = env!("CARGO_BIN_EXE_example-progress");
    let mut example = Example::start(program, &rig, &arguments);
    for number in ["1: ", "2: ", "3: "] {
        let line = example.line_with("is bought as").await;
        assert!(line.starts_with(number), "{line}");
    }
    // Two jobs run, and the third waits.
    example.line_with("Running").await;
    example.line_with("Running").await;
    example.type_in("3\n").await;
    example.line_with("3: cancel: Ok(Removed)").await;
    example.line_with("3: the job was cancelled").await;
    example.type_in("1\n").await;
    example.line_with("1: cancel: Ok(Requested)").await;
    example.line_with("1: the job was cancelled").await;
    example.type_in("9\n").await;
    example.line_with("9: there is no such job").await;
    rig.emulator.advance(HOUR);
    example.line_with("2: saved").await;
    assert!(example.child.wait().await.unwrap().success());

    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(files.len(), 1);
    let ledger = rig.emulator.ledger();
    assert_eq!((ledger.purchases().len(), ledger.billed().count()), (3, 1));
}

#[tokio::test]
async fn the_service_example_collects_after_a_kill_what_it_bought_before() {
    let rig = Rig::of(Rig::plain_builder().inference_time(HOUR)).await;
    let folder = tempfile::tempdir().unwrap();
    let (style, address) = (style(), Path::new("127.0.0.1:0"));
    let arguments = [folder.path(), &style, address];
    let program = env!("CARGO_BIN_EXE_example-service");
    let http = crate::emulator::http(rustls::RootCertStore::empty(), &[]);
    let http = http.build().unwrap();
    let photo = std::fs::read(content()).unwrap();

    let mut service = Example::start(program, &rig, &arguments);
    let url = service.line().await + "/pictures";
    let uploaded = http.post(&url).body(photo.clone()).send().await.unwrap();
    assert_eq!(uploaded.status(), 202);
    let picture = uploaded.headers()["location"].to_str().unwrap().to_owned();
    rig.emulator.when_running().await;
    service.child.kill().await.unwrap();

    let mut service = Example::start(program, &rig, &arguments);
    let origin = service.line().await;
    let url = format!("{origin}/pictures");
    rig.emulator.advance(HOUR);
    // The picture is collected before a caller asks for it.
    let restyled = folder.path().join("restyled");
    let is_collected = || {
        restyled
            .read_dir()
            .is_ok_and(|mut files| files.next().is_some())
    };
    until("the restarted service collects by itself", is_collected).await;
    let got = http.get(origin.clone() + &picture).send().await.unwrap();
    assert_eq!(got.status(), 200);
    assert_eq!(got.headers()["content-type"], "image/png");
    assert!(got.bytes().await.unwrap().starts_with(b"\x89PNG"));

    // The same picture again is the same purchase.
    let uploaded = http.post(&url).body(photo).send().await.unwrap();
    assert_eq!(uploaded.headers()["location"], picture.as_str());
    let got = http.get(origin.clone() + &picture).send().await.unwrap();
    assert_eq!(got.status(), 200);
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);

    // Nothing that is no picture is bought, and no path leads out of the folder.
    let refused = http.post(&url).body("no picture").send().await.unwrap();
    assert_eq!(refused.status(), 422);
    for path in ["/pictures/abc", "/pictures/..%2Fjournal.db"] {
        let got = http.get(origin.clone() + path).send().await.unwrap();
        assert_eq!(got.status(), 404, "{path}");
    }
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
}
