//! The journal's tests on a server, and the first start of several machines.

use std::process::Command;

use tokio::task::JoinSet;
use uso_journal::Journal;

use super::server;

/// Tests that are about files, and therefore about SQLite.
const ABOUT_FILES: [&str; 4] = [
    "journal::beside::",
    "journal::files::",
    "journal::power::",
    "journal::accounts::the_key_is_in_no_file",
];

#[test]
fn every_test_of_the_journal_that_is_not_about_files_passes_on_a_server() {
    let Some(server) = server("stores::every_test_of_the_journal") else {
        return;
    };
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["journal::", "--test-threads", "4"])
        .env("USO_TEST_SERVER", server.url("postgres"));
    for name in ABOUT_FILES {
        command.args(["--skip", name]);
    }
    // Its own name, and those of other modules that end alike.
    command.args(["--skip", "fleet::", "--skip", "cli::", "--skip", "studio::"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let passed = said.lines().filter(|line| line.ends_with("... ok")).count();
    assert!(passed >= 40, "{passed} tests are few: {said}");
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
