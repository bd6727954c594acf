//! Continuous integration: every check of the project in one command.
//!
//! The command needs a stable toolchain with clippy and rustfmt. A test that needs more (Node,
//! Python, a browser, PostgreSQL) runs where those are found and reports a skip elsewhere; with
//! `--no-skips`, which continuous integration uses, a skip is a failure. cargo-deny, cargo-machete,
//! typos and actionlint run where they are installed.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::steps::{NO_SKIPS, cargo, cargo_in, step};
use crate::{commands, engines, package};

/// Runs every check, the cheap ones first.
///
/// # Errors
///
/// When a check fails; its output names the reason and the place.
pub fn run(no_skips: bool) -> Result<()> {
    let started = Instant::now();
    step("format", cargo(["fmt", "--all", "--check"]))?;
    println!("==> generated code");
    commands::check()?;
    let strict = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    step("clippy", cargo(strict))?;
    let mut tests = cargo(["test", "--workspace", "--locked"]);
    // A snapshot is accepted by a person in a review, never by a run.
    tests.env("INSTA_UPDATE", "no");
    tests.env("RUST_TEST_THREADS", test_threads());
    if no_skips {
        tests.env(NO_SKIPS, "1");
    }
    step("tests and doc tests", tests)?;
    let mut docs = cargo(["doc", "--workspace", "--no-deps", "--locked"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    step("docs", docs)?;
    engines::run(&commands::root(), &commands::target(), no_skips)?;
    fuzz_targets()?;
    features()?;
    package::run(&commands::root(), &commands::target())?;
    optional("cargo-deny", "licences, sources and banned crates", &DENY)?;
    optional("cargo-machete", "unused dependencies", &[])?;
    optional("typos", "spelling", &[])?;
    optional("actionlint", "workflows", &[])?;
    println!("==> all checks passed in {} s", started.elapsed().as_secs());
    Ok(())
}

/// How many tests run at once. A test that talks to the emulator, to a server of PostgreSQL or to a
/// process of the command waits for more than half of its time.
fn test_threads() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (2 * cores + 1).to_string()
}

/// What cargo-deny checks without a network.
const DENY: [&str; 6] = [
    "--all-features",
    "--offline",
    "check",
    "bans",
    "licenses",
    "sources",
];

/// Checks the dependencies against the published security advisories. The check needs a network and
/// cargo-deny, so it is no part of [`run`].
///
/// # Errors
///
/// When cargo-deny is missing, cannot fetch the advisories, or finds one that applies.
pub fn advisories() -> Result<()> {
    let mut deny = Command::new("cargo-deny");
    deny.args(["--all-features", "check", "advisories"]);
    deny.current_dir(commands::root());
    step("advisories", deny)
}

/// Checks the fuzz targets, a workspace of its own, without the C++ of the search.
fn fuzz_targets() -> Result<()> {
    let folder = commands::root().join("tests/fuzz");
    let mut check = cargo_in(&folder, ["check", "--locked", "--no-default-features"]);
    check.env("CARGO_TARGET_DIR", std::path::absolute(commands::target())?);
    step("fuzz targets", check)
}

/// Compiles each crate alone: without its default features and with all of them.
fn features() -> Result<()> {
    let folder = commands::root().join("crates");
    let mut crates: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            crates.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    crates.sort();
    for name in &crates {
        for features in ["--no-default-features", "--all-features"] {
            let mut clippy = cargo(["clippy", "--quiet", "--locked", features, "--package"]);
            clippy.args([name, "--", "-D", "warnings"]);
            step(&format!("{name} {features}"), clippy)?;
        }
    }
    Ok(())
}

/// Runs a tool that a developer may lack; says so where the tool is missing.
fn optional(tool: &str, name: &str, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(tool);
    let is_there = Command::new(tool).arg("--version").output().is_ok();
    if !is_there {
        println!("==> {name}: skipped, {tool} is not installed");
        return Ok(());
    }
    command.args(arguments).current_dir(commands::root());
    step(name, command)
}

/// Runs the named benchmark, or the one of jobs, with further arguments.
///
/// # Errors
///
/// When the benchmark cannot be built or fails.
pub fn bench(arguments: &[&str]) -> Result<()> {
    let (name, arguments) = match arguments {
        [name, rest @ ..] => (*name, rest),
        [] => ("jobs", arguments),
    };
    let mut bench = cargo([
        "bench",
        "--package",
        "uso-tests",
        "--bench",
        name,
        "--locked",
        "--",
    ]);
    bench.args(arguments);
    step("benchmark", bench)
}
