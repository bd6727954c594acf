//! Proxies that keep their records in one journal: a file, or a database of a server.

use std::io::{BufRead as _, BufReader};
use std::process::Child;

use serde_json::Value;
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::postgres;
use uso_tests::rig::{Cli, Rig, Run, until};

use super::server;
use crate::cli::proxy::{TOKEN, start, submit};

const PROGRAM: &str = env!("CARGO_BIN_EXE_uso-under-test");

/// A command line whose journal is a file, and one whose journal is on a server.
async fn machines(rig: &Rig, test: &str) -> Vec<(Cli, Option<String>)> {
    let cli = || {
        let cli = Cli::new(PROGRAM).at(&rig.emulator.origin());
        cli.variable("USO_PROXY_TOKEN", TOKEN)
    };
    let mut machines = vec![(cli(), None)];
    if let Some(server) = server(test) {
        let place = server.database().await;
        machines.push((cli().variable("USO_JOURNAL", &place), Some(place)));
    }
    machines
}

fn stop(proxy: Child) -> Run {
    let id = proxy.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-s", "INT", &id])
        .status();
    assert!(sent.unwrap().success());
    Run::of(&proxy.wait_with_output().unwrap())
}

/// The status of a request, asked for through a proxy.
async fn status(url: &str, id: &str) -> u16 {
    let client = crate::emulator::http(rustls::RootCertStore::empty(), &[]);
    let target = format!("https://queue.fal.run/fal-ai/uso/requests/{id}/status");
    let request = client.build().unwrap().get(url);
    let request = request
        .header("x-fal-target-url", target)
        .header("authorization", format!("Bearer {TOKEN}"));
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_proxies_share_owners_and_spending_and_a_restart_forgets_nothing() {
    let rig = Rig::plain().await;
    for (cli, _) in machines(&rig, "proxies::two").await {
        let before = rig.emulator.ledger().purchases().len();
        let limit = ["--spend-per-day", "0.25"];
        let (one, first, _lines) = start(&cli, &limit);
        let (two, second, _more_lines) = start(&cli, &limit);
        let bought = submit(&first, TOKEN, 1).send().await.unwrap();
        assert_eq!(bought.status(), 200);
        let bought: Value = serde_json::from_slice(&bought.bytes().await.unwrap()).unwrap();
        let id = bought["request_id"].as_str().unwrap();
        assert_eq!(
            status(&second, id).await,
            200,
            "the other proxy knows the owner"
        );
        let other = submit(&second, TOKEN, 2).send().await.unwrap();
        assert_eq!(other.status(), 200);
        for url in [&first, &second] {
            let refused = submit(url, TOKEN, 3).send().await.unwrap();
            assert_eq!(refused.status(), 429, "two of 10 cents fit into 25");
        }
        for proxy in [one, two] {
            let run = stop(proxy);
            assert_eq!(run.code, 0, "{run:?}");
        }

        let (three, third, _lines) = start(&cli, &limit);
        assert_eq!(status(&third, id).await, 200, "a restart forgets no owner");
        let refused = submit(&third, TOKEN, 4).send().await.unwrap();
        assert_eq!(refused.status(), 429, "a restart forgets no spending");
        stop(three);
        assert_eq!(rig.emulator.ledger().purchases().len(), before + 2);

        let listed = cli.run(&["list", "--all", "--json"]).json();
        let text = listed.to_string();
        assert_eq!(text.matches("\"handed_over\"").count(), 2, "{listed}");
        let resumed = cli.run(&["resume"]);
        assert_eq!(resumed.code, 0, "{resumed:?}");
        assert_eq!(rig.emulator.ledger().purchases().len(), before + 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_of_a_proxy_that_was_killed_is_told_and_not_repeated() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenHang)
        .always();
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    for (cli, place) in machines(&rig, "proxies::killed").await {
        let before = rig.emulator.ledger().purchases().len();
        let (mut killed, url, _lines) = start(&cli, &[]);
        let waiting = tokio::spawn(submit(&url, TOKEN, 1).send());
        let bought = || rig.emulator.ledger().purchases().len();
        until("the purchase", || bought() > before).await;
        killed.kill().unwrap();
        killed.wait().unwrap();
        assert!(waiting.await.unwrap().is_err());
        if let Some(place) = &place {
            // The lease of the killed proxy ends, as time ends it.
            postgres::run(place, "DELETE FROM uso.worker").await;
        }
        let (mut again, url, _lines) = start(&cli, &[]);
        let talk = BufReader::new(again.stderr.take().unwrap()).lines();
        let told = talk
            .map(Result::unwrap)
            .find(|line| line.contains("the outcome is unknown"));
        assert!(
            told.unwrap().contains("token-1"),
            "the restart tells whose it was"
        );
        let repeated = submit(&url, TOKEN, 1).send().await.unwrap();
        assert_eq!(repeated.status(), 409);
        assert_eq!(rig.emulator.ledger().purchases().len(), before + 1);
        again.kill().unwrap();
        again.wait().unwrap();
    }
}
