//! Proxies that keep their records in one journal: a file, or a database of a server.

use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::postgres;
use uso_tests::rig::{Cli, Rig, Run, until, until_async};

use super::link::Link;
use super::machines::signal;
use super::server;
use crate::cli::proxy::{NAME, TOKEN, bought, start, status, submit};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_proxies_share_owners_and_spending_and_a_restart_forgets_nothing() {
    let rig = Rig::plain().await;
    for (cli, _) in machines(&rig, "proxies::two").await {
        let before = rig.emulator.ledger().purchases().len();
        let limit = ["--spend-per-day", "0.25"];
        let (one, first, _lines) = start(&cli, &limit);
        let (two, second, _more_lines) = start(&cli, &limit);
        let id = bought(&first, TOKEN, 1).await;
        let known = status(&second, TOKEN, &id).await;
        let is_known = matches!(known, 200 | 202);
        assert!(is_known, "{known}: the other proxy knows the owner");
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
        let kept = status(&third, TOKEN, &id).await;
        let is_kept = matches!(kept, 200 | 202);
        assert!(is_kept, "{kept}: a restart forgets no owner");
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

        let prune = ["prune", "--older-than", "1ms", "--json", "--dry-run"];
        let (real, _) = prune.split_at(4);
        let [due, pruned] = [&prune[..], real].map(|arguments| cli.run(arguments).json());
        assert_eq!(due["jobs"].as_array().unwrap().len(), 2, "{due}");
        assert_eq!(pruned["pruned"], 2, "what the dry run tells");
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
            told.unwrap().contains(NAME),
            "the restart tells whose it was"
        );
        let repeated = submit(&url, TOKEN, 1).send().await.unwrap();
        assert_eq!(repeated.status(), 409);
        assert_eq!(rig.emulator.ledger().purchases().len(), before + 1);
        again.kill().unwrap();
        again.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_beyond_the_accounts_cap_is_refused_for_good_and_tells_the_page_no_amount() {
    let rig = Rig::plain().await;
    for (cli, _) in machines(&rig, "proxies::cap").await {
        let before = rig.emulator.ledger().purchases().len();
        let capped = cli.run(&["budget", "--total", "0.17"]);
        assert_eq!(capped.code, 0, "{capped:?}");
        let (proxy, url, _lines) = start(&cli, &[]);
        bought(&url, TOKEN, 1).await;
        let refused = submit(&url, TOKEN, 2).send().await.unwrap();
        // fal's clients repeat a 429 and a 503.
        assert_eq!(refused.status(), 403);
        let text = refused.text().await.unwrap();
        assert!(text.contains("nothing was sent"), "{text}");
        assert!(!text.contains(['$', '0', '1']), "{text}");
        let run = stop(proxy);
        assert!(run.stderr.contains("$0.17"), "the operator's log: {run:?}");
        assert_eq!(rig.emulator.ledger().purchases().len(), before + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_ctrl_c_ends_a_proxy_whose_journal_is_away_and_tells_its_purchase() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenHang)
        .always();
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let server = server("proxies::away");
    for is_on_server in [false, true] {
        let cli = Cli::new(PROGRAM).at(&rig.emulator.origin());
        let file = cli.folder().join("journal.db");
        let mut link = None;
        let place = match (is_on_server, server) {
            (false, _) => file.display().to_string(),
            (true, None) => continue,
            (true, Some(server)) => link
                .insert(Link::to(server))
                .place(&server.database().await),
        };
        let cli = cli
            .variable("USO_PROXY_TOKEN", TOKEN)
            .variable("USO_JOURNAL", &place);
        let before = rig.emulator.ledger().purchases().len();
        let (mut proxy, url, mut lines) = start(&cli, &[]);
        let waiting = tokio::spawn(submit(&url, TOKEN, 1).send());
        let bought = || rig.emulator.ledger().purchases().len();
        until("the purchase", || bought() > before).await;
        let writer = link.is_none().then(|| {
            let writer = rusqlite::Connection::open(&file).unwrap();
            writer.execute_batch("BEGIN IMMEDIATE").unwrap();
            writer
        });
        if let Some(link) = &link {
            link.cut();
        }
        signal(&proxy, "INT");
        let mut talk = BufReader::new(proxy.stderr.take().unwrap())
            .lines()
            .map(Result::unwrap);
        assert!(talk.any(|line| line.contains("stopping")));
        let since = Instant::now();
        signal(&proxy, "INT");
        assert_eq!(proxy.wait().unwrap().code(), Some(6));
        // A journal that is away is asked again for a minute.
        assert!(since.elapsed() < Duration::from_secs(30));
        assert_eq!(lines.next().unwrap()["outcome"], Value::Null);
        let told = lines.next().unwrap();
        assert_eq!(
            (&told["caller"], &told["outcome"]),
            (&json!(NAME), &json!("unknown"))
        );
        let talk: Vec<String> = talk.collect();
        let is_told = |line: &String| line.contains("not recorded in the journal yet");
        assert!(talk.iter().any(is_told), "{talk:?}");
        // The page gets a response, if there is time.
        let answer = waiting.await.unwrap();
        assert!(answer.map_or(true, |answer| answer.status() == 502));
        drop(writer);
    }
}

/// Lets the first purchase of a proxy take its time once its proxy has asked for the commit.
const GATE: &str = "CREATE SEQUENCE public.passed; \
    CREATE FUNCTION public.gate() RETURNS trigger LANGUAGE plpgsql AS $$ \
    BEGIN IF nextval('public.passed') = 1 THEN PERFORM pg_sleep(0.5); END IF; \
    RETURN NEW; END $$; \
    CREATE CONSTRAINT TRIGGER gate AFTER INSERT ON uso.relay DEFERRABLE INITIALLY DEFERRED \
    FOR EACH ROW EXECUTE FUNCTION public.gate()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_was_taken_over_while_frozen_sends_nothing() {
    let Some(server) = server("proxies::frozen") else {
        return;
    };
    let rig = Rig::plain().await;
    let place = server.database().await;
    let machine = || {
        let cli = Cli::new(PROGRAM).at(&rig.emulator.origin());
        cli.variable("USO_PROXY_TOKEN", TOKEN)
            .variable("USO_JOURNAL", &place)
    };
    let (cli, other) = (machine(), machine());
    let migrated = cli.run(&["journal", "migrate"]);
    assert_eq!(migrated.code, 0, "{migrated:?}");
    postgres::run(&place, "UPDATE uso.journal SET lease_ms = 4000").await;
    postgres::run(&place, GATE).await;
    let is = async |condition: &str| {
        let sql = format!("SELECT ({condition})::text");
        postgres::text(&place, &sql).await == "true"
    };

    let (frozen, url, _lines) = start(&cli, &[]);
    let waiting = tokio::spawn(submit(&url, TOKEN, 1).send());
    let at_gate = async || is("(SELECT is_called FROM public.passed)").await;
    until_async("the gate", at_gate).await;
    signal(&frozen, "STOP");
    let has_begun = async || is("EXISTS (SELECT 1 FROM uso.relay)").await;
    until_async("the commit", has_begun).await;
    let has_ended =
        async || is("EXISTS (SELECT 1 FROM uso.worker WHERE expires_at < uso.uso_now())").await;
    until_async("the end of the lease", has_ended).await;
    let (second, other_url, _more_lines) = start(&other, &[]);
    assert!(is("EXISTS (SELECT 1 FROM uso.job WHERE state = 'unknown')").await);
    // The time in which an equal purchase is refused passes.
    let past = "UPDATE uso.job SET changed_at = changed_at - 121000";
    postgres::run(&place, past).await;
    bought(&other_url, TOKEN, 1).await;

    signal(&frozen, "CONT");
    let late = waiting.await.unwrap().unwrap();
    assert_eq!(late.status(), 502);
    let text = late.text().await.unwrap();
    assert!(text.contains("nothing was bought"), "{text}");
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
    // The proof that nothing left ends the row, although its claim was lost.
    let no_longer_unknown =
        async || is("NOT EXISTS (SELECT 1 FROM uso.job WHERE state = 'unknown')").await;
    until_async("the end of the row", no_longer_unknown).await;
    for proxy in [frozen, second] {
        let run = stop(proxy);
        assert_eq!(run.code, 0, "{run:?}");
    }
}
