//! Workflow engines: the packages of `tests/engines`, each a workspace of its own, whose tests kill
//! the program of an engine around a purchase.

use std::path::Path;

use anyhow::Result;

use crate::steps::{NO_SKIPS, cargo_in, step};

/// Folders of the packages, from the root.
const PACKAGES: [&str; 1] = ["tests/engines/dbos"];

/// Checks the packages and runs their tests. A test that lacks PostgreSQL says so, or fails where
/// nothing may be skipped.
///
/// # Errors
///
/// When a check or a test fails.
pub fn run(root: &Path, target: &Path, no_skips: bool) -> Result<()> {
    // Most dependencies are those of the workspace, and are compiled already.
    let target = std::path::absolute(target)?;
    for package in PACKAGES {
        let folder = root.join(package);
        let format = cargo_in(&folder, ["fmt", "--check"]);
        step(&format!("{package}: format"), format)?;
        let strict = [
            "clippy",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ];
        let mut clippy = cargo_in(&folder, strict);
        clippy.env("CARGO_TARGET_DIR", &target);
        step(&format!("{package}: clippy"), clippy)?;
        let mut tests = cargo_in(&folder, ["test", "--locked"]);
        tests.env("CARGO_TARGET_DIR", &target);
        if no_skips {
            tests.env(NO_SKIPS, "1");
        }
        step(&format!("{package}: tests"), tests)?;
    }
    Ok(())
}
