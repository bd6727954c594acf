//! `uso mcp`: tools with which agents buy, over stdin and stdout.

mod consent;
mod faults;
mod limits;
mod official;
mod previews;
mod refusals;
mod skill;

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use uso_emulator::{EmulatorBuilder, Fault, Operation, Scenario};
use uso_tests::rig::{Cli, Rig};

const PROGRAM: &str = env!("CARGO_BIN_EXE_uso-under-test");

/// Longest wait for one answer, so that a test that fails ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// An emulator, and the command line in a folder with a picture, `photo.png`.
struct Scene {
    rig: Rig,
    cli: Cli,
}

impl Scene {
    async fn of(builder: EmulatorBuilder) -> Self {
        let rig = Rig::of(builder).await;
        let cli = Cli::new(PROGRAM).at(&rig.emulator.origin());
        picture(&cli.folder().join("photo.png"), 48, 32);
        Self { rig, cli }
    }

    async fn plain() -> Self {
        Self::of(Rig::plain_builder()).await
    }

    /// A service that loses the answer to each purchase, and never lists one.
    async fn unlisted() -> Self {
        let scenario = Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop);
        let builder = Rig::plain_builder().scenario(scenario.always());
        Self::of(builder.index_delay(Duration::from_secs(1_000_000))).await
    }

    /// A server of this scene, and a client that has begun a session with it.
    async fn agent(&self, arguments: &[&str]) -> Agent {
        self.began(arguments, json!({})).await
    }

    /// As [`Self::agent`], with a client that can ask its user.
    async fn asking(&self, arguments: &[&str]) -> Agent {
        self.began(arguments, json!({ "elicitation": {} })).await
    }

    async fn began(&self, arguments: &[&str], capabilities: Value) -> Agent {
        let mut agent = Agent::start(&self.cli, arguments);
        let client = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": capabilities,
            "clientInfo": { "name": "a test", "version": "1" },
        });
        let began = agent.ask("initialize", client).await;
        assert_eq!(began["result"]["serverInfo"]["name"], "uso", "{began}");
        agent.notify("notifications/initialized", json!({})).await;
        agent
    }

    fn bought(&self) -> usize {
        self.rig.emulator.ledger().purchases().len()
    }
}

fn picture(path: &Path, width: u32, height: u32) {
    let pixel = |x: u32, y: u32| image::Rgb([(x % 251) as u8, (y % 241) as u8, 90]);
    let picture = image::RgbImage::from_fn(width, height, pixel);
    picture.save(path).unwrap();
}

/// Arguments of `buy` for a small picture.
fn wish(label: &str) -> Value {
    json!({
        "label": label,
        "max_cost_usd": 0.5,
        "content": "photo.png",
        "prompt": "a lighthouse in ink",
        "size": "96x64",
        "seed": 7,
    })
}

/// A server, spoken to line by line.
struct Agent {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    sent: u64,
    early: HashMap<u64, Value>,
}

impl Agent {
    fn start(cli: &Cli, arguments: &[&str]) -> Self {
        let arguments: Vec<&str> = ["mcp"]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let talk = cli.folder().join("talk");
        let talk = File::options()
            .create(true)
            .append(true)
            .open(talk)
            .unwrap();
        let mut child = Command::from(cli.command(&arguments))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(talk)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take().unwrap(),
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
            sent: 0,
            early: HashMap::new(),
        }
    }

    async fn write(&mut self, message: Value) {
        let line = format!("{message}\n");
        self.stdin.write_all(line.as_bytes()).await.unwrap();
    }

    async fn notify(&mut self, method: &str, params: Value) {
        self.write(json!({ "jsonrpc": "2.0", "method": method, "params": params }))
            .await;
    }

    /// Sends a request and gives its id.
    async fn send(&mut self, method: &str, params: Value) -> u64 {
        self.sent += 1;
        let id = self.sent;
        self.write(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
            .await;
        id
    }

    async fn send_call(&mut self, tool: &str, arguments: Value) -> u64 {
        self.send(
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        )
        .await
    }

    /// The answer to a request. Whatever else is on stdout must be of the protocol too.
    async fn answer(&mut self, id: u64) -> Value {
        loop {
            if let Some(answer) = self.early.remove(&id) {
                return answer;
            }
            let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
            let line = line.expect("an answer in time").unwrap();
            let line = line.expect("an answer before the end of stdout");
            let message: Value = serde_json::from_str(&line).expect(&line);
            assert_eq!(message["jsonrpc"], "2.0", "{line}");
            if let Some(id) = message["id"].as_u64() {
                self.early.insert(id, message);
            }
        }
    }

    /// The id of the next request that the server makes, which asks the user.
    async fn question(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.expect("a question in time").unwrap().unwrap();
        let message: Value = serde_json::from_str(&line).expect(&line);
        assert_eq!(message["method"], "elicitation/create", "{line}");
        message["id"].clone()
    }

    /// The user's answer to a question: `accept`, `decline` or `cancel`.
    async fn respond(&mut self, question: Value, action: &str) {
        self.write(json!({ "jsonrpc": "2.0", "id": question, "result": { "action": action } }))
            .await;
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params).await;
        self.answer(id).await
    }

    /// Calls a tool and gives its result.
    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.send_call(tool, arguments).await;
        let mut answer = self.answer(id).await;
        let result = answer["result"].take();
        assert!(result.is_object(), "{tool}: {answer}");
        let has_preview = result["content"]
            .as_array()
            .unwrap()
            .iter()
            .any(|block| block["type"] == "image");
        let size = result.to_string().len();
        assert!(has_preview || size <= 8 << 10, "{tool}: {size} bytes");
        result
    }

    /// Calls a tool that succeeds, and gives its structured answer, which the text repeats.
    async fn ok(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        assert_ne!(result["isError"], true, "{tool}: {result}");
        let text = result["content"][0]["text"].as_str().unwrap();
        let repeated: Value = serde_json::from_str(text).unwrap();
        assert_eq!(repeated, result["structuredContent"], "{tool}");
        repeated
    }

    /// Calls a tool that refuses, and gives its error.
    async fn refused(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{tool}: {result}");
        let text = result["content"][0]["text"].as_str().unwrap();
        serde_json::from_str(text).unwrap()
    }

    /// Waits for one purchase to its end.
    async fn done(&mut self, label: &str) -> Value {
        let arguments = json!({ "ids": [label], "seconds": 25 });
        let mut waited = self.ok("wait", arguments).await;
        assert_eq!(waited["all_ended"], true, "{waited}");
        let job = waited["jobs"][0].take();
        assert_eq!(job["status"], "done", "{job}");
        job
    }

    /// Closes stdin, as a client does that has finished, and gives the exit code.
    async fn close(self) -> Option<i32> {
        let Self {
            mut child, stdin, ..
        } = self;
        drop(stdin);
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        ended.expect("the server ends").unwrap().code()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_estimated_bought_waited_for_and_found_again() {
    let scene = Scene::plain().await;
    // With every message of the libraries, none of which may reach stdout.
    let mut agent = scene.agent(&["-vv"]).await;
    let mut picture = wish("hero");
    let fields = picture.as_object_mut().unwrap();
    fields.remove("label");
    fields.remove("max_cost_usd");
    let price = agent.ok("estimate", picture).await;
    assert_eq!(
        (&price["width"], &price["height"]),
        (&json!(96), &json!(64))
    );
    assert_eq!(price["at_most_usd"], 0.1);
    assert_eq!(
        (&price["left_usd"], &price["within_budget"]),
        (&json!(1.0), &json!(true))
    );
    assert_eq!(scene.rig.emulator.requests().len(), 0);

    let job = agent.ok("buy", wish("hero")).await;
    assert_eq!(
        (&job["label"], &job["bought"]),
        (&json!("hero"), &json!("yes")),
        "{job}"
    );
    let done = agent.done("hero").await;
    let path = Path::new(done["pictures"][0]["path"].as_str().unwrap());
    let folder = scene.cli.folder().canonicalize().unwrap();
    assert_eq!(path, folder.join("uso-pictures/hero-1.png"));
    image::open(path).unwrap();
    assert_eq!(done["seed"], 7);

    let again = agent.ok("result", json!({ "id": done["id"] })).await;
    assert_eq!(again, done);
    let listing = agent.ok("list", json!({})).await;
    assert_eq!(listing["jobs"][0]["id"], done["id"]);
    assert_eq!(listing["budget_usd"], 1.0);
    assert_eq!(listing["spent_or_reserved_usd"], done["billed_usd"]);
    let late = agent.refused("cancel", json!({ "id": "hero" })).await;
    assert_eq!(late["error"], "not_allowed", "{late}");
    assert_eq!(agent.close().await, Some(0));
    assert_eq!(scene.bought(), 1);
    let talk = std::fs::read_to_string(scene.cli.folder().join("talk")).unwrap();
    assert!(talk.contains("submit"), "{talk}");
    for secret in ["test-secret", "a lighthouse in ink"] {
        assert!(!talk.contains(secret), "{talk}");
    }
}

/// Cancels `second`, which waits in the queue behind `first`.
async fn cancel_a_queued_job(scenario: Scenario) -> (Scene, Agent) {
    let builder = Rig::plain_builder().inference_time(Duration::from_secs(3600));
    let scene = Scene::of(builder.concurrency(1).scenario(scenario)).await;
    let mut agent = scene.agent(&[]).await;
    agent.ok("buy", wish("first")).await;
    agent.ok("buy", wish("second")).await;
    let cancelled = agent.ok("cancel", json!({ "id": "second" })).await;
    let outcome = cancelled["outcome"].as_str().unwrap();
    assert!(outcome.contains("not billed"), "{cancelled}");
    (scene, agent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_job_is_cancelled() {
    let (_scene, mut agent) = cancel_a_queued_job(Scenario::new()).await;
    let both = agent
        .ok("wait", json!({ "ids": ["first", "second"], "seconds": 0 }))
        .await;
    assert_eq!(both["jobs"][0]["status"], "submitted", "{both}");
    assert_eq!(both["all_ended"], false);
    // The watch of the job sees its end.
    let ended = agent
        .ok("wait", json!({ "ids": ["second"], "seconds": 25 }))
        .await;
    let ended = match ended["all_ended"] == true {
        true => ended,
        false => {
            let again = json!({ "ids": ["second"], "seconds": 25 });
            agent.ok("wait", again).await
        }
    };
    assert_eq!(ended["jobs"][0]["status"], "cancelled", "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_does_not_wait_for_a_result() {
    // A request for the result of any job is never answered.
    let silent = Scenario::new().on(Operation::Result, Fault::Hang).always();
    cancel_a_queued_job(silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_tools_is_small_and_says_what_each_does_to_money() {
    let scene = Scene::plain().await;
    let mut agent = scene.agent(&[]).await;
    let mut answer = agent.ask("tools/list", json!({})).await;
    let tools = answer["result"]["tools"].take();
    let size = tools.to_string().len();
    assert!(size < 6 << 10, "{size} bytes");
    let names: Vec<&str> = tools
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["estimate", "buy", "wait", "result", "list", "cancel"]
    );
    for tool in tools.as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{name}");
        assert_eq!(tool["outputSchema"]["type"], "object", "{name}");
        let reads = ["estimate", "result", "list"].contains(&name);
        assert_eq!(tool["annotations"]["readOnlyHint"], reads, "{name}");
    }
    let buy = &tools[1];
    let required: Vec<&str> = buy["inputSchema"]["required"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(required, ["content", "label", "max_cost_usd"]);
    let label = buy["inputSchema"]["properties"]["label"]["description"].as_str();
    assert!(
        label.unwrap().contains("keeps its label in every call"),
        "{label:?}"
    );
    assert_eq!(buy["annotations"]["idempotentHint"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists_and_long_prompts_make_no_large_answers() {
    let scene = Scene::plain().await;
    let mut agent = scene.agent(&["--budget", "9"]).await;
    for number in 0..12 {
        let mut wish = wish(&format!("{}-{number:02}", "x".repeat(61)));
        wish["prompt"] = json!("words ".repeat(800));
        agent.ok("buy", wish).await;
    }
    let first = agent.ok("list", json!({})).await;
    let jobs = first["jobs"].as_array().unwrap();
    assert_eq!((jobs.len(), &first["more"]), (10, &json!(true)));
    let rest = agent.ok("list", json!({ "before": jobs[9]["id"] })).await;
    assert_eq!(rest["jobs"].as_array().unwrap().len(), 2);
    assert_eq!(rest["more"], false);
    let ids: Vec<&Value> = jobs.iter().take(8).map(|job| &job["label"]).collect();
    let waited = agent.ok("wait", json!({ "ids": ids, "seconds": 25 })).await;
    assert_eq!(waited["all_ended"], true, "{waited}");
}
