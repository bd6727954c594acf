//! What must show nowhere: the key, the prompts, the pictures.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use uso::webhook::{FalKeys, Receiver};
use uso::{Client, Request};
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Rig, content, style};

use crate::proxy::{ALICE, BOB, KEY, Served};
use crate::webhook::Hook;

const PROMPT: &str = "a-prompt-that-stays-private";
const NEGATIVE_PROMPT: &str = "a-negative-prompt-that-stays-private";
/// The secret of the rig's key, and what every data URI has in it.
const SECRETS: [&str; 4] = ["test-secret", PROMPT, NEGATIVE_PROMPT, "base64,"];

/// Everything that is logged, at every level, by us and by the libraries below.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        self.text_of("uso_transport")
    }

    /// Everything, if this crate wrote any of it.
    fn text_of(&self, writer: &str) -> String {
        let text = String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned();
        assert!(
            text.contains(writer),
            "the log was written: {} bytes",
            text.len()
        );
        text
    }
}

fn subscriber_of(log: &Log) -> impl tracing::Subscriber + use<> {
    tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_max_level(LevelFilter::TRACE)
        .finish()
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn request() -> Request {
    let request = Request::styled_scene(content(), style(), PROMPT);
    request.negative_prompt(NEGATIVE_PROMPT)
}

/// One whole job, with everything that can be shown of it written down.
async fn told(client: &Client, scene: &mut String) {
    told_of(client, request(), scene).await;
}

async fn told_of(client: &Client, request: Request, scene: &mut String) {
    write!(scene, "{client:?} {:?} {request:?}", client.config()).unwrap();
    let prepared = client.prepare(request).await.unwrap();
    let intent = serde_json::to_string(prepared.order().intent()).unwrap();
    write!(scene, "{prepared:?} {intent}").unwrap();
    let outcome = match client.place(prepared.order()).await {
        Ok(job) => {
            let ticket = serde_json::to_string(job.ticket()).unwrap();
            write!(scene, "{job:?} {ticket}").unwrap();
            job.wait_with(|event| write!(scene, "{event:?}").unwrap())
                .await
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok(output) => write!(scene, "{output:?} {:?}", output.images()).unwrap(),
        Err(error) => {
            write!(scene, "{error} {error:?} {error:#?} {:?}", error.problems()).unwrap();
            let mut cause = std::error::Error::source(&error);
            while let Some(found) = cause {
                write!(scene, "{found} {found:?}").unwrap();
                cause = found.source();
            }
        }
    }
}

#[tokio::test]
async fn no_log_error_debug_or_ticket_shows_a_secret() {
    let log = Log::default();
    let guard = uso_tests::rig::observe(subscriber_of(&log));
    let echo = format!(
        r#"{{"detail":[{{"loc":["body","prompt"],"msg":"bad data:image/png;base64,{}","type":"value_error","input":"{PROMPT}"}}]}}"#,
        "A".repeat(200)
    );
    let echo = serde_json::from_str(&echo).unwrap();
    let scenarios = [
        Scenario::new(),
        Scenario::new().on(
            Operation::Submit,
            Fault::ModelAnswers {
                status: 422,
                body: echo,
            },
        ),
        Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop),
        Scenario::new()
            .on(Operation::Submit, Fault::AcceptThenGatewayPage(502))
            .on(Operation::Listing, Fault::Forbidden),
        Scenario::new().on(Operation::Submit, Fault::Locked),
        Scenario::new().on(Operation::Submit, Fault::Unauthorized),
        Scenario::new().on(Operation::Stream, Fault::CutMidEvent),
        Scenario::new().on(Operation::Result, Fault::Undecodable),
        Scenario::new().on(Operation::Result, Fault::Drop),
    ];
    let mut scene = String::new();
    for scenario in scenarios {
        let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
        told(&rig.client, &mut scene).await;
    }
    drop(guard);
    let log = log.text();
    for secret in SECRETS {
        for (name, text) in [("log", &log), ("scene", &scene)] {
            lacks(text, name, secret);
        }
    }
}

/// Fails with what stands before the secret, where it is found.
fn lacks(text: &str, name: &str, secret: &str) {
    if let Some((before, _)) = text.split_once(secret) {
        let around: Vec<char> = before.chars().rev().take(300).collect();
        let around: String = around.into_iter().rev().collect();
        panic!("{secret} is in the {name}, after: {around}");
    }
}

#[tokio::test]
async fn nothing_but_the_request_itself_shows_the_address_of_a_webhook() {
    let log = Log::default();
    let mut scene = String::new();
    let mut hook = Hook::start().await;
    let mut paths = Vec::new();
    for scenario in [
        Scenario::new(),
        Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop),
        Scenario::new()
            .on(Operation::Submit, Fault::AcceptThenGatewayPage(502))
            .on(Operation::Listing, Fault::Forbidden),
        Scenario::new().on(Operation::Webhook, Fault::Tamper),
    ] {
        let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
        let guard = uso_tests::rig::observe(subscriber_of(&log));
        told_of(&rig.client, request().webhook(&hook.url), &mut scene).await;
        let keys = FalKeys::new(rig.client.config()).unwrap();
        let receiver = Receiver::new(keys);
        let request = hook.next().await;
        paths.push(request.uri().path().to_owned());
        let received = receiver.receive(request).await;
        write!(scene, "{received:?} {receiver:?}").unwrap();
        let requests = rig.emulator.requests();
        write!(scene, "{requests:?} {:?}", rig.emulator.webhook_attempts()).unwrap();
        drop(guard);
    }
    let log = log.text();
    for path in paths {
        let attempt_id = path.rsplit('/').next().unwrap();
        assert_eq!(attempt_id.len(), 32, "{path}");
        lacks(&log, "log", attempt_id);
        lacks(&scene, "scene", attempt_id);
    }
}

#[tokio::test]
async fn the_proxy_shows_neither_the_key_nor_a_token_nor_an_input() {
    const WRONG: &str = "a-wrong-token-0123456789";
    let log = Log::default();
    let guard = uso_tests::rig::observe(subscriber_of(&log));
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .on(Operation::Submit, Fault::Unauthorized)
        .on(Operation::Submit, Fault::Locked);
    let served = Served::of(Rig::plain_builder().scenario(scenario)).await;
    let mut scene = format!("{:?}", served.proxy);
    for seed in 0..5 {
        let input = serde_json::json!({
            "input_image_urls": ["data:image/png;base64,AAAA"],
            "prompt": PROMPT,
            "negative_prompt": NEGATIVE_PROMPT,
            "seed": seed,
        });
        for token in [ALICE, WRONG] {
            let answer = served.submit(token, &input).send().await.unwrap();
            write!(scene, "{answer:?}").unwrap();
            scene += &answer.text().await.unwrap();
        }
        // A place that was first reached by a test without a log may have been taken for silent.
        tracing::callsite::rebuild_interest_cache();
    }
    for record in served.records(5).await {
        let json = serde_json::to_string(&record).unwrap();
        write!(scene, "{record:?} {json}").unwrap();
    }
    drop(guard);
    let log = log.text_of("uso_proxy::purchase");
    let (id, secret) = KEY.split_once(':').unwrap();
    for hidden in [
        id,
        secret,
        ALICE,
        BOB,
        WRONG,
        PROMPT,
        NEGATIVE_PROMPT,
        "base64,",
    ] {
        lacks(&log, "log", hidden);
        lacks(&scene, "scene", hidden);
    }
}

/// An address of an upload is a credential, and so is the CDN's token.
#[tokio::test]
async fn no_upload_shows_its_address_or_its_token() {
    const TOKEN: &str = "a-token-that-stays-private";
    const ADDRESS: &str = "http://example.org/uploads/a-way-in-for-everybody";
    let log = Log::default();
    let guard = uso_tests::rig::observe(subscriber_of(&log));
    let closed = || Scenario::new().on(Operation::Initiate, Fault::Gone);
    let token =
        format!(r#"{{"token":"{TOKEN}","token_type":"Bearer","base_url":"http://example.org"}}"#);
    let address = format!(r#"{{"upload_url":"{ADDRESS}","file_url":"https://example.org/a"}}"#);
    let scenarios = [
        Scenario::new(),
        closed(),
        closed().on(Operation::Token, Fault::Body(token)),
        closed().on(Operation::Token, Fault::Status(500)).times(9),
        closed().on(Operation::Upload, Fault::TokenExpired),
        Scenario::new()
            .on(Operation::Initiate, Fault::Body(address))
            .on(Operation::Token, Fault::Undecodable),
        Scenario::new().on(Operation::Upload, Fault::Drop),
        Scenario::new()
            .on(Operation::Upload, Fault::Forbidden)
            .on(Operation::Token, Fault::Forbidden),
    ];
    let mut scene = String::new();
    for scenario in scenarios {
        let rig = Rig::configured(Rig::plain_builder().scenario(scenario), |config| {
            config.retry(uso::config::RetryPolicy::default().first_delay(std::time::Duration::ZERO))
        });
        let rig = rig.await;
        let source = uso::upload::Source::file(content()).await.unwrap();
        let mut upload = uso::upload::Upload::new(source);
        let uploaded = rig.client.upload(&mut upload).await;
        write!(scene, "{:?} {upload:?} {uploaded:?}", rig.client).unwrap();
        if let Err(error) = uploaded {
            write!(scene, "{error} {error:#?} {:?}", error.raw_body()).unwrap();
        }
    }
    drop(guard);
    let log = log.text();
    for secret in ["test-secret", "signature=", "Bearer ", TOKEN, ADDRESS] {
        assert!(!scene.contains(secret), "{secret}: {scene}");
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
