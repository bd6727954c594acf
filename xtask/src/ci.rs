//! Everything that must hold, in one command.
//!
//! It needs a stable toolchain with clippy and rustfmt and nothing else. A test that needs more
//! (Node, Python, a browser, PostgreSQL) runs where that is found and says what it skipped where it
//! is not; with `--no-skips`, which continuous integration uses, a skip is a failure.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::commands;

/// Tells the tests that a missing tool is a failure.
const NO_SKIPS: &str = "USO_NO_SKIPS";

/// Runs every check, in the order in which they are cheap.
///
/// # Errors
///
/// When a check fails; its output names what and where.
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
    if no_skips {
        tests.env(NO_SKIPS, "1");
    }
    step("tests and doc tests", tests)?;
    let mut docs = cargo(["doc", "--workspace", "--no-deps", "--locked"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    step("docs", docs)?;
    println!("==> all checks passed in {} s", started.elapsed().as_secs());
    Ok(())
}

/// Measures what the README says of speed: the named benchmark, or the one of jobs. Further
/// arguments go to it.
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

fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(commands::root());
    command
}

fn step(name: &str, mut command: Command) -> Result<()> {
    println!("==> {name}");
    let status = command
        .status()
        .with_context(|| format!("{name}: cargo could not be started"))?;
    if !status.success() {
        bail!("{name}: failed");
    }
    Ok(())
}
