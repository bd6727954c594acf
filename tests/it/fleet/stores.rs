//! The journal's tests on a server, and the first start of several machines.

use std::collections::BTreeSet;
use std::process::Command;

use tokio::task::JoinSet;
use uso_journal::Journal;

use super::server;

/// Tests that are about files, and therefore about SQLite.
const ABOUT_FILES: [&str; 3] = ["journal::beside::", "journal::files::", "journal::power::"];

/// The names of the tests in the output of the harness: its lines that end so.
fn names<'a>(said: &'a str, ending: &str) -> BTreeSet<&'a str> {
    let lines = said.lines().filter_map(|line| line.strip_suffix(ending));
    lines
        .map(|line| line.strip_prefix("test ").unwrap_or(line))
        .collect()
}

#[test]
fn every_test_of_the_journal_that_is_not_about_files_passes_on_a_server() {
    let Some(server) = server("stores::every_test_of_the_journal") else {
        return;
    };
    let this = || Command::new(std::env::current_exe().unwrap());
    let listed = this().arg("--list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut expected = names(&listed, ": test");
    expected.retain(|name| name.starts_with("journal::"));
    for part in ABOUT_FILES {
        let all = expected.len();
        expected.retain(|name| !name.starts_with(part));
        assert!(expected.len() < all, "{part} has no tests");
    }
    let output = this()
        .args(["--exact", "--test-threads", "4"])
        .args(&expected)
        .env("USO_TEST_SERVER", server.url("postgres"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert_eq!(names(&said, " ... ok"), expected, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_that_open_a_new_database_at_once_all_can() {
    let Some(server) = server("stores::machines_that_open_a_new_database") else {
        return;
    };
    for _ in 0..5 {
        let place = server.database().await;
        let mut opening = JoinSet::new();
        for _ in 0..8 {
            let place = place.clone();
            opening.spawn(async move { Journal::connect(&place).await.map(drop) });
        }
        for opened in opening.join_all().await {
            opened.unwrap();
        }
    }
}
