//! Steps of a task: programs that are started at the root and must succeed.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::commands;

/// Tells the tests that a missing tool is a failure.
pub(crate) const NO_SKIPS: &str = "USO_NO_SKIPS";

/// Cargo with these arguments, at the root of the repository.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    cargo_in(&commands::root(), arguments)
}

/// Cargo with these arguments in a folder.
pub(crate) fn cargo_in<const N: usize>(folder: &Path, arguments: [&str; N]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    command
}

/// Runs a program to its end, under a heading, and tells how long it took.
pub(crate) fn step(name: &str, mut command: Command) -> Result<()> {
    println!("==> {name}");
    let started = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("{name}: the program could not be started"))?;
    if !status.success() {
        bail!("{name}: failed");
    }
    println!("==> {name}: {} s", started.elapsed().as_secs());
    Ok(())
}

/// What a program writes to stdout.
pub(crate) fn output(mut command: Command) -> Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}
