//! Files that are there already, and names that cannot be used.

use std::fs;

use super::Studio;

const RUN: [&str; 7] = ["batch", "run", "photos", "--style", "ink.jpg", "-o", "out"];

#[tokio::test(flavor = "multi_thread")]
async fn pages_replace_earlier_pages_and_no_other_file() {
    let studio = Studio::plain().await;
    studio.photos(2);
    assert_eq!(studio.run(&RUN).await.code, 0);
    studio.write("m.csv", "content,style\nphotos/p0001.jpg,ink.jpg\n");
    let sheet = [
        "batch",
        "run",
        "m.csv",
        "-o",
        "more",
        "--dry-run",
        "--sheet",
    ];
    let report = ["batch", "report", "photos", "-o"];
    for file in ["out/p0001.png", "photos/p0002.jpg", "m.csv", "ink.jpg"] {
        let before = fs::read(studio.path(file)).unwrap();
        for command in [&sheet[..], &report[..]] {
            let run = studio.run(&[command, &[file]].concat()).await;
            assert_eq!(run.code, 2, "{file}: {run:?}");
            assert!(run.stderr.contains("is there already"), "{}", run.stderr);
            assert_eq!(fs::read(studio.path(file)).unwrap(), before, "{file}");
        }
    }
    for _ in 0..2 {
        for command in [&sheet[..], &report[..]] {
            let run = studio.run(&[command, &["page.html"]].concat()).await;
            assert_eq!(run.code, 0, "{run:?}");
        }
    }
    assert_eq!(studio.bought(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_where_a_sidecar_goes_is_told_before_anything_is_sent() {
    let studio = Studio::plain().await;
    studio.photos(2);
    fs::create_dir(studio.path("out")).unwrap();
    let mine = studio.path("out/p0002.png.json");
    fs::write(&mine, r#"{"mine": 1}"#).unwrap();
    for more in [&[][..], &["--dry-run"]] {
        let run = studio.run(&[&RUN[..], more].concat()).await;
        assert_ne!(run.code, 0, "{run:?}");
        assert!(run.stderr.contains("p0002.png.json"), "{}", run.stderr);
    }
    assert_eq!(studio.bought(), 0);
    fs::remove_file(&mine).unwrap();
    assert_eq!(studio.run(&RUN).await.code, 0);
    assert!(mine.is_file());

    // One that comes while the batch is away is left, too.
    fs::write(&mine, r#"{"mine": 2}"#).unwrap();
    fs::remove_file(studio.path("out/p0002.png")).unwrap();
    let again = studio.run(&RUN).await;
    assert!(again.stderr.contains("is no sidecar"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(&mine).unwrap(), r#"{"mine": 2}"#);
    assert_eq!(studio.bought(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_too_long_is_told_before_anything_is_sent() {
    let studio = Studio::plain().await;
    studio.photos(1);
    let long = "x".repeat(300);
    let with_id = format!("{}-{{request_id}}", "x".repeat(220));
    for name in [&long, &with_id] {
        for more in [&[][..], &["--dry-run"]] {
            let run = studio
                .run(&[&RUN[..], &["--name", name], more].concat())
                .await;
            assert_eq!(run.code, 3, "{run:?}");
            assert!(run.stderr.contains("shorten --name"), "{}", run.stderr);
        }
    }
    assert_eq!(studio.bought(), 0);
    let fits = format!("{}-{{request_id}}", "x".repeat(200));
    let run = studio.run(&[&RUN[..], &["--name", &fits]].concat()).await;
    assert_eq!(run.code, 0, "{run:?}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_reached_by_a_link_is_the_same_journal() {
    let studio = Studio::plain().await;
    studio.photos(2);
    let run = |journal: &'static str, more: &'static [&'static str]| {
        let journal = studio.path(journal).to_str().unwrap().to_owned();
        let arguments = [&["--journal", &journal], &RUN[..], more].concat();
        let mut command = studio.cli.command(&arguments);
        tokio::task::spawn_blocking(move || uso_tests::rig::Run::of(&command.output().unwrap()))
    };
    assert_eq!(run("state/j.db", &[]).await.unwrap().code, 0);
    fs::create_dir(studio.path("link")).unwrap();
    for (link, target) in [("link/j.db", "../state/j.db"), ("folder", "state")] {
        std::os::unix::fs::symlink(target, studio.path(link)).unwrap();
    }
    for journal in ["link/j.db", "folder/j.db"] {
        let again = run(journal, &[]).await.unwrap();
        assert!(
            again.stderr.contains("already complete"),
            "{}",
            again.stderr
        );
    }
    assert_eq!(studio.bought(), 2);

    // SQLite keeps a log beside each name of a file.
    fs::hard_link(studio.path("state/j.db"), studio.path("link/hard.db")).unwrap();
    let refused = run("link/hard.db", &[]).await.unwrap();
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("2 names"), "{}", refused.stderr);
    assert_eq!(studio.bought(), 2);
}

/// The disk of the journal is full when the first row would be recorded as done.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_recorded_further_is_bought_and_has_its_id() {
    let studio = Studio::plain().await;
    studio.photos(1);
    let journal = studio.path("j.db").to_str().unwrap().to_owned();
    let list = ["--journal", &journal, "list"];
    assert_eq!(studio.run(&list).await.code, 0);
    let database = rusqlite::Connection::open(&journal).unwrap();
    let full = "CREATE TRIGGER full BEFORE UPDATE ON job WHEN NEW.state = 'done' \
                BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
    database.execute_batch(full).unwrap();
    let arguments = [&["--journal", &journal], &RUN[..]].concat();
    let run = studio.run(&arguments).await;
    assert_eq!(run.code, 8, "{run:?}");
    let id = studio.rig.emulator.ledger().purchases()[0]
        .request_id
        .clone();
    assert!(
        run.stderr.contains("bought and not collected"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("j1"), "{}", run.stderr);
    let listed = studio.run(&["--journal", &journal, "list", "--json"]).await;
    assert!(listed.stdout.contains(&id), "{listed:?}");
    database.execute_batch("DROP TRIGGER full").unwrap();
    let again = studio.run(&arguments).await;
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(studio.bought(), 1);
}
