//! Proxies that are killed and started again: with other tokens, and after their journal failed.

use std::process::{Child, Output};
use std::time::Duration;

use serde_json::Value;
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Rig, until};

use super::{TOKEN, bought, start, status, submit};
use crate::cli::uso;

const OTHER: &str = "other-token-0123456789";

fn kill(mut proxy: Child) -> Output {
    proxy.kill().unwrap();
    proxy.wait_with_output().unwrap()
}

fn tokens(tokens: &[&str]) -> String {
    tokens.join(",")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_and_spending_stay_their_callers_when_tokens_are_reordered_or_removed() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let cli = cli.variable("USO_PROXY_TOKEN", &tokens(&[TOKEN, OTHER]));
    // One picture of 10 cents fits.
    let limit = ["--spend-per-day", "0.15"];
    let (proxy, url, _lines) = start(&cli, &limit);
    let id = bought(&url, TOKEN, 1).await;
    kill(proxy);

    let cli = cli.variable("USO_PROXY_TOKEN", &tokens(&[OTHER, TOKEN]));
    let (proxy, url, _lines) = start(&cli, &limit);
    assert_eq!(status(&url, OTHER, &id).await, 404);
    assert_eq!(status(&url, TOKEN, &id).await, 200);
    let spent = submit(&url, TOKEN, 2).send().await.unwrap();
    assert_eq!(spent.status(), 429);
    bought(&url, OTHER, 3).await;
    kill(proxy);

    let cli = cli.variable("USO_PROXY_TOKEN", OTHER);
    let (proxy, url, _lines) = start(&cli, &limit);
    assert_eq!(status(&url, OTHER, &id).await, 404);
    assert_eq!(status(&url, TOKEN, &id).await, 401);
    kill(proxy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_that_is_repeated_after_tokens_were_reordered_is_not_bought_again() {
    let scenario = Scenario::new().on(Operation::Submit, Fault::AcceptThenHang);
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let cli = uso().at(&rig.emulator.origin());
    let cli = cli.variable("USO_PROXY_TOKEN", &tokens(&[TOKEN, OTHER]));
    let bought = || rig.emulator.ledger().purchases().len();
    let (proxy, url, _lines) = start(&cli, &[]);
    let waiting = tokio::spawn(submit(&url, TOKEN, 1).send());
    until("the purchase", || bought() == 1).await;
    kill(proxy);
    assert!(waiting.await.unwrap().is_err());

    let cli = cli.variable("USO_PROXY_TOKEN", &tokens(&[OTHER, TOKEN]));
    let (proxy, url, _lines) = start(&cli, &[]);
    let repeated = submit(&url, TOKEN, 1).send().await.unwrap();
    assert_eq!(repeated.status(), 409);
    assert_eq!(bought(), 1);
    kill(proxy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_id_survives_a_journal_that_cannot_be_written() {
    let late = Duration::from_secs(300);
    let scenario = Scenario::new().on(Operation::Submit, Fault::Delay(late));
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let cli = uso().at(&rig.emulator.origin());
    let journal = cli.folder().join("journal.db");
    let cli = cli
        .variable("USO_JOURNAL", journal.to_str().unwrap())
        .variable("USO_PROXY_TOKEN", &tokens(&[TOKEN, OTHER]));
    let (proxy, url, mut lines) = start(&cli, &[]);
    let buying = {
        let url = url.clone();
        tokio::spawn(async move { bought(&url, TOKEN, 1).await })
    };
    let is_bought = || rig.emulator.ledger().purchases().len() == 1;
    until("the purchase", is_bought).await;
    let database = rusqlite::Connection::open(&journal).unwrap();
    let fault = "CREATE TRIGGER fault BEFORE UPDATE ON relay \
                 BEGIN SELECT RAISE(ABORT, 'no space is left'); END";
    database.execute_batch(fault).unwrap();
    rig.emulator.advance(late);

    let id = buying.await.unwrap();
    assert_eq!(status(&url, TOKEN, &id).await, 200);
    assert_eq!(status(&url, OTHER, &id).await, 404);
    assert_eq!(lines.next().unwrap()["outcome"], Value::Null);
    let line = lines.next().unwrap();
    assert_eq!(line["request_id"], id.as_str(), "{line}");
    let recorded = || {
        let sql = "SELECT count(*) FROM relay WHERE request_id = ?1";
        let count = database.query_row(sql, [&id], |row| row.get::<_, u32>(0));
        count.unwrap()
    };
    assert_eq!(recorded(), 0);

    database.execute_batch("DROP TRIGGER fault").unwrap();
    until("the record", || recorded() == 1).await;
    assert_eq!(status(&url, TOKEN, &id).await, 200);
    let ended = kill(proxy);
    assert_eq!(lines.next(), None, "a purchase has two lines");
    let talk = String::from_utf8(ended.stderr).unwrap();
    let warning = talk.lines().find(|line| line.contains("no space is left"));
    assert!(warning.unwrap().contains(&id), "{talk}");

    let (proxy, url, _lines) = start(&cli, &[]);
    assert_eq!(status(&url, TOKEN, &id).await, 200);
    kill(proxy);
}
