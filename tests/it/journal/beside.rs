//! A program that also uses sqlx gets one SQLite for both.

use std::process::Command;

use uso_tests::rig::{file, skipped};

/// Resolves a program with `uso-journal` and sqlx. To build it as well, give the same manifest to
/// `cargo check`.
#[test]
fn a_program_with_sqlx_resolves() {
    const TEST: &str = "a_program_with_sqlx_resolves";
    let folder = tempfile::tempdir().unwrap();
    let journal = file("../crates/uso-journal").canonicalize().unwrap();
    let manifest = format!(
        "[package]\nname = \"beside-sqlx\"\nedition = \"2024\"\n\n[dependencies]\n\
         sqlx = {{ version = \"0.9\", default-features = false, features = [\"sqlite\"] }}\n\
         uso-journal = {{ path = {journal:?} }}\n\n[workspace]\n"
    );
    let source = folder.path().join("src");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("main.rs"), "fn main() {}\n").unwrap();
    std::fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    let resolved = Command::new(env!("CARGO"))
        .arg("generate-lockfile")
        .current_dir(folder.path())
        .env("CARGO_NET_RETRY", "0")
        .output()
        .unwrap();
    let talk = String::from_utf8_lossy(&resolved.stderr);
    let offline = ["failed to fetch", "failed to download", "failed to get"];
    if !resolved.status.success() && offline.iter().any(|words| talk.contains(words)) {
        skipped(TEST, "the package registry");
        return;
    }
    assert!(resolved.status.success(), "{talk}");
    let lock = std::fs::read_to_string(folder.path().join("Cargo.lock")).unwrap();
    let count = |package: &str| lock.matches(&format!("name = \"{package}\"\n")).count();
    assert_eq!(
        (count("libsqlite3-sys"), count("rusqlite")),
        (1, 1),
        "{lock}"
    );
}
