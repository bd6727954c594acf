//! Packages: the tarball of every crate that is published, compiled outside of the workspace.
//!
//! A crate that reads a file beside its own folder compiles in the workspace and fails for its
//! users. The tarballs are therefore unpacked into an empty folder, where each finds the others by
//! path, since they are on no registry yet, and compiled with the workspace's own target folder.
//! Which features a crate needs of another is seen where each is compiled alone, in the checks of
//! continuous integration.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::steps::{cargo_in, output, step};

/// Packages every crate of the workspace at this root that is published, and compiles the
/// tarballs.
///
/// # Errors
///
/// When a crate cannot be packaged, or a tarball does not compile.
pub fn run(root: &Path, target: &Path) -> Result<()> {
    let started = Instant::now();
    let crates = published(root)?;
    let mut package = cargo_in(root, ["package", "--quiet", "--no-verify", "--allow-dirty"]);
    for (name, _) in &crates {
        package.args(["--package", name]);
    }
    package.arg("--target-dir").arg(target);
    step("tarballs", package)?;

    let folder = tempfile::tempdir().context("no temporary folder")?;
    let folder = folder.path();
    for (name, version) in &crates {
        let mut unpack = Command::new("tar");
        let tarball = target.join(format!("package/{name}-{version}.crate"));
        unpack.arg("-xzf").arg(&tarball).current_dir(folder);
        output(unpack).with_context(|| format!("{} cannot be unpacked", tarball.display()))?;
    }
    let workspace = fs::read_to_string(root.join("Cargo.toml"))?;
    let manifest = manifest(&crates, &workspace)?;
    fs::write(folder.join("Cargo.toml"), manifest)?;
    // The same versions of everything else as in the workspace.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let mut check = cargo_in(
        folder,
        ["check", "--quiet", "--workspace", "--all-features"],
    );
    check.arg("--target-dir").arg(target);
    step("tarballs compile", check)?;
    println!("packaged in {} s", started.elapsed().as_secs());
    Ok(())
}

/// Names and versions of the crates that are published.
pub(crate) fn published(root: &Path) -> Result<Vec<(String, String)>> {
    let metadata = cargo_in(root, ["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&output(metadata)?)?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    let text = |package: &Value, field: &str| {
        let text = package.get(field).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let crates: Vec<_> = packages
        .context("no packages")?
        .iter()
        .filter(|package| package.get("publish").is_some_and(Value::is_null))
        .map(|package| (text(package, "name"), text(package, "version")))
        .collect();
    if crates.is_empty() {
        bail!("no crate is published");
    }
    Ok(crates)
}

/// A workspace of the unpacked tarballs, in which each takes the others from beside it. It has the
/// profiles of the workspace, so that what that has compiled is used again.
fn manifest(crates: &[(String, String)], workspace: &str) -> Result<String> {
    let mut text =
        "[workspace]\nresolver = \"3\"\nmembers = [\"*-*\"]\n\n[patch.crates-io]\n".to_owned();
    for (name, version) in crates {
        writeln!(text, "{name} = {{ path = \"{name}-{version}\" }}")?;
    }
    let mut is_profile = false;
    for line in workspace.lines() {
        if line.starts_with('[') {
            is_profile = line.starts_with("[profile.");
        }
        if is_profile {
            writeln!(text, "{line}")?;
        }
    }
    Ok(text)
}
