//! `uso proxy` as its operator sees it.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Cli, Rig, Run};

use super::signals::send;
use super::uso;

/// Long enough for anything here to happen; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(20);
const TOKEN: &str = "a-token-0123456789";
const ORIGIN: [&str; 2] = ["--allow-origin", "https://app.example"];

#[test]
fn a_proxy_that_would_serve_nobody_or_anybody_does_not_start() {
    let listen = ["proxy", "--listen", "127.0.0.1:0"];
    let cases: &[(&[&str], &str, i32, &str)] = &[
        (&ORIGIN, "", 2, "USO_PROXY_TOKEN"),
        (&ORIGIN, "short-secret", 2, "16"),
        (&ORIGIN, "a blank in the middle", 2, "blank"),
        (&[], TOKEN, 2, "--allow-origin"),
        (&["--allow-origin", "*"], TOKEN, 2, "any page"),
        (&["--allow-origin", "app.example"], TOKEN, 2, "is not a URL"),
        (&ORIGIN, TOKEN, 1, "FAL_KEY"),
        (&["--spend-per-day", "much"], TOKEN, 2, "0.25"),
    ];
    for (arguments, token, code, expected) in cases {
        let cli = uso().variable("USO_PROXY_TOKEN", token);
        let run = cli.run(&[&listen, *arguments].concat());
        assert_eq!((run.code, run.stdout.as_str()), (*code, ""), "{run:?}");
        assert!(run.stderr.contains(expected), "{expected}: {run:?}");
        for secret in ["short-secret", "a blank in the middle", TOKEN] {
            assert!(!run.stderr.contains(secret), "{run:?}");
        }
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let cli = uso().variable("USO_PROXY_TOKEN", TOKEN);
    let run = cli.run(&[&["proxy", "--emulator", "--listen", &address], &ORIGIN[..]].concat());
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains(&address), "{run:?}");
    let help = cli.run(&["proxy", "--help"]);
    assert!(
        help.stdout.contains("USO_PROXY_TOKEN") && !help.stdout.contains(TOKEN),
        "{help:?}"
    );
}

/// A proxy of the command's, its address, and its further lines.
fn start(cli: &Cli, more: &[&str]) -> (std::process::Child, String, impl Iterator<Item = Value>) {
    let listen = ["--json", "proxy", "--listen", "127.0.0.1:0"];
    let mut command = cli.command(&[&listen[..], &ORIGIN, more].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let url = lines.next().unwrap()["proxy"].as_str().unwrap().to_owned();
    (child, url, lines)
}

fn submit(url: &str, token: &str, seed: u64) -> reqwest::RequestBuilder {
    let input = json!({ "input_image_urls": ["https://example.org/a.png"], "seed": seed });
    let client = crate::emulator::http(rustls::RootCertStore::empty(), &[]);
    let request = client.build().unwrap().post(url);
    request
        .header("x-fal-target-url", "https://queue.fal.run/fal-ai/uso")
        .header("authorization", format!("Bearer {token}"))
        .body(input.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_tells_each_purchase_and_ends_after_the_last() {
    let late = Duration::from_secs(300);
    for leaves_it in [false, true] {
        let scenario = Scenario::new()
            .on(Operation::Submit, Fault::Delay(Duration::ZERO))
            .on(Operation::Submit, Fault::Delay(late));
        let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
        let cli = uso()
            .at(&rig.emulator.origin())
            .variable("USO_PROXY_TOKEN", &format!("{TOKEN},another-{TOKEN}"));
        let (mut child, url, mut lines) = start(&cli, &[]);
        let answer = submit(&url, &format!("another-{TOKEN}"), 1).send().await;
        assert_eq!(answer.unwrap().status(), 200);
        let record = lines.next().unwrap();
        let purchase = &rig.emulator.ledger().purchases()[0].request_id.clone();
        assert_eq!(
            (&record["caller"], &record["request_id"], &record["status"]),
            (&json!("token-2"), &json!(purchase), &json!(200))
        );

        let waiting = tokio::spawn(submit(&url, TOKEN, 2).send());
        while rig.emulator.ledger().purchases().len() < 2 {
            tokio::task::yield_now().await;
        }
        send("-INT", &child);
        let talk = BufReader::new(child.stderr.take().unwrap());
        let mut talk = talk.lines().map(Result::unwrap);
        assert!(talk.any(|line| line.contains("stopping")));
        if leaves_it {
            send("-INT", &child);
        } else {
            rig.emulator.advance(late);
        }
        let answer = waiting.await.unwrap();
        let rest: Vec<Value> = lines.collect();
        let run = Run::of(&child.wait_with_output().unwrap());
        if leaves_it {
            // The page hears of it, if there is time.
            assert!(answer.map_or(true, |answer| answer.status() == 502));
            assert_eq!(run.code, 6, "{run:?}");
            // What was under way is recorded all the same.
            assert_eq!(rest[0]["caller"], "token-1", "{rest:?}");
            assert_eq!(rest[0]["delivery"], "unknown", "{rest:?}");
            assert_eq!(rest[1]["error"]["kind"], "outcome_unknown", "{rest:?}");
        } else {
            assert_eq!(answer.unwrap().status(), 200);
            assert_eq!(run.code, 0, "{run:?}");
            assert_eq!(rest[0]["caller"], "token-1", "{rest:?}");
        }
        assert_eq!(rest.len(), 1 + usize::from(leaves_it), "{rest:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_recorded_is_not_bought() {
    let rig = Rig::plain().await;
    let cli = uso()
        .at(&rig.emulator.origin())
        .variable("USO_PROXY_TOKEN", TOKEN);
    let (child, url, lines) = start(&cli, &[]);
    drop(lines);
    let first = submit(&url, TOKEN, 1).send().await.unwrap();
    assert_eq!(first.status(), 200);
    let id: Value = serde_json::from_slice(&first.bytes().await.unwrap()).unwrap();
    let id = id["request_id"].as_str().unwrap();
    // It is recorded by a thread of its own, so a second one may still be bought.
    let mut seed = 2;
    let refused = async {
        loop {
            let answer = submit(&url, TOKEN, seed).send().await.unwrap();
            if answer.status() != 200 {
                return answer;
            }
            seed += 1;
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.text().await.unwrap().contains("recorded"));
    send("-TERM", &child);
    let run = Run::of(&child.wait_with_output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    let bought = rig.emulator.ledger().purchases().len();
    assert!(run.stderr.contains(id), "{run:?}");
    assert_eq!(run.stderr.matches(" submit ").count(), bought, "{run:?}");
    assert_eq!(run.stderr.matches("could not be recorded").count(), 1);
}

/// A terminal that takes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stdout_that_is_full_does_not_hold_the_pages_up() {
    let rig = Rig::of(Rig::plain_builder().concurrency(64)).await;
    let cli = uso()
        .at(&rig.emulator.origin())
        .variable("USO_PROXY_TOKEN", TOKEN);
    let more = ["--spend-per-day", "1000", "--requests-per-minute", "10000"];
    let (child, url, lines) = start(&cli, &more);
    // A pipe takes 64 KiB, and a record has more than 200 bytes.
    for seed in 0..400 {
        let answer = submit(&url, TOKEN, seed).send();
        let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap();
        assert_eq!(answer.unwrap().status(), 200, "{seed}");
    }
    send("-TERM", &child);
    assert_eq!(lines.count(), 400);
    assert_eq!(Run::of(&child.wait_with_output().unwrap()).code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_starts_an_emulator_when_it_is_told_to() {
    let cli = uso().variable("USO_PROXY_TOKEN", TOKEN);
    let (child, url, mut lines) = start(&cli, &["--emulator", "--spend-per-day", "0.15"]);
    let statuses = [submit(&url, TOKEN, 1), submit(&url, TOKEN, 2)]
        .map(|request| async { request.send().await.unwrap().status().as_u16() });
    let [first, second] = statuses;
    assert_eq!((first.await, second.await), (200, 429));
    assert_eq!(lines.next().unwrap()["estimated_micro_dollars"], 104_858);
    send("-TERM", &child);
    assert_eq!(Run::of(&child.wait_with_output().unwrap()).code, 0);
}
