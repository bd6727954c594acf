//! `uso proxy` as its operator sees it.

mod restarts;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Cli, Rig, Run, until};

use super::signals::send;
use super::uso;

/// Long enough for anything here to happen; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const TOKEN: &str = "a-token-0123456789";
/// The names of the callers with this token and with `another-` in front of it.
pub(crate) const NAME: &str = "token-3751c7581cd3037e";
const ANOTHER_NAME: &str = "token-c55962441a871566";
const ORIGIN: [&str; 2] = ["--allow-origin", "https://app.example"];

#[test]
fn a_proxy_that_would_let_in_no_caller_or_any_page_does_not_start() {
    let listen = ["proxy", "--listen", "127.0.0.1:0"];
    let cases: &[(&[&str], &str, i32, &str)] = &[
        (&ORIGIN, "", 2, "USO_PROXY_TOKEN"),
        (&ORIGIN, "short-secret", 2, "16"),
        (&ORIGIN, "a blank in the middle", 2, "blank"),
        (&[], TOKEN, 2, "--allow-origin"),
        (&["--allow-origin", "*"], TOKEN, 2, "any page"),
        (&["--allow-origin", "app.example"], TOKEN, 2, "is not a URL"),
        (&ORIGIN, TOKEN, 4, "FAL_KEY"),
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
pub(crate) fn start(
    cli: &Cli,
    more: &[&str],
) -> (
    std::process::Child,
    String,
    impl Iterator<Item = Value> + use<>,
) {
    let listen = ["--json", "proxy", "--listen", "127.0.0.1:0"];
    let mut command = cli.command(&[&listen[..], &ORIGIN, more].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let started = lines.next().unwrap();
    let callers = started["callers"].as_array().unwrap().iter();
    let names: Vec<&str> = callers.map(|name| name.as_str().unwrap()).collect();
    assert!(names[0].starts_with("token-"), "{started}");
    let url = started["proxy"].as_str().unwrap().to_owned();
    (child, url, lines)
}

pub(crate) fn submit(url: &str, token: &str, seed: u64) -> reqwest::RequestBuilder {
    let input = json!({ "input_image_urls": ["https://example.org/a.png"], "seed": seed });
    let client = crate::emulator::http(rustls::RootCertStore::empty(), &[]);
    let request = client.build().unwrap().post(url);
    request
        .header("x-fal-target-url", "https://queue.fal.run/fal-ai/uso")
        .header("authorization", format!("Bearer {token}"))
        .body(input.to_string())
}

/// The HTTP status of a request's status, asked for through a proxy.
pub(crate) async fn status(url: &str, token: &str, id: &str) -> u16 {
    let client = crate::emulator::http(rustls::RootCertStore::empty(), &[]);
    let target = format!("https://queue.fal.run/fal-ai/uso/requests/{id}/status");
    let request = client.build().unwrap().get(url);
    let request = request
        .header("x-fal-target-url", target)
        .header("authorization", format!("Bearer {token}"));
    request.send().await.unwrap().status().as_u16()
}

/// Buys a job through a proxy and gives its id.
pub(crate) async fn bought(url: &str, token: &str, seed: u64) -> String {
    let bought = submit(url, token, seed).send().await.unwrap();
    assert_eq!(bought.status(), 200);
    let bought: Value = serde_json::from_slice(&bought.bytes().await.unwrap()).unwrap();
    bought["request_id"].as_str().unwrap().to_owned()
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
        let before = lines.next().unwrap();
        assert_eq!(
            (&before["caller"], &before["request_id"], &before["outcome"]),
            (&json!(ANOTHER_NAME), &Value::Null, &Value::Null)
        );
        let record = lines.next().unwrap();
        assert_eq!(
            (&record["id"], &record["at"]),
            (&before["id"], &before["at"])
        );
        let purchase = &rig.emulator.ledger().purchases()[0].request_id.clone();
        assert_eq!(
            (&record["caller"], &record["request_id"], &record["status"]),
            (&json!(ANOTHER_NAME), &json!(purchase), &json!(200))
        );

        let waiting = tokio::spawn(submit(&url, TOKEN, 2).send());
        let is_bought = || rig.emulator.ledger().purchases().len() == 2;
        until("the second purchase", is_bought).await;
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
        let mut rest: Vec<Value> = lines.collect();
        let before = rest.remove(0);
        assert_eq!(before["outcome"], Value::Null, "{before}");
        assert_eq!(rest[0]["id"], before["id"]);
        let run = Run::of(&child.wait_with_output().unwrap());
        if leaves_it {
            // The page gets a response, if there is time.
            assert!(answer.map_or(true, |answer| answer.status() == 502));
            assert_eq!(run.code, 6, "{run:?}");
            // The open purchase is recorded all the same.
            assert_eq!(rest[0]["caller"], NAME, "{rest:?}");
            assert_eq!(rest[0]["delivery"], "unknown", "{rest:?}");
            assert_eq!(rest[0]["outcome"], "unknown", "{rest:?}");
            assert_eq!(rest[1]["error"]["kind"], "outcome_unknown", "{rest:?}");
        } else {
            assert_eq!(answer.unwrap().status(), 200);
            assert_eq!(run.code, 0, "{run:?}");
            assert_eq!(rest[0]["caller"], NAME, "{rest:?}");
        }
        assert_eq!(rest.len(), 1 + usize::from(leaves_it), "{rest:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_not_told_why_the_journal_fails_and_the_operator_is() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let journal = cli.folder().join("journal.db");
    let cli = cli
        .variable("USO_JOURNAL", journal.to_str().unwrap())
        .variable("USO_PROXY_TOKEN", TOKEN);
    let (child, url, _lines) = start(&cli, &[]);
    let fault = "CREATE TRIGGER fault BEFORE INSERT ON relay \
                 BEGIN SELECT RAISE(ABORT, 'no space is left'); END";
    let database = rusqlite::Connection::open(&journal).unwrap();
    database.execute_batch(fault).unwrap();
    let refused = submit(&url, TOKEN, 1).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    let text = refused.text().await.unwrap();
    let expected = "\"the records of purchases are not available; nothing was sent\"";
    assert_eq!(text, expected);
    send("-TERM", &child);
    let run = Run::of(&child.wait_with_output().unwrap());
    for told in ["no space is left", "nothing is bought"] {
        assert!(run.stderr.contains(told), "{told}: {run:?}");
    }
    assert!(rig.operations().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_that_cannot_be_recorded_is_not_sent() {
    let rig = Rig::plain().await;
    let cli = uso()
        .at(&rig.emulator.origin())
        .variable("USO_PROXY_TOKEN", TOKEN);
    let (child, url, lines) = start(&cli, &[]);
    drop(lines);
    for seed in 0..3 {
        let refused = submit(&url, TOKEN, seed).send().await.unwrap();
        assert_eq!(refused.status(), 503);
        let text = refused.text().await.unwrap();
        assert!(
            text.contains("records") && text.contains("nothing was sent"),
            "{text}"
        );
    }
    send("-TERM", &child);
    let run = Run::of(&child.wait_with_output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("stdout cannot be written"), "{run:?}");
    assert!(rig.operations().is_empty());
}

/// A kill leaves the line before the purchase.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_proxy_has_recorded_every_purchase_before_it() {
    let delay = Fault::Delay(Duration::from_secs(300));
    let scenario = Scenario::new().on(Operation::Submit, delay).always();
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let cli = uso()
        .at(&rig.emulator.origin())
        .variable("USO_PROXY_TOKEN", TOKEN);
    let (mut child, url, lines) = start(&cli, &[]);
    let waiting: Vec<_> = (0..5)
        .map(|seed| tokio::spawn(submit(&url, TOKEN, seed).send()))
        .collect();
    let are_bought = || rig.emulator.ledger().purchases().len() == waiting.len();
    until("every purchase", are_bought).await;
    child.kill().unwrap();
    child.wait().unwrap();
    for waiting in waiting {
        assert!(waiting.await.unwrap().is_err());
    }
    let lines: Vec<Value> = lines.collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert!(
        lines.iter().all(|line| line["outcome"].is_null()),
        "{lines:?}"
    );
}

/// A terminal that takes no line stops the purchases, and a reader that comes back starts them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_bought_while_stdout_takes_no_line() {
    let rig = Rig::of(Rig::plain_builder().concurrency(64)).await;
    let cli = uso()
        .at(&rig.emulator.origin())
        .variable("USO_PROXY_TOKEN", TOKEN);
    let more = ["--spend-per-day", "1000", "--requests-per-minute", "10000"];
    let (child, url, mut lines) = start(&cli, &more);
    let mut seed = 0;
    let refused = loop {
        let answer = submit(&url, TOKEN, seed).send();
        let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap();
        let answer = answer.unwrap();
        if answer.status() != 200 {
            break answer;
        }
        seed += 1;
        assert!(seed < 1000, "it never stops buying");
    };
    assert_eq!(refused.status(), 503);
    let text = refused.text().await.unwrap();
    assert!(text.contains("nothing was sent"), "{text}");
    let bought = rig.emulator.ledger().purchases().len();
    assert_eq!(
        submit(&url, TOKEN, 2000).send().await.unwrap().status(),
        503
    );
    assert_eq!(rig.emulator.ledger().purchases().len(), bought);

    // The reader is back.
    let reader = std::thread::spawn(move || {
        let mut begun = std::collections::HashSet::new();
        while begun.len() <= bought {
            let line = lines.next().unwrap();
            let id = line["id"].as_str().unwrap().to_owned();
            match line["outcome"].as_str() {
                None => assert!(begun.insert(id)),
                Some("not_bought") => assert!(begun.remove(&id)),
                Some(_) => assert!(begun.contains(&id)),
            }
        }
        lines.for_each(drop);
    });
    let again = async { while submit(&url, TOKEN, 3000).send().await.unwrap().status() != 200 {} };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
    send("-TERM", &child);
    reader.join().unwrap();
    assert_eq!(rig.emulator.ledger().purchases().len(), bought + 1);
    let run = Run::of(&child.wait_with_output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("stdout takes no line"), "{run:?}");
}

/// Opens thousands of connections that send nothing, and half a head.
pub(crate) async fn silent(address: &str) -> Vec<tokio::net::TcpStream> {
    use tokio::io::AsyncWriteExt as _;
    let mut open = Vec::new();
    for number in 0..4000 {
        let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
        if number % 2 == 1 {
            // It may be closed already, to make room.
            let _ = connection.write_all(b"POST / HTTP/1.1\r\nhost: p").await;
        }
        open.push(connection);
    }
    open
}

/// The shortest of three times, since the machine may be busy with another test.
pub(crate) async fn shortest<F: Future<Output = ()>>(mut call: impl FnMut() -> F) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..3 {
        let started = std::time::Instant::now();
        call().await;
        shortest = shortest.min(started.elapsed());
    }
    shortest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_thousand_silent_connections_do_not_delay_a_caller() {
    let rig = Rig::plain().await;
    let cli = uso()
        .at(&rig.emulator.origin())
        .variable("USO_PROXY_TOKEN", TOKEN);
    let (child, url, lines) = start(&cli, &[]);
    let address = url.trim_start_matches("http://").split('/').next().unwrap();
    let open = silent(address).await;
    let mut seed = 0;
    let took = shortest(|| {
        seed += 1;
        let request = submit(&url, TOKEN, seed);
        async move {
            let answer = tokio::time::timeout(PATIENCE, request.send()).await;
            assert_eq!(answer.unwrap().unwrap().status(), 200);
        }
    })
    .await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    drop(open);
    send("-TERM", &child);
    assert_eq!(lines.count(), 6);
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
