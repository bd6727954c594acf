//! Runs of batches: once a row, however often and whatever happens.

use std::fs;

use serde_json::json;
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Rig, Run, until};
#[cfg(unix)]
use uso_tests::terminal::Terminal;

use super::Studio;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_buys_nothing_and_says_so() {
    let studio = Studio::plain().await;
    studio.photos(5);
    let arguments = ["batch", "run", "photos", "--style", "ink.jpg", "-o", "out"];
    let first = studio.run(&arguments).await;
    assert_eq!(first.code, 0, "{first:?}");
    assert_eq!(first.stdout.lines().count(), 5, "a path for each picture");
    assert!(
        first.stderr.contains("5 of 5 rows done"),
        "{}",
        first.stderr
    );
    let again = studio.run(&arguments).await;
    assert_eq!(again.code, 0);
    assert!(
        again.stderr.contains("already complete"),
        "{}",
        again.stderr
    );
    let resumed = studio.run(&["batch", "resume"]).await;
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert_eq!(studio.bought(), 5);
    let status = studio.run(&["batch", "status", "--json"]).await;
    assert_eq!(status.code, 0);
    assert_eq!(status.json()["states"]["done"], 5);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_reached_by_another_path_is_the_same_batch() {
    let studio = Studio::plain().await;
    studio.photos(2);
    std::os::unix::fs::symlink(studio.path("photos"), studio.path("link")).unwrap();
    for source in ["photos", "./photos/", "photos/../photos", "link"] {
        let arguments = ["batch", "run", source, "--style", "ink.jpg"];
        let run = studio.run(&arguments).await;
        assert_eq!(run.code, 0, "{source}: {run:?}");
        assert_eq!(studio.bought(), 2, "{source}: {run:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_run_under_another_name_is_another_batch() {
    let studio = Studio::plain().await;
    studio.photos(2);
    let run = ["batch", "run", "photos", "--style", "ink.jpg"];
    assert_eq!(studio.run(&run).await.code, 0);
    let second = [&run[..], &["--batch", "second", "-o", "second"]].concat();
    for _ in 0..2 {
        let named = studio.run(&second).await;
        assert_eq!(named.code, 0, "{named:?}");
        assert_eq!(studio.bought(), 4, "{named:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn first_runs_at_the_same_time_are_one_batch_and_buy_each_row_once() {
    let studio = Studio::plain().await;
    studio.photos(6);
    let arguments = ["batch", "run", "photos", "--style", "ink.jpg", "-o", "out"];
    let runs = [(); 4].map(|()| studio.run(&arguments));
    for run in futures_util::future::join_all(runs).await {
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stderr.contains("batch photos"), "{}", run.stderr);
        assert!(run.stderr.contains("6 of 6 rows done"), "{}", run.stderr);
    }
    assert_eq!(studio.bought(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_jobs_has_the_newest_and_every_unfinished_one() {
    let studio = Studio::plain().await;
    studio.photos(60);
    let detached = [
        "restyle",
        "photos/p0001.jpg",
        "ink.jpg",
        "--detach",
        "-o",
        "open.png",
    ];
    assert_eq!(studio.run(&detached).await.code, 0);
    let arguments = ["batch", "run", "photos", "--style", "ink.jpg", "-o", "out"];
    assert_eq!(studio.run(&arguments).await.code, 0);

    let listed = studio.run(&["list"]).await;
    let lines: Vec<&str> = listed.stdout.lines().collect();
    assert_eq!(lines.len(), 1 + 50 + 1, "a head, and the jobs: {listed:?}");
    assert!(lines[51].starts_with("j1 ") && lines[51].ends_with("open.png"));
    assert!(listed.stderr.contains("51 of 61 jobs"), "{listed:?}");
    let ids = |run: Run| -> Vec<String> {
        let jobs = run.json()["jobs"].take();
        let jobs = jobs.as_array().unwrap().iter();
        jobs.map(|job| job["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let newest: Vec<String> = (12..=61)
        .rev()
        .chain([1])
        .map(|id| format!("j{id}"))
        .collect();
    assert_eq!(ids(studio.run(&["list", "--json"]).await), newest);
    let all = ids(studio.run(&["list", "--all", "--json"]).await);
    assert_eq!(all.len(), 61);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_was_deleted_is_fetched_again_and_not_bought() {
    let studio = Studio::plain().await;
    studio.photos(2);
    let arguments = ["batch", "run", "photos", "--style", "ink.jpg", "-o", "out"];
    assert_eq!(studio.run(&arguments).await.code, 0);
    fs::remove_file(studio.path("out/p0002.png")).unwrap();
    let status = studio.run(&["batch", "status", "--json"]).await;
    assert_eq!(
        (status.code, &status.json()["states"]["file_missing"]),
        (8, &1.into())
    );
    let planned = studio
        .run(&[&arguments[..], &["--dry-run", "--json"]].concat())
        .await
        .json();
    assert_eq!(
        (
            &planned["rows"],
            &planned["micro_dollars"],
            &planned["rows_bought_before"]["to_collect"]
        ),
        (&json!([]), &json!(0), &json!(1)),
    );
    let again = studio.run(&arguments).await;
    assert_eq!(again.code, 0, "{again:?}");
    for line in [
        "0 of 2 rows to buy",
        "1 row bought earlier",
        "2 of 2 rows done; $0.00 billed",
    ] {
        assert!(again.stderr.contains(line), "{line}: {}", again.stderr);
    }
    assert!(studio.path("out/p0002.png").is_file());
    assert_eq!(studio.bought(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rows_are_shown_with_their_price_and_need_consent() {
    let studio = Studio::plain().await;
    studio.photos(3);
    let manifest = |prompt: &str, last: &str| {
        format!("content,prompt\nphotos/p0001.jpg,{prompt}\nphotos/p0002.jpg,x\n{last}")
    };
    studio.write("m.csv", manifest("x", ""));
    assert_eq!(studio.run(&["batch", "run", "m.csv"]).await.code, 0);
    studio.write("m.csv", manifest("y", "photos/p0003.jpg,x\n"));
    let refused = studio.run(&["batch", "run", "m.csv"]).await;
    assert_eq!(refused.code, 3, "{refused:?}");
    for expected in [
        "changed: p0001, about $0.",
        "added: p0003",
        "would cost about $0.",
        "--accept-changes",
    ] {
        assert!(
            refused.stderr.contains(expected),
            "{expected}: {}",
            refused.stderr
        );
    }
    assert_eq!(studio.bought(), 2);
    let accepted = studio
        .run(&["batch", "run", "m.csv", "--accept-changes"])
        .await;
    assert_eq!(accepted.code, 0, "{accepted:?}");
    assert_eq!(studio.bought(), 4);
    assert!(
        studio.path("m-pictures/p0001-2.png").is_file(),
        "the old picture stays"
    );
    // A picture that changes under its name is a changed row as well.
    fs::copy(studio.path("ink.jpg"), studio.path("photos/p0002.jpg")).unwrap();
    let resumed = studio.run(&["batch", "resume"]).await;
    assert_eq!(resumed.code, 3, "{resumed:?}");
    assert!(
        resumed.stderr.contains("changed: p0002"),
        "{}",
        resumed.stderr
    );
    assert_eq!(studio.bought(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_stops_before_the_purchase_that_would_exceed_it() {
    let studio = Studio::plain().await;
    studio.photos(6);
    let run = |budget: &'static str| {
        let arguments = [
            "batch",
            "run",
            "photos",
            "--style",
            "ink.jpg",
            "-o",
            "out",
            "--set",
            "size=1024x1024",
            "--budget",
            budget,
        ];
        let studio = &studio;
        async move { studio.run(&arguments).await }
    };
    let refused = run("0.05").await;
    assert_eq!((refused.code, studio.bought()), (9, 0), "{refused:?}");
    let stopped = run("0.35").await;
    assert_eq!((stopped.code, studio.bought()), (9, 3), "{stopped:?}");
    assert!(
        stopped.stderr.contains("does not suffice"),
        "{}",
        stopped.stderr
    );
    let way_on = "go on with: uso batch resume photos --budget USD";
    assert!(stopped.stderr.contains(way_on), "{}", stopped.stderr);
    let resumed = studio
        .run(&["batch", "resume", "photos", "--budget", "5"])
        .await;
    assert_eq!((resumed.code, studio.bought()), (0, 6), "{resumed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_and_a_run_compare_a_budget_with_the_same_price() {
    let studio = Studio::plain().await;
    studio.photos(1);
    let url = "https://example.org/photo.jpg";
    for (content, size, budget) in [
        ("photos/p0001.jpg", "size=256x256", "0.05"),
        (url, "keep-size=true", "0.3"),
    ] {
        let manifest = format!("id,content,prompt\na,{content},x\n");
        studio.write("m.csv", manifest);
        for more in [&["--dry-run"][..], &[]] {
            let run = ["batch", "run", "m.csv", "--set", size, "--budget", budget];
            let refused = studio.run(&[&run[..], more].concat()).await;
            assert_eq!(refused.code, 9, "{content} {more:?}: {refused:?}");
            assert!(refused.stderr.contains("can cost"), "{refused:?}");
        }
    }
    assert_eq!(studio.bought(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_done_needs_its_inputs_no_more() {
    let studio = Studio::plain().await;
    studio.photos(4);
    let run = "batch run photos --style ink.jpg -o out --set size=1024x1024 --budget 0.25";
    let run: Vec<&str> = run.split(' ').collect();
    let stopped = studio.run(&run).await;
    assert_eq!((stopped.code, studio.bought()), (9, 2), "{stopped:?}");
    let photos = studio.path("photos");
    let made = |name: &str| studio.path("out").join(name).with_extension("png");
    let names = fs::read_dir(&photos).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    let (done, open): (Vec<_>, Vec<_>) = names
        .iter()
        .map(|name| name.to_str().unwrap())
        .partition(|name| made(name).exists());
    for name in &done {
        fs::remove_file(photos.join(name)).unwrap();
    }
    let resumed = studio.run(&["batch", "resume"]).await;
    assert_eq!((resumed.code, studio.bought()), (9, 2), "{resumed:?}");
    assert!(resumed.stderr.contains("2 of 4 rows done"), "{resumed:?}");
    fs::remove_file(photos.join(open[0])).unwrap();
    let refused = studio.run(&["batch", "resume"]).await;
    assert_eq!((refused.code, studio.bought()), (3, 2), "{refused:?}");
    assert!(refused.stderr.contains(open[0]), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_run_buys_no_row_above_its_limit_and_collects_what_is_bought() {
    let studio = Studio::plain().await;
    studio.photos(3);
    let arguments = ["batch", "run", "photos", "--style", "ink.jpg"];
    let stopped = [&arguments[..], &["--budget", "0.15"]].concat();
    let stopped = studio.run(&stopped).await;
    assert_eq!((stopped.code, studio.bought()), (9, 1), "{stopped:?}");
    let resume = ["batch", "resume", "--budget", "5"];
    let limited = [&resume[..], &["--max-cost", "0.01"]].concat();
    let limited = studio.run(&limited).await;
    assert_eq!((limited.code, studio.bought()), (9, 1), "{limited:?}");
    let told = "--max-cost is $0.01; nothing was changed";
    assert!(limited.stderr.contains(told), "{limited:?}");
    let resumed = studio.run(&resume).await;
    assert_eq!((resumed.code, studio.bought()), (0, 3), "{resumed:?}");

    // What is bought costs nothing more, whatever the limit.
    let made = studio.path("photos-pictures");
    let picture = studio.files("photos-pictures").remove(0);
    fs::remove_file(made.join(picture)).unwrap();
    let again = studio.run(&["batch", "resume", "--max-cost", "0.01"]).await;
    assert_eq!((again.code, studio.bought()), (0, 3), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_which_command_buys_what_is_left() {
    let failure = Fault::FailsWith {
        status: 500,
        error_type: "runner_server_error".to_owned(),
    };
    for (fault, left, next) in [
        (Fault::Status(422), "not bought", "resume"),
        (failure, "failed", "retry"),
    ] {
        let scenario = Scenario::new().on(Operation::Submit, fault).times(1);
        let studio = Studio::of(Rig::plain_builder().scenario(scenario)).await;
        studio.photos(2);
        let run = ["batch", "run", "photos", "--style", "ink.jpg"];
        assert_eq!(studio.run(&run).await.code, 8);
        let told = studio.run(&["batch", "status"]).await.stdout;
        let line = format!("1 {left}: uso batch {next} photos buys them");
        assert!(told.contains(&line), "{told}");
        let end = studio.run(&["batch", next, "photos"]).await;
        assert_eq!(end.code, 0, "{end:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_rows_are_bought_again_only_by_retry() {
    let failure = Fault::FailsWith {
        status: 500,
        error_type: "runner_server_error".to_owned(),
    };
    let scenario = Scenario::new().on(Operation::Submit, failure).times(1);
    let studio = Studio::of(Rig::plain_builder().scenario(scenario)).await;
    studio.photos(3);
    let arguments = [
        "batch",
        "run",
        "photos",
        "--style",
        "ink.jpg",
        "--concurrency",
        "1",
    ];
    let first = studio.run(&arguments).await;
    assert_eq!(first.code, 8, "{first:?}");
    let again = studio.run(&["batch", "resume"]).await;
    assert_eq!((again.code, studio.bought()), (8, 3), "{again:?}");
    let wrong = studio
        .run(&["batch", "retry", "--only", "not_started"])
        .await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.stderr.contains("service_failed"), "{}", wrong.stderr);
    let limited = studio.run(&["batch", "retry", "--max-cost", "0.01"]).await;
    assert_eq!((limited.code, studio.bought()), (9, 3), "{limited:?}");
    let told = "--max-cost is $0.01; nothing was changed";
    assert!(limited.stderr.contains(told), "{limited:?}");
    let retried = studio
        .run(&["batch", "retry", "--only", "service_failed"])
        .await;
    assert_eq!((retried.code, studio.bought()), (0, 4), "{retried:?}");

    // The status and the caps count the same, the failed attempt too.
    let status = studio.run(&["batch", "status", "--json"]).await.json();
    let amount = |name: &str| status[name].as_u64().unwrap();
    let earlier = amount("earlier_attempts_micro_dollars");
    assert!(earlier > 0, "{status}");
    let counted = amount("billed_micro_dollars") + amount("reserved_micro_dollars") + earlier;
    let budget = studio.run(&["budget", "--json"]).await.json();
    assert_eq!(
        budget["total"]["committed_micro_dollars"], counted,
        "{budget}"
    );
    let told = studio.run(&["batch", "status"]).await.stdout;
    assert!(
        told.contains("for earlier attempts whose bill is not known"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_retry_leaves_has_a_next_step_and_a_cap_names_its_command() {
    let studio = Studio::plain().await;
    studio.photos(3);
    // Room for one picture.
    assert_eq!(studio.run(&["budget", "--day", "0.15"]).await.code, 0);
    let arguments = ["batch", "run", "photos", "--style", "ink.jpg"];
    let stopped = studio.run(&arguments).await;
    assert_eq!((stopped.code, studio.bought()), (9, 1), "{stopped:?}");
    let hint = "uso budget shows the caps and changes them";
    assert!(stopped.stderr.contains(hint), "{stopped:?}");
    assert!(!stopped.stderr.contains("--budget"), "{stopped:?}");
    let retried = studio.run(&["batch", "retry"]).await;
    assert_eq!((retried.code, studio.bought()), (8, 1), "{retried:?}");
    assert!(!retried.stderr.contains("complete"), "{retried:?}");
    let hint = "2 rows are not bought: uso batch resume photos buys them";
    assert!(retried.stderr.contains(hint), "{retried:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_there_already_is_named_before_anything_is_bought() {
    let studio = Studio::plain().await;
    studio.photos(2);
    fs::create_dir(studio.path("out")).unwrap();
    studio.write("out/p0002.png", "mine");
    let run = studio
        .run(&[
            "batch", "run", "photos", "--style", "ink.jpg", "-o", "out", "--json",
        ])
        .await;
    assert_eq!(run.code, 3, "{run:?}");
    assert_eq!(run.json()["problems"][0]["row"], 2);
    assert_eq!(studio.bought(), 0);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_shows_one_block_and_a_pipe_a_last_line() {
    let hour = std::time::Duration::from_secs(3600);
    let builder = Rig::plain_builder().inference_time(hour).concurrency(9);
    let studio = Studio::of(builder).await;
    studio.photos(2);
    let arguments = ["batch", "run", "photos", "--style", "ink.jpg", "-o", "out"];
    let mut terminal = Terminal::start(&studio.cli.command(&arguments), 100);
    terminal
        .until("0 of 2 rows done, 2 in flight")
        .until("reserved");
    // A reservation precedes its submit.
    until("both submits", || studio.bought() == 2).await;
    studio.rig.emulator.advance(hour);
    let session = terminal.end();
    assert_eq!(session.status.code(), Some(0), "{session:?}");
    assert!(
        session.screen.contains("batch photos: 2 of 2 rows done"),
        "{session:?}"
    );
    assert!(
        !session.screen.contains("in flight"),
        "the block is removed: {session:?}"
    );
    assert!(
        !session.screen.contains("p0001.png"),
        "no path beside the block: {session:?}"
    );
    let piped = studio.run(&arguments).await;
    assert!(
        piped
            .stderr
            .lines()
            .last()
            .unwrap()
            .contains("2 of 2 rows done"),
        "{piped:?}"
    );
}

/// The account is known by the key: another key of it sees neither what is in flight nor what is done.
#[tokio::test(flavor = "multi_thread")]
async fn another_key_buys_no_row_of_a_batch_that_is_in_flight() {
    let hour = std::time::Duration::from_secs(3600);
    let builder = Rig::plain_builder().inference_time(hour).concurrency(9);
    let studio = Studio::of(builder).await;
    studio.photos(2);
    let arguments = ["batch", "run", "photos", "--style", "ink.jpg", "-o", "out"];
    let mut killed = studio.cli.command(&arguments).spawn().unwrap();
    until("the purchases", || studio.bought() == 2).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    let other = async |arguments: &[&str]| {
        let mut command = studio.cli.command(arguments);
        command.env("FAL_KEY", "other-id:other-secret");
        let output = tokio::task::spawn_blocking(move || command.output());
        Run::of(&output.await.unwrap().unwrap())
    };
    let with = |more: &'static str| [&arguments[..], &[more]].concat();
    let (dry, offered) = (with("--dry-run"), with("--offer"));
    for arguments in [&arguments[..], &dry, &offered, &["batch", "resume"]] {
        let refused = other(arguments).await;
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(
            refused.stderr.contains("2 rows of batch photos"),
            "{}",
            refused.stderr
        );
    }
    for command in ["list", "resume"] {
        let told = other(&[command]).await.stderr;
        assert!(
            told.contains("2 unfinished jobs belong to other keys"),
            "{told}"
        );
    }
    assert_eq!(studio.bought(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_leaves_offered_rows_to_the_workers_and_collect_prints_one_document() {
    let studio = Studio::plain().await;
    studio.photos(3);
    let offer = [
        "batch", "run", "photos", "--style", "ink.jpg", "--batch", "b", "--offer",
    ];
    let offered = studio.run(&offer).await;
    assert_eq!(offered.code, 0, "{offered:?}");
    let resumed = studio.run(&["resume"]).await;
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert!(resumed.stderr.contains("3 rows wait"), "{resumed:?}");
    // The buyer of a row saves its picture where the worker was asked to.
    let early = studio.run(&["result", "j2", "-o", "early.png"]).await;
    assert_ne!(early.code, 0, "{early:?}");
    assert!(!studio.path("early.png").exists(), "{early:?}");
    // A folder that cannot be written to is told before anything is bought.
    let unwritable = ["batch", "work", "b", "-o", "ink.jpg"];
    let refused = studio.run(&unwritable).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("nothing was bought"), "{refused:?}");
    assert_eq!(studio.bought(), 0);
    // A row that its owner cancelled is not offered again, and the offer says so.
    let listed = studio.run(&["list", "--json"]).await.json();
    let id = listed["jobs"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(studio.run(&["cancel", &id]).await.code, 0);
    let again = studio.run(&offer).await;
    assert!(again.stderr.contains("2 rows offered"), "{again:?}");
    assert!(again.stderr.contains("1 row is cancelled"), "{again:?}");
    let work = ["batch", "work", "b", "-o", "out", "--json"];
    let worked = studio.run(&work).await;
    assert_eq!(
        worked.json()["states"],
        json!({ "done": 2, "cancelled": 1 }),
        "{worked:?}"
    );
    let collected = studio
        .run(&["batch", "collect", "b", "-o", "all", "--json"])
        .await;
    assert_eq!(collected.code, 0, "{collected:?}");
    assert_eq!(collected.json()["saved"], 2);
    assert_eq!(studio.files("out").len(), 2);
    assert_eq!(studio.bought(), 2);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_whose_name_is_no_unicode_takes_the_pictures_and_the_report() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let studio = Studio::plain().await;
    studio.photos(2);
    let folder = OsStr::from_bytes(b"out\xff");
    let run = async |arguments: &[&str], output: &OsStr| {
        let mut command = studio.cli.command(arguments);
        command.arg("-o").arg(output);
        let output = tokio::task::spawn_blocking(move || command.output());
        let run = Run::of(&output.await.unwrap().unwrap());
        assert_eq!(run.code, 0, "{run:?}");
    };
    let batch = ["batch", "run", "photos", "--style", "ink.jpg", "--batch"];
    run(&[&batch[..], &["a"]].concat(), folder).await;
    let status = studio.run(&["batch", "status", "a"]).await;
    assert_eq!(status.code, 0, "{status:?}");
    let report = OsStr::from_bytes(b"report\xff.html");
    run(&["batch", "report", "a"], report).await;
    let offered = studio.run(&[&batch[..], &["b", "--offer"]].concat()).await;
    assert_eq!(offered.code, 0, "{offered:?}");
    run(&["batch", "work", "b"], folder).await;
    run(&["batch", "collect", "b"], OsStr::from_bytes(b"all\xff")).await;
    assert_eq!(studio.bought(), 4);
}
