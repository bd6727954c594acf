//! Jobs that were bought: watched, collected, cancelled and listed.

use std::time::Duration;

use serde_json::Value;
use uso_emulator::{Fault, OddResult, Operation, Scenario};
use uso_tests::postgres::{Cluster, run, text};
use uso_tests::rig::{Cli, Rig, content, skipped, style, until};

use super::{PROGRAM, files, path, uso};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_detached_job_is_watched_and_collected_by_its_id() {
    let rig = Rig::of(Rig::pictures_builder().inference_time(Duration::from_secs(60))).await;
    let cli = uso().at(&rig.emulator.origin());
    let run = cli.run(&[
        "restyle",
        &path(content()),
        &path(style()),
        "--size",
        "64x64",
        "--detach",
    ]);
    assert_eq!(run.code, 0, "{run:?}");
    let id = run.stdout.trim().to_owned();
    assert!(
        run.stderr.contains(&format!("uso result --wait {id}")),
        "{run:?}"
    );

    assert_eq!(
        cli.run(&["status", &id]).stdout.lines().next(),
        Some("running")
    );
    assert_eq!(
        cli.run(&["status", &id, "--json"]).json()["status"],
        "IN_PROGRESS"
    );
    let early = cli.run(&["result", &id]);
    assert!(
        early.code == 1 && early.stderr.contains("uso result --wait"),
        "{early:?}"
    );
    assert_eq!(
        cli.run(&["result", &id, "--json"]).json()["error"]["kind"],
        "not_ready"
    );

    rig.emulator.advance(Duration::from_secs(61));
    let run = cli.run(&["watch", &id]);
    assert!(
        run.code == 0 && run.stdout.ends_with("completed\n"),
        "{run:?}"
    );
    for line in cli.run(&["watch", &id, "--json"]).stdout.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    let run = cli.run(&["result", &id, "-o", "a.png"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "a.png\n"), "{run:?}");
    assert!(image::open(cli.folder().join("a.png")).is_ok());
    let run = cli.run(&["cancel", &id]);
    assert!(run.code == 0 && run.stdout.contains("too late"), "{run:?}");
    assert_eq!(
        cli.run(&["cancel", &id, "--json"]).json()["cancellation"],
        "already_completed"
    );
    let run = cli.run(&["status", "00000000-0000-0000-0000-000000000000", "--json"]);
    assert_eq!(
        (run.code, &run.json()["error"]["kind"]),
        (1, &Value::from("gone"))
    );
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_pictures_do_not_cost_the_others() {
    // A picture that is gone once is asked for again, so the fault stays.
    let lost = || {
        Scenario::new()
            .on(Operation::File, Fault::Gone)
            .after(1)
            .always()
    };
    for json in [false, true] {
        let rig = Rig::of(Rig::plain_builder().scenario(lost())).await;
        let cli = uso().at(&rig.emulator.origin());
        let (content, style) = (path(content()), path(style()));
        let mut arguments = vec!["restyle", &content, &style, "--images", "3", "-o", "a.png"];
        arguments.extend(json.then_some("--json"));
        let run = cli.run(&arguments);
        assert_eq!(run.code, 1, "{run:?}");
        // The others wait for their pictures, which the service may have again.
        let mut saved = files(&cli);
        saved.retain(|name| std::fs::metadata(cli.folder().join(name)).unwrap().len() > 0);
        let [saved] = &saved[..] else {
            panic!("{saved:?} {run:?}");
        };
        let is_missing = |number: &usize| *saved != format!("a-{number}.png");
        let missing = (1..=3).find(is_missing).unwrap();
        let named = format!("picture {missing} of 3");
        if json {
            let told = run.json();
            assert_eq!(told["images"][0]["path"], **saved);
            assert!(told["error"].to_string().contains(&named), "{told}");
        } else {
            assert_eq!(run.stdout, format!("{saved}\n"));
            assert!(run.stderr.contains(&named), "{run:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_cannot_be_read_is_kept_and_not_in_the_working_folder() {
    let bad = Scenario::new()
        .on(Operation::Result, Fault::Undecodable)
        .always();
    let rig = Rig::of(Rig::plain_builder().scenario(bad)).await;
    let cli = uso().at(&rig.emulator.origin());
    let (content, style) = (path(content()), path(style()));
    let make = |more: &str| cli.run(&["restyle", &content, &style, more]);
    let run = make("--json");
    assert!(run.json()["error"]["raw_body"].is_string(), "{run:?}");
    let run = make("--quiet");
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("uso result"), "{run:?}");
    let kept = run
        .stderr
        .lines()
        .find_map(|line| line.split(" came in ").nth(1));
    assert!(!std::fs::read(kept.unwrap()).unwrap().is_empty());
    // The names of the two pictures are taken, and nothing else lies here.
    for name in files(&cli) {
        assert!(name.ends_with(".png"), "{name}");
        assert_eq!(
            std::fs::metadata(cli.folder().join(&name)).unwrap().len(),
            0
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_that_cannot_be_noted_is_not_made() {
    let rig = Rig::plain().await;
    let cli = Cli::new(PROGRAM).at(&rig.emulator.origin());
    std::fs::write(cli.folder().join("file"), "").unwrap();
    let state = path(cli.folder().join("file/state"));
    let cli = cli.variable("USO_STATE_DIR", &state);
    let run = cli.run(&["restyle", &path(content()), &path(style())]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("USO_JOURNAL"), "{run:?}");
    assert!(rig.emulator.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collecting_or_cancelling_by_hand_settles_the_record() {
    let hour = Duration::from_secs(3600);
    let rig = Rig::of(Rig::plain_builder().inference_time(hour).concurrency(1)).await;
    let cli = uso().at(&rig.emulator.origin());
    let (content, style) = (path(content()), path(style()));
    let buy = || {
        let run = cli.run(&["restyle", &content, &style, "--detach"]);
        run.stdout.trim().to_owned()
    };
    let open = || {
        let listed = cli.run(&["list", "--json"]).json();
        let jobs = listed["jobs"].as_array().unwrap().clone();
        jobs.iter()
            .filter(|job| job["state"] == "submitted")
            .count()
    };
    let (first, second) = (buy(), buy());
    assert_eq!(open(), 2);
    let run = cli.run(&["cancel", &second, "--json"]);
    assert_eq!(run.json()["cancellation"], "removed", "{run:?}");
    assert_eq!(open(), 1);
    rig.emulator.advance(hour + Duration::from_secs(1));
    let run = cli.run(&["cancel", &first]);
    assert!(run.stderr.contains("uso result"), "{run:?}");
    assert_eq!(open(), 1);
    assert_eq!(cli.run(&["result", &first]).code, 0);
    assert_eq!(open(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_listed_and_named_by_the_start_of_their_id() {
    let rig = Rig::of(Rig::plain_builder().inference_time(Duration::from_secs(3600))).await;
    let cli = uso().at(&rig.emulator.origin());
    let none = cli.run(&["list"]);
    assert_eq!((none.code, none.stdout.as_str()), (0, ""), "{none:?}");
    let refused = cli.run(&["status"]);
    assert!(
        refused.code == 2 && refused.stderr.contains("no job is recorded"),
        "{refused:?}"
    );
    let buy = |place: &str| {
        let run = cli.run(&[
            "restyle",
            &path(content()),
            &path(style()),
            "--detach",
            "-o",
            place,
        ]);
        run.stdout.trim().to_owned()
    };
    let (first, newest) = (buy("first.png"), buy("newest.png"));
    for alias in ["list", "ls", "jobs", "history"] {
        let listed = cli.run(&[alias]).stdout;
        let lines: Vec<&str> = listed.lines().collect();
        assert!(
            lines.len() == 3 && lines[1].contains(&newest[..8]),
            "{listed}"
        );
        assert!(
            lines[1].contains("submitted") && lines[1].ends_with(" newest.png"),
            "{listed}"
        );
        assert!(lines[2].contains(&first[..8]), "{listed}");
    }
    let listed = cli.run(&["list", "--json"]).json();
    assert_eq!(listed["jobs"][1]["request_id"], first.as_str());
    let status = |arguments: &[&str]| {
        let run = cli.run(&[&["status", "--json"], arguments].concat());
        run.json()["request_id"].clone()
    };
    assert_eq!(status(&[&first[..8]]), first.as_str());
    let short = listed["jobs"][1]["id"].as_str().unwrap();
    assert_eq!(status(&[short]), first.as_str());
    assert_eq!(status(&[]), newest.as_str());
    assert_eq!(cli.run(&["cancel"]).code, 2, "a cancel names its job");
    let cancelled = cli.run(&["cancel", &newest[..8], "--json"]);
    assert_eq!(cancelled.json()["request_id"], newest.as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_elsewhere_is_collected_though_its_status_cannot_be_read() {
    let rig = Rig::plain().await;
    let elsewhere = uso().at(&rig.emulator.origin());
    let run = elsewhere.run(&["restyle", &path(content()), &path(style()), "--detach"]);
    let id = run.stdout.trim();
    for fault in [Fault::UnknownStatus, Fault::Undecodable] {
        let unreadable = Scenario::new()
            .on(Operation::Status, fault.clone())
            .always()
            .on(Operation::Stream, fault.clone());
        rig.emulator.set_scenario(unreadable.always());
        let cli = uso().at(&rig.emulator.origin());
        let run = cli.run(&["result", id, "-o", "a.png"]);
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (0, "a.png\n"),
            "{fault:?} {run:?}"
        );
        assert!(image::open(cli.folder().join("a.png")).is_ok());
    }
    let cli = uso().at(&rig.emulator.origin());
    rig.emulator.set_scenario(Scenario::new());
    let unknown = cli.run(&["result", "00000000-0000-0000-0000-000000000000"]);
    assert_eq!(unknown.code, 1, "{unknown:?}");
    assert_eq!(cli.run(&["list"]).stdout, "", "nothing is recorded of it");
}

/// Adds copies of the newest row of a journal, which were never sent.
fn add_rows(cli: &Cli, count: usize) -> rusqlite::Connection {
    let journal = rusqlite::Connection::open(cli.folder().join(".state/journal.db")).unwrap();
    let copies = format!(
        "BEGIN; CREATE TEMP TABLE copy AS SELECT * FROM job ORDER BY id DESC LIMIT 1; \
         UPDATE copy SET state = 'pending', batch = 'b', ticket = NULL, request_id = NULL, \
             intent = NULL, attempt_digest = NULL, worker = NULL; {} COMMIT",
        "UPDATE copy SET id = id + 1, key = 'row ' || id; INSERT INTO job SELECT * FROM copy; "
            .repeat(count)
    );
    journal.execute_batch(&copies).unwrap();
    journal
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resume_finishes_a_job_behind_any_number_of_newer_rows_and_leaves_those_of_a_batch() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let run = cli.run(&["restyle", &path(content()), &path(style()), "--detach"]);
    assert_eq!(run.code, 0, "{run:?}");
    let journal = add_rows(&cli, 1001);
    let run = cli.run(&["resume"]);
    assert_eq!(run.code, 0, "{run:?}");
    let count = |state: &str| {
        let sql = "SELECT count(*) FROM job WHERE state = ?";
        journal.query_row(sql, [state], |row| row.get::<_, i64>(0))
    };
    assert_eq!((count("done"), count("pending")), (Ok(1), Ok(1001)));
    assert!(run.stderr.contains("1001"), "{run:?}");
    // A row that is named is meant.
    let run = cli.run(&["resume", "j2"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!((count("cancelled"), count("pending")), (Ok(1), Ok(1000)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_cannot_be_read_to_its_end_is_one_json_document() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let run = cli.run(&["restyle", &path(content()), &path(style()), "--detach"]);
    assert_eq!(run.code, 0, "{run:?}");
    let journal = add_rows(&cli, 60);
    assert_eq!(
        cli.run(&["list", "--json"]).json()["jobs"]
            .as_array()
            .unwrap()
            .len(),
        61
    );
    let damaged = "UPDATE job SET pictures = '{' WHERE id = 1";
    journal.execute_batch(damaged).unwrap();
    let run = cli.run(&["list", "--json"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.json()["error"].is_object(), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_was_bought_and_that_the_model_refuses_has_failed() {
    let refuses = Fault::FailsWith {
        status: 422,
        error_type: "image_load_error".to_owned(),
    };
    let scenario = Scenario::new().on(Operation::Submit, refuses);
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let cli = uso().at(&rig.emulator.origin());
    let run = cli.run(&["restyle", &path(content()), &path(style())]);
    assert_eq!(run.code, 8, "{run:?}");
    assert!(run.stderr.contains("is a new purchase"), "{run:?}");
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
    let later = cli.run(&["result", "j1"]);
    assert_eq!(later.code, 8, "{later:?}");
}

/// The journal's disk is full when the removal of a queued job would be recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_that_cannot_be_recorded_is_told_and_closed_by_the_next_look() {
    let long = Duration::from_secs(3600);
    let rig = Rig::of(Rig::plain_builder().concurrency(1).inference_time(long)).await;
    let cli = uso().at(&rig.emulator.origin());
    for _ in 0..2 {
        let run = cli.run(&["restyle", &path(content()), &path(style()), "--detach"]);
        assert_eq!(run.code, 0, "{run:?}");
    }
    let journal = rusqlite::Connection::open(cli.folder().join(".state/journal.db")).unwrap();
    let full = "CREATE TRIGGER full BEFORE UPDATE ON job WHEN NEW.state = 'cancelled' \
                BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
    journal.execute_batch(full).unwrap();
    let run = cli.run(&["cancel", "j2"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains("removed from the queue"), "{run:?}");
    journal.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(cli.run(&["resume", "j2"]).code, 8);
    let listed = cli.run(&["list", "--json"]).json();
    assert_eq!(listed["jobs"][0]["state"], "cancelled", "{listed}");
}

/// The upper bound of the killed command's price is reserved until its process is seen to be gone.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_command_reserved_is_free_for_the_next_one() {
    let scenario = Scenario::new().on(Operation::Initiate, Fault::Hang);
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let cli = uso().at(&rig.emulator.origin());
    assert_eq!(cli.run(&["budget", "--day", "0.15"]).code, 0);
    let (content, style) = (path(content()), path(style()));
    let buy = ["restyle", &content, &style];
    let mut killed = cli.command(&buy).spawn().unwrap();
    let hangs = || rig.operations().contains(&"initiate".to_owned());
    until("the upload hangs", hangs).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    let run = cli.run(&buy);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_names_the_caps_that_have_no_room() {
    let rig = Rig::of(Rig::plain_builder()).await;
    let cli = uso().at(&rig.emulator.origin());
    let (content, style) = (path(content()), path(style()));
    let dry_run = ["restyle", &content, &style, "--dry-run", "--json"];
    let cap = |cap: &str, value: &str| cli.run(&["budget", cap, value]).code;
    assert_eq!((cap("--day", "0.05"), cap("--total", "5")), (0, 0));
    let run = cli.run(&dry_run);
    assert_eq!(run.code, 0, "{run:?}");
    let told = "the cap of $0.05 for 24 hours has $0.05 left";
    assert!(run.stderr.contains(told), "{run:?}");
    let exceeded = &run.json()["caps_exceeded"];
    assert_eq!(exceeded.as_array().unwrap().len(), 1, "{run:?}");
    assert_eq!(exceeded[0]["cap"], "day");
    assert_eq!(exceeded[0]["left_micro_dollars"], 50_000);

    std::fs::create_dir(cli.folder().join("photos")).unwrap();
    for name in ["photos/a.jpg", "photos/b.jpg"] {
        std::fs::copy(&content, cli.folder().join(name)).unwrap();
    }
    assert_eq!(cap("--day", "0.15"), 0);
    let arguments = ["batch", "run", "photos", "--style", &style, "--dry-run"];
    let batch = cli.run(&arguments);
    assert_eq!(batch.code, 0, "{batch:?}");
    let told = "the cap of $0.15 for 24 hours has $0.15 left";
    assert!(batch.stderr.contains(told), "{batch:?}");
    assert_eq!(cap("--day", "0.50"), 0);
    let batch = cli.run(&arguments);
    assert!(!batch.stderr.contains("the cap"), "{batch:?}");
    assert_eq!(
        cli.run(&dry_run).json()["caps_exceeded"],
        serde_json::json!([])
    );
    assert_eq!(rig.emulator.ledger().purchases().len(), 0);
}

/// The commands of a dry run, for a single picture and for a batch of one.
fn dry_runs(cli: &Cli) -> [Vec<String>; 2] {
    let (content, style) = (path(content()), path(style()));
    std::fs::create_dir(cli.folder().join("photos")).unwrap();
    std::fs::copy(&content, cli.folder().join("photos/a.jpg")).unwrap();
    let one = ["restyle", &content, &style, "--dry-run", "--json"];
    let many = ["batch", "run", "photos", "--style", &style];
    let many = [&many[..], &["--dry-run", "--json"]].concat();
    [one.to_vec(), many].map(|words| words.into_iter().map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_makes_no_journal() {
    let rig = Rig::of(Rig::plain_builder()).await;
    let cli = uso().at(&rig.emulator.origin());
    let cli = cli.variable("USO_STATE_DIR", "state");
    let runs = dry_runs(&cli);
    std::fs::create_dir(cli.folder().join("folder")).unwrap();
    let before = files(&cli);
    for run in &runs {
        let words: Vec<&str> = run.iter().map(String::as_str).collect();
        for journal in [&[][..], &["--journal", "new.db"], &["--journal", "folder"]] {
            let run = cli.run(&[&words, journal].concat());
            assert_eq!(run.code, 0, "{run:?}");
            assert_eq!(run.json()["caps_exceeded"], serde_json::json!([]));
            assert_eq!(files(&cli), before);
            assert!(!cli.folder().join("folder/journal.db").exists());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_makes_no_table_and_does_without_a_server() {
    let rig = Rig::of(Rig::plain_builder()).await;
    let cli = uso().at(&rig.emulator.origin());
    let runs = dry_runs(&cli);
    let dry = |journal: &str| {
        let runs = runs.iter().map(|run| {
            let words: Vec<&str> = run.iter().map(String::as_str).collect();
            let run = cli.run(&[&words, &["--journal", journal][..]].concat());
            assert_eq!(run.code, 0, "{run:?}");
            let warned = run.stderr.matches("no cap was checked").count();
            (warned, run.json()["caps_exceeded"].take())
        });
        runs.collect::<Vec<_>>()
    };
    let away = dry("postgres://user@127.0.0.1:1/uso");
    assert_eq!(away, [(1, Value::Null), (1, Value::Null)]);

    let Some(server) = Cluster::shared() else {
        return skipped("cli::jobs::a_dry_run_makes_no_table", "PostgreSQL");
    };
    let place = server.database().await;
    let empty = (0, serde_json::json!([]));
    assert_eq!(dry(&place), [empty.clone(), empty.clone()]);
    let tables = "SELECT count(*)::text FROM pg_namespace WHERE nspname = 'uso'";
    assert_eq!(text(&place, tables).await, "0");

    let migrated = cli.run(&["journal", "migrate", "--journal", &place]);
    assert_eq!(migrated.code, 0, "{migrated:?}");
    assert_eq!(dry(&place), [empty.clone(), empty]);
    run(&place, "UPDATE uso.journal SET version = 1").await;
    assert_eq!(dry(&place), away, "the tables are left as they are");
    assert_eq!(
        text(&place, "SELECT version::text FROM uso.journal").await,
        "1"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_that_collects_says_what_is_odd_about_a_result() {
    let odd = Fault::OddResult(OddResult::NanTimings);
    let scenario = Scenario::new().on(Operation::Result, odd);
    let rig = Rig::of(Rig::plain_builder().scenario(scenario.always())).await;
    let cli = uso().at(&rig.emulator.origin());
    let (content, style) = (path(content()), path(style()));
    let restyle = ["restyle", &content, &style, "-s", "64x64", "-q"];
    let detached = [&restyle[..], &["--detach"]].concat();
    let one = [&restyle[..], &["-o", "out.png"]].concat();
    std::fs::create_dir(cli.folder().join("photos")).unwrap();
    std::fs::copy(&content, cli.folder().join("photos/a.jpg")).unwrap();
    let batch = ["batch", "run", "photos", "--style", &style, "-q"];
    for (before, command) in [
        (None, &one[..]),
        (Some(&detached), &["result", "--wait", "-q"]),
        (Some(&detached), &["resume", "-q"]),
        (None, &batch),
    ] {
        if let Some(before) = before {
            assert_eq!(cli.run(before).code, 0);
        }
        let run = cli.run(command);
        assert_eq!(run.code, 0, "{run:?}");
        assert_eq!(run.stderr.matches("warning: ").count(), 1, "{run:?}");
    }
}
