//! `uso webhook` and `--webhook`, as a person and as a script use them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::{Value, json};
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::Journal;
use uso_tests::rig::{Cli, Rig, Run, content, style, until};

use super::{Scene, vector};
use crate::cli::proxy::{shortest, silent};

const PROGRAM: &str = env!("CARGO_BIN_EXE_uso-under-test");

/// The command, keeping its notes in its folder.
fn uso() -> Cli {
    let cli = Cli::new(PROGRAM);
    let state = cli.folder().join(".state").to_str().unwrap().to_owned();
    cli.variable("USO_STATE_DIR", &state)
}

/// A `uso webhook listen` that runs.
struct Listener {
    child: Child,
    url: String,
    talk: BufReader<ChildStderr>,
}

impl Listener {
    fn start(cli: &Cli) -> Self {
        Self::at(cli, "127.0.0.1:0")
    }

    fn at(cli: &Cli, address: &str) -> Self {
        let mut command = cli.command(&["webhook", "listen", "--listen", address, "--json"]);
        // It needs no key, and is to show that it has none.
        command.env_remove("FAL_KEY");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut talk = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        talk.read_line(&mut line).unwrap();
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http"));
        let url = url.unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { child, url, talk }
    }

    /// The next document.
    fn document(&mut self, documents: &mut impl Iterator<Item = String>) -> Value {
        serde_json::from_str(&documents.next().unwrap()).unwrap()
    }

    fn documents(&mut self) -> impl Iterator<Item = String> + use<> {
        let stdout = self.child.stdout.take().unwrap();
        BufReader::new(stdout).lines().map(Result::unwrap)
    }

    /// Ends it as Ctrl-C does, and gives what it said.
    fn stop(mut self) -> (i32, String) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status();
        assert!(sent.unwrap().success());
        let code = self.child.wait().unwrap().code().unwrap();
        let lines: Vec<String> = self.talk.lines().map(Result::unwrap).collect();
        (code, lines.join("\n"))
    }
}

fn restyle(cli: &Cli, hook: &str, more: &[&str]) -> Command {
    let (content, style) = (content(), style());
    let first = [
        "restyle",
        content.to_str().unwrap(),
        style.to_str().unwrap(),
        "--size",
        "48x32",
        "--webhook",
        hook,
    ];
    cli.command(&[&first[..], more].concat())
}

fn jobs(cli: &Cli) -> Vec<Value> {
    let listed = cli.run(&["list", "--json"]).json();
    listed["jobs"].as_array().unwrap().clone()
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_whose_answer_was_lost_is_adopted_and_resumed() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .on(Operation::Webhook, Fault::Withhold)
        .on(Operation::Listing, Fault::Forbidden)
        .always();
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let cli = uso().at(&rig.emulator.origin());
    let mut listener = Listener::start(&cli);
    let mut documents = listener.documents();
    let bought = restyle(&cli, &listener.url, &["-o", "a.png"]).output();
    let bought = Run::of(&bought.unwrap());
    assert_eq!(bought.code, 6, "{bought:?}");
    assert!(bought.stderr.contains("uso webhook listen"), "{bought:?}");

    let ledger = rig.emulator.ledger();
    assert_eq!(ledger.purchases().len(), 1);
    let id = ledger.purchases()[0].request_id.clone();
    // A command that still runs would have the purchase from the notification.
    let attempts = || rig.emulator.webhook_attempts().len();
    until("the attempt that was withheld", || attempts() == 1).await;
    assert!(rig.emulator.resend_webhook(&id));
    let told = listener.document(&mut documents);
    assert_eq!(told["request_id"], *id);
    assert_eq!(told["purchase"], "adopted", "{told}");
    assert_eq!(told["status"], "OK");
    assert_eq!(jobs(&cli)[0]["request_id"], *id);

    // It comes again, and is told once.
    assert!(rig.emulator.resend_webhook(&id));
    until("the attempt after it", || attempts() == 3).await;
    let (code, talk) = listener.stop();
    assert_eq!(code, 0, "{talk}");
    assert!(talk.contains(&format!("uso resume {id}")), "{talk}");
    assert!(talk.contains("repeated notification"), "{talk}");
    assert_eq!(documents.next(), None);

    let resumed = cli.run(&["resume"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert!(image::open(cli.folder().join("a.png")).is_ok());
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
    assert_eq!(jobs(&cli)[0]["state"], "done");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_that_came_first_to_a_wrong_path_does_not_hide_the_right_one() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .on(Operation::Listing, Fault::Forbidden)
        .always();
    let mut scene = Scene::new(scenario).await;
    let cli = uso().at(&scene.emulator().origin());
    let bought = restyle(&cli, &scene.hook.url, &["-o", "a.png"]).output();
    assert_eq!(Run::of(&bought.unwrap()).code, 6);
    let genuine = scene.hook.next().await;
    let mut listener = Listener::start(&cli);
    let mut documents = listener.documents();
    let root = listener.url.trim_end_matches('/').to_owned();
    let path = genuine.uri().path();
    let builder = crate::emulator::http(rustls::RootCertStore::empty(), &[]);
    let client = builder.build().unwrap();
    let mut purchases = Vec::new();
    for path in ["/", "/hook", "/hook/another-attempt", path] {
        let sent = client
            .post(format!("{root}{path}"))
            .headers(genuine.headers().clone())
            .body(genuine.body().clone());
        assert_eq!(sent.send().await.unwrap().status(), 200);
        purchases.push(listener.document(&mut documents)["purchase"].clone());
    }
    assert_eq!(
        purchases,
        [Value::Null, Value::Null, Value::Null, "adopted".into()]
    );
    listener.stop();
    assert!(jobs(&cli)[0]["request_id"].is_string());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_thousand_silent_connections_do_not_delay_a_notification() {
    let mut scene = Scene::new(Scenario::new()).await;
    let cli = uso().at(&scene.emulator().origin());
    let mut listener = Listener::start(&cli);
    let mut documents = listener.documents();
    scene.submit().await;
    let genuine = scene.hook.next().await;
    let address = listener.url.trim_start_matches("http://");
    let open = silent(address.trim_end_matches('/')).await;
    let builder = crate::emulator::http(rustls::RootCertStore::empty(), &[]);
    let client = builder.build().unwrap();
    let took = shortest(|| {
        let request = client
            .post(&listener.url)
            .headers(genuine.headers().clone())
            .body(genuine.body().clone());
        async move { assert_eq!(request.send().await.unwrap().status(), 200) }
    })
    .await;
    assert!(took < std::time::Duration::from_secs(1), "{took:?}");
    drop(open);
    assert_eq!(listener.document(&mut documents)["status"], "OK");
    listener.stop();
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_that_another_process_still_makes_is_adopted_at_once() {
    let scenario = Scenario::new().on(Operation::Submit, Fault::AcceptThenHang);
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let cli = uso().at(&rig.emulator.origin());
    let mut listener = Listener::start(&cli);
    let mut documents = listener.documents();
    let mut buying = restyle(&cli, &listener.url, &["-o", "a.png", "-q"]);
    let mut buying = buying
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let told = listener.document(&mut documents);
    assert_eq!(told["purchase"], "adopted", "{told}");
    assert_eq!(jobs(&cli)[0]["state"], "submitted");
    buying.kill().unwrap();
    buying.wait().unwrap();
    let (code, talk) = listener.stop();
    assert_eq!(code, 0, "{talk}");
    let resumed = cli.run(&["resume"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
    assert!(image::open(cli.folder().join("a.png")).is_ok());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_notification_is_reported_and_a_forged_one_refused() {
    let tampered = Scenario::new()
        .on(Operation::Webhook, Fault::Tamper)
        .after(1);
    let mut scene = Scene::new(tampered).await;
    let cli = uso().at(&scene.emulator().origin());
    let mut listener = Listener::start(&cli);
    let mut documents = listener.documents();
    scene.hook.url = listener.url.clone();
    let job = scene.submit().await;
    let told = listener.document(&mut documents);
    assert_eq!(told["request_id"], job.ticket().request_id());
    assert_eq!(told["purchase"], Value::Null);
    assert_eq!(told["seed"], 7);
    assert_eq!(told["images"].as_array().unwrap().len(), 1);
    scene.submit().await;
    let attempts = scene.attempts(2).await;
    assert_eq!(
        attempts[1].outcome,
        uso_emulator::AttemptOutcome::Answered(401)
    );
    let (code, talk) = listener.stop();
    assert_eq!(code, 0);
    assert!(talk.contains("no public key fits the signature"), "{talk}");
    assert_eq!(documents.next(), None);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_request_for_one_purchase_is_reported() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let mut listener = Listener::start(&cli);
    let mut documents = listener.documents();
    let bought = restyle(&cli, &listener.url, &["--detach", "-o", "a.png"]).output();
    let bought = Run::of(&bought.unwrap());
    assert_eq!(bought.code, 0, "{bought:?}");
    let told = listener.document(&mut documents);
    // The notification may come before the response to the submit is recorded.
    let is_known = told["purchase"] == "recorded" || told["purchase"] == "adopted";
    assert!(is_known, "{told}");
    let url = listener.url.clone();
    listener.stop();

    // As if the submit had been answered with another id than the one that is announced: a state file
    // of the first release says so, in a journal that knows nothing else.
    let id = told["request_id"].as_str().unwrap();
    let journal = cli.folder().join(".state/journal.db");
    let bought = Journal::open(&journal).unwrap().jobs(&rig.client);
    let bought = bought.read().await.unwrap().remove(0);
    let record = json!({
        "origin": bought.origin,
        "account": bought.account,
        "target": { "file": cli.folder().join("b.png") },
        "intent": bought.intent,
        "ticket": bought.ticket,
    });
    let text = record.to_string().replace(id, "another-request");
    let folder = cli.folder().join(".other");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("1.json"), text).unwrap();
    let cli = cli.variable("USO_STATE_DIR", folder.to_str().unwrap());
    assert_eq!(jobs(&cli)[0]["request_id"], "another-request");
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut listener = Listener::at(&cli, address);
    let mut documents = listener.documents();
    assert!(rig.emulator.resend_webhook(id));
    let told = listener.document(&mut documents);
    assert_eq!(told["purchase"], "contradicted", "{told}");
    let (_, talk) = listener.stop();
    assert!(
        talk.contains("another-request") && talk.contains("bought twice"),
        "{talk}"
    );
    assert_eq!(jobs(&cli)[0]["request_id"], "another-request");
}

/// The documented notification as files.
fn captured(cli: &Cli, headers: &str, body: &str) {
    let write = |name: &str, text: &str| std::fs::write(cli.folder().join(name), text).unwrap();
    write("jwks.json", vector::JWKS);
    write("headers.txt", headers);
    write("body.json", body);
}

fn header_lines(ending: &str) -> String {
    let lines = vector::HEADERS.map(|(name, value)| format!("{name}: {value}{ending}"));
    lines.concat()
}

fn verify(cli: &Cli, more: &[&str]) -> Run {
    let fixed = [
        "webhook",
        "verify",
        "--jwks",
        "jwks.json",
        "--headers",
        "headers.txt",
        "--body",
        "body.json",
    ];
    cli.run(&[&fixed[..], more].concat())
}

#[test]
fn a_captured_notification_is_verified_from_files() {
    let cli = uso();
    let with_request_line = format!(
        "POST /hook/x HTTP/1.1\r\nHost: example.org\r\n{}\r\n",
        header_lines("\r\n")
    );
    for headers in [header_lines("\n"), with_request_line] {
        captured(&cli, &headers, vector::BODY);
        let run = verify(&cli, &["--at", "1760000000"]);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stdout.starts_with("verified: 3f1c9a52"), "{run:?}");
        let run = verify(&cli, &["--at", "1760000000", "--json"]);
        assert_eq!((run.code, &run.json()["verified"]), (0, &Value::Bool(true)));
        assert_eq!(run.json()["user_id"], vector::USER_ID);
    }
}

#[test]
fn a_captured_notification_that_does_not_verify_says_why() {
    let cli = uso();
    let good = header_lines("\n");
    let reason = |run: Run| {
        assert_eq!(run.code, 1, "{run:?}");
        run.json()["error"]["kind"].as_str().unwrap().to_owned()
    };
    let at = ["--at", "1760000000", "--json"];
    captured(&cli, &good, vector::BODY);
    assert_eq!(reason(verify(&cli, &["--json"])), "too_old");
    assert_eq!(reason(verify(&cli, &["--at", "1000", "--json"])), "too_new");
    captured(&cli, &good, &format!("{}\n", vector::BODY));
    assert_eq!(reason(verify(&cli, &at)), "no_key_fits");
    let run = verify(&cli, &["--at", "1760000000"]);
    assert!(run.stderr.contains("without a line break added"), "{run:?}");
    captured(&cli, &format!("{good}{good}"), vector::BODY);
    assert_eq!(reason(verify(&cli, &at)), "duplicate_header");
    captured(&cli, "Host: example.org\n", vector::BODY);
    assert_eq!(reason(verify(&cli, &at)), "missing_header");

    captured(&cli, "no header\n", vector::BODY);
    let run = verify(&cli, &at);
    assert_eq!(run.code, 2, "{run:?}");
    captured(&cli, &good, vector::BODY);
    std::fs::write(cli.folder().join("jwks.json"), "[]").unwrap();
    let run = verify(&cli, &at);
    assert_eq!(run.code, 2, "{run:?}");
    std::fs::remove_file(cli.folder().join("body.json")).unwrap();
    let run = verify(&cli, &at);
    assert_eq!(run.code, 3, "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_may_be_at_a_url() {
    let mut scene = Scene::new(Scenario::new()).await;
    let cli = uso().at(&scene.emulator().origin());
    scene.submit().await;
    let request = scene.hook.next().await;
    let headers = request.headers().iter();
    let headers: String = headers
        .map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()))
        .collect();
    captured(&cli, &headers, "");
    std::fs::write(cli.folder().join("body.json"), request.body()).unwrap();
    let url = format!("{}/rest/.well-known/jwks.json", scene.emulator().origin());
    let arguments = [
        "webhook",
        "verify",
        "--jwks",
        &url,
        "--headers",
        "headers.txt",
        "--body",
        "body.json",
    ];
    let run = cli.run(&arguments);
    assert_eq!(run.code, 0, "{run:?}");
    let elsewhere = url.replace("jwks.json", "none.json");
    let arguments = arguments.map(|word| if word == url { &elsewhere } else { word });
    let run = cli.run(&arguments);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("no public keys"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_address_has_its_exit_code_and_sends_nothing() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    for (hook, more, code, word) in [
        ("http://example.org/secret", &[][..], 3, "https"),
        ("https://a:b@example.org/secret", &[], 3, "password"),
        (
            "https://a:b@example.org/secret",
            &["--dry-run"],
            3,
            "password",
        ),
        (
            "https://example.org/secret",
            &["--emulator"],
            2,
            "--base-url",
        ),
    ] {
        let run = Run::of(&restyle(&cli, hook, more).output().unwrap());
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.stderr.contains(word), "{run:?}");
        assert!(!run.stderr.contains("secret"), "{run:?}");
    }
    let run = cli.run(&["webhook", "listen", "--emulator"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(rig.operations().is_empty());
}
