//! Unknown purchases: what a command says while the account's listing cannot be read.

use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Cli, Rig, Run, content, style};

use super::{files, path, uso};

/// A purchase whose response is lost and that was not looked for: its short id.
async fn unknown() -> (Rig, Cli, String) {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .on(Operation::Listing, Fault::Forbidden)
        .always();
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let cli = uso().at(&rig.emulator.origin());
    let (content, style) = (path(content()), path(style()));
    let run = started(&cli, &["restyle", &content, &style]).await;
    assert_eq!(run.code, 6, "{run:?}");
    let listed = started(&cli, &["list", "--json"]).await.json();
    let id = listed["jobs"][0]["id"].as_str().unwrap().to_owned();
    (rig, cli, id)
}

/// Looks for the purchase with these commands while the listing answers like this: each says that
/// its outcome is unknown, and the first one that can read the listing saves the picture.
async fn stays_unknown(fault: Fault, commands: &[&[&str]]) {
    let (rig, cli, id) = unknown().await;
    let scenario = Scenario::new().on(Operation::Listing, fault.clone());
    rig.emulator.set_scenario(scenario.always());
    for command in commands {
        let words = command.iter().map(|word| match *word {
            "ID" => id.as_str(),
            word => word,
        });
        let run = started(&cli, &words.collect::<Vec<_>>()).await;
        let text = format!("{}{}", run.stdout, run.stderr);
        let case = format!("{fault:?} {command:?} {run:?}");
        assert_eq!(run.code, 6, "{case}");
        assert!(!text.contains("nothing was"), "{case}");
        assert!(!text.contains("again is safe"), "{case}");
        assert!(text.contains("not known whether"), "{case}");
        assert!(text.contains(&format!("uso resume {id}")), "{case}");
    }
    rig.emulator.set_scenario(Scenario::new());
    let run = started(&cli, &["result", &id]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
}

/// Runs the command line in a thread, so that others run at the same time.
async fn started(cli: &Cli, arguments: &[&str]) -> Run {
    let mut command = cli.command(arguments);
    let output = tokio::task::spawn_blocking(move || command.output());
    Run::of(&output.await.unwrap().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_purchase_stays_unknown_while_the_listing_is_refused() {
    let commands: [&[&str]; 6] = [
        &["resume"],
        &["resume", "ID", "--json"],
        &["result", "ID"],
        &["result", "ID", "--json"],
        &["result", "--wait", "ID"],
        &["resume", "--json"],
    ];
    let faults = [
        Fault::Unauthorized,
        Fault::Forbidden,
        Fault::Locked,
        Fault::Status(404),
        Fault::Undecodable,
    ];
    let cases = faults.map(|fault| stays_unknown(fault, &commands));
    futures_util::future::join_all(cases).await;
}

/// These are asked for again for a while, so that they are tried at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_purchase_stays_unknown_while_the_listing_is_out_of_order() {
    let throttled = Fault::Throttled {
        retry_after: Some(0),
    };
    tokio::join!(
        stays_unknown(throttled, &[&["resume", "ID"]]),
        stays_unknown(Fault::Status(500), &[&["result", "ID", "--json"]]),
        stays_unknown(Fault::GatewayPage(502), &[&["result", "ID"]]),
    );
}

/// The journal's disk is full when the lost response would be recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_response_that_cannot_be_recorded_is_told_as_unknown() {
    let scenario = Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop);
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let cli = uso().at(&rig.emulator.origin());
    assert_eq!(started(&cli, &["list"]).await.code, 0);
    let journal = cli.folder().join(".state/journal.db");
    let journal = rusqlite::Connection::open(journal).unwrap();
    let full = "CREATE TRIGGER full BEFORE UPDATE ON job WHEN NEW.state = 'unknown' \
                BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
    journal.execute_batch(full).unwrap();
    let run = started(&cli, &["restyle", &path(content()), &path(style())]).await;
    assert_eq!(run.code, 6, "{run:?}");
    assert!(!run.stderr.contains("nothing was"), "{run:?}");
    for words in ["disk is full", "may have been accepted", "uso resume"] {
        assert!(run.stderr.contains(words), "{words}: {run:?}");
    }
    journal.execute_batch("DROP TRIGGER full").unwrap();
    let resumed = started(&cli, &["resume"]).await;
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
    assert_eq!(files(&cli).len(), 1);
}

/// Commands that collect, while the journal's disk is full: each says what is known of the purchase.
async fn told_while_the_disk_is_full(cli: &Cli, commands: &[&[&str]], code: i32, words: &str) {
    let journal = cli.folder().join(".state/journal.db");
    let journal = rusqlite::Connection::open(journal).unwrap();
    let full = "CREATE TRIGGER full BEFORE UPDATE ON job \
                BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
    journal.execute_batch(full).unwrap();
    for command in commands {
        let run = started(cli, command).await;
        let text = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(run.code, code, "{run:?}");
        assert!(!text.contains("nothing was"), "{run:?}");
        for words in ["disk is full", words] {
            assert!(text.contains(words), "{words}: {run:?}");
        }
    }
    journal.execute_batch("DROP TRIGGER full").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_cannot_be_recorded_leaves_the_purchase_unknown() {
    let (rig, cli, id) = unknown().await;
    rig.emulator.set_scenario(Scenario::new());
    let commands: [&[&str]; 4] = [
        &["result", &id],
        &["result", &id, "--json"],
        &["resume", &id],
        &["resume", "--json"],
    ];
    let again = format!("uso resume {id}");
    told_while_the_disk_is_full(&cli, &commands, 6, &again).await;
    let run = started(&cli, &["resume"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
    assert_eq!(files(&cli).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_bought_is_told_as_bought_while_the_journal_cannot_be_written() {
    let rig = Rig::of(Rig::plain_builder()).await;
    let cli = uso().at(&rig.emulator.origin());
    let (content, style) = (path(content()), path(style()));
    let run = started(&cli, &["restyle", &content, &style, "--detach"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let id = run.stdout.trim();
    let commands: [&[&str]; 3] = [
        &["result", "--wait", id],
        &["result", "--wait", id, "-o", "elsewhere.png"],
        &["resume", "--json"],
    ];
    let collect = format!("the job is bought: collect it with uso result {id}");
    told_while_the_disk_is_full(&cli, &commands, 1, &collect).await;
    let run = started(&cli, &["result", "--wait", id]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
}
