//! Release: versions and changes are written, and the tarballs that would be published are checked.
//!
//! Nothing is committed, tagged or published: the command prints the steps that are left.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::steps::{cargo_in, output, step};
use crate::{commands, package};

const MANIFEST: &str = "Cargo.toml";
const CHANGES: &str = ".github/CHANGELOG.md";
const UNRELEASED: &str = "## Unreleased\n";

/// Prepares the release of a version; a dry run does so in a copy of the last commit.
///
/// # Errors
///
/// When the version is not newer, there are changes that are not committed, nothing is listed as
/// unreleased, no remote tells where the repository is, or a tarball does not compile.
pub fn run(version: &str, is_dry: bool) -> Result<()> {
    let root = commands::root();
    let address = output(git(&["remote", "get-url", "origin"], &root))
        .ok()
        .and_then(|remote| web_address(remote.trim()));
    if !is_dry {
        if !output(git(&["status", "--porcelain"], &root))?.is_empty() {
            bail!("there are changes that are not committed: commit or stash them first");
        }
        let address = address.context(
            "the crates name their repository: git remote add origin ADDRESS, of https or git@host:path",
        )?;
        write(&root, version, Some(&address))?;
        package::run(&root, &commands::target())?;
        println!("{}", remaining(version));
        return Ok(());
    }
    let copy = tempfile::tempdir().context("no temporary folder")?;
    let mut clone = git(&["clone", "--quiet", "--shared", "."], &root);
    clone.arg(copy.path());
    step("copy of the last commit", clone)?;
    write(copy.path(), version, address.as_deref())?;
    step(
        "what would change",
        git(&["--no-pager", "diff", "--stat", "--patch"], copy.path()),
    )?;
    package::run(copy.path(), &commands::target())?;
    println!("dry run: nothing was written. After the release without --dry-run:");
    println!("{}", remaining(version));
    Ok(())
}

fn git(arguments: &[&str], folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.args(arguments).current_dir(folder);
    git
}

fn remaining(version: &str) -> String {
    format!(
        "  git commit --all --message 'Release {version}' && git tag v{version}\n  \
         cargo publish --workspace\n  \
         git push --follow-tags"
    )
}

/// Writes the version, the repository's address and the changes in the repository at this root.
fn write(root: &Path, version: &str, address: Option<&str>) -> Result<()> {
    let manifest = root.join(MANIFEST);
    let text = fs::read_to_string(&manifest).context(MANIFEST)?;
    let mut text = with_version(&text, version)?;
    if let Some(address) = address {
        text = with_line(&text, "license = ", &format!("repository = \"{address}\""))?;
        for (name, _) in package::published(root)? {
            let manifest = root.join("crates").join(name).join(MANIFEST);
            let text = fs::read_to_string(&manifest)?;
            let text = with_line(&text, "license.workspace", "repository.workspace = true")?;
            fs::write(&manifest, text)?;
        }
    }
    fs::write(&manifest, text)?;
    let changes = root.join(CHANGES);
    let text = fs::read_to_string(&changes).context(CHANGES)?;
    // The standard library knows no calendar.
    let date = output(git(&["log", "-1", "--format=%cs"], root))?;
    fs::write(&changes, with_release(&text, version, date.trim())?)?;
    step(
        "lock file",
        cargo_in(root, ["update", "--quiet", "--workspace", "--offline"]),
    )
}

/// The address at which a browser finds the repository of a remote; `None` for one on this machine.
fn web_address(remote: &str) -> Option<String> {
    let remote = remote.strip_suffix(".git").unwrap_or(remote);
    let place = match remote.strip_prefix("https://") {
        Some(place) => place.to_owned(),
        None => match remote.strip_prefix("ssh://git@") {
            Some(place) => place.to_owned(),
            None => remote.strip_prefix("git@")?.replacen(':', "/", 1),
        },
    };
    Some(format!("https://{place}"))
}

/// A manifest with this line after the one that begins so, unless it has one of its name.
fn with_line(manifest: &str, after: &str, line: &str) -> Result<String> {
    let (name, _) = line.split_once([' ', '.']).context("a line has a name")?;
    if manifest.lines().any(|known| known.starts_with(name)) {
        return Ok(manifest.to_owned());
    }
    let found = manifest.lines().find(|known| known.starts_with(after));
    let found = found.with_context(|| format!("a manifest has no line {after}"))?;
    Ok(manifest.replacen(found, &format!("{found}\n{line}"), 1))
}

/// The manifest of the workspace with another version of every crate.
fn with_version(manifest: &str, version: &str) -> Result<String> {
    let line = |version: &str| format!("\nversion = \"{version}\"\n");
    let current = manifest
        .split_once("\nversion = \"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(current, _)| current.to_owned())
        .context("the workspace has no version")?;
    if numbers(version)? <= numbers(&current)? {
        bail!("{version} is not newer than {current}");
    }
    let replaced = manifest.replacen(&line(&current), &line(version), 1);
    // Ours stand with a path and a version.
    let ours = |line: &str| match line.contains("path = \"crates/") {
        true => line.replace(
            &format!("version = \"{current}\""),
            &format!("version = \"{version}\""),
        ),
        false => line.to_owned(),
    };
    Ok(replaced.split_inclusive('\n').map(ours).collect())
}

/// The changes with those of this release under a heading of their own.
fn with_release(changes: &str, version: &str, date: &str) -> Result<String> {
    let (before, after) = changes
        .split_once(UNRELEASED)
        .with_context(|| format!("{CHANGES} has no heading \"Unreleased\""))?;
    if !after
        .split("\n## ")
        .next()
        .is_some_and(|entries| entries.contains("\n- "))
    {
        bail!("{CHANGES} lists nothing as unreleased");
    }
    Ok(format!(
        "{before}{UNRELEASED}\n## {version} ({date})\n{after}"
    ))
}

/// The three numbers of a version.
fn numbers(version: &str) -> Result<[u64; 3]> {
    let numbers: Option<Vec<u64>> = version.split('.').map(|part| part.parse().ok()).collect();
    let numbers = numbers.and_then(|numbers| <[u64; 3]>::try_from(numbers).ok());
    numbers.with_context(|| format!("{version} is not a version of the form 1.2.3"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "[workspace.package]\nversion = \"0.1.0\"\nrust-version = \"1.95\"\n\
        [workspace.dependencies]\nuso = { path = \"crates/uso\", version = \"0.1.0\" }\n\
        other = { version = \"0.1.0\" }\n";

    #[test]
    fn a_release_raises_the_version_of_every_crate_and_of_no_other() {
        let raised = with_version(TOML, "0.2.0").unwrap();
        assert!(
            raised.contains("[workspace.package]\nversion = \"0.2.0\"\nrust-version = \"1.95\"")
        );
        assert!(raised.contains("uso = { path = \"crates/uso\", version = \"0.2.0\" }"));
        assert!(raised.contains("other = { version = \"0.1.0\" }"));
        for wrong in ["0.1.0", "0.0.9", "0.2", "v0.2.0", "0.2.0-rc.1"] {
            assert!(with_version(TOML, wrong).is_err(), "{wrong}");
        }
        assert!(with_version(TOML, "0.10.0").is_ok(), "numbers are no texts");
    }

    #[test]
    fn a_release_names_the_repository_of_its_remote_once() {
        for remote in [
            "https://example.org/team/uso",
            "https://example.org/team/uso.git",
            "ssh://git@example.org/team/uso.git",
            "git@example.org:team/uso.git",
        ] {
            let address = web_address(remote);
            assert_eq!(address.as_deref(), Some("https://example.org/team/uso"));
        }
        assert_eq!(web_address("/srv/uso"), None);
        let crates = "name = \"uso\"\nlicense.workspace = true\nkeywords.workspace = true\n";
        let named = with_line(crates, "license.workspace", "repository.workspace = true").unwrap();
        assert_eq!(
            named,
            "name = \"uso\"\nlicense.workspace = true\nrepository.workspace = true\nkeywords.workspace = true\n"
        );
        let again = with_line(&named, "license.workspace", "repository.workspace = true");
        assert_eq!(again.unwrap(), named);
    }

    #[test]
    fn a_release_takes_the_unreleased_changes_and_refuses_when_there_are_none() {
        let changes = "# Changes\n\n## Unreleased\n\n- new\n\n## 0.1.0\n\n- first\n";
        let released =
            "# Changes\n\n## Unreleased\n\n## 0.2.0 (2030-01-02)\n\n- new\n\n## 0.1.0\n\n- first\n";
        assert_eq!(
            with_release(changes, "0.2.0", "2030-01-02").unwrap(),
            released
        );
        assert!(with_release(released, "0.3.0", "2030-01-03").is_err());
    }
}
