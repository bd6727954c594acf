//! Code map: the list of modules in `crates/README.md`, from the first sentence of each module's
//! docs.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The code map, from the root of the repository.
const MAP: &str = "crates/README.md";
/// The heading above the list; the text before the heading is written by hand.
const HEADING: &str = "## Modules\n";

/// Writes the list of modules, and keeps the text before the list.
///
/// # Errors
///
/// When a file cannot be read or the map cannot be written.
pub fn write(root: &Path) -> Result<()> {
    let path = root.join(MAP);
    let current = fs::read_to_string(&path).with_context(|| format!("cannot read {MAP}"))?;
    let text = current.split(HEADING).next().unwrap_or_default();
    fs::write(&path, format!("{text}{HEADING}{}", list(root)?))?;
    println!("{MAP} written");
    Ok(())
}

fn list(root: &Path) -> Result<String> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(root.join("crates"))? {
        folders.push(entry?.path());
    }
    folders.sort();
    folders.push(root.join("xtask"));
    let mut list = String::new();
    for folder in folders
        .iter()
        .filter(|folder| folder.join("Cargo.toml").is_file())
    {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let mut modules = Vec::new();
        collect(&folder.join("src"), "", &mut modules)?;
        modules.sort();
        write!(list, "\n### `{name}`\n\n")?;
        for (module, sentence) in modules {
            writeln!(list, "- `{module}`: {sentence}")?;
        }
    }
    Ok(list)
}

/// Collects the modules of a folder with the first sentence of each; files of tests aside.
fn collect(folder: &Path, parent: &str, modules: &mut Vec<(String, String)>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let module = if parent.is_empty() {
            stem.to_string()
        } else {
            format!("{parent}::{stem}")
        };
        if path.is_dir() {
            collect(&path, &module, modules)?;
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !matches!(module.as_str(), "lib" | "main")
            && stem != "tests"
        {
            modules.push((module, first_sentence(&fs::read_to_string(&path)?)));
        }
    }
    Ok(())
}

fn first_sentence(source: &str) -> String {
    let docs = source.lines().map_while(|line| line.strip_prefix("//!"));
    let paragraph: Vec<&str> = docs
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let paragraph = paragraph.join(" ");
    if paragraph.is_empty() {
        return "Generated code.".to_owned();
    }
    let (sentence, rest) = paragraph.split_once(". ").unwrap_or((&paragraph, ""));
    let end = if rest.is_empty() { "" } else { "." };
    without_links(&format!("{sentence}{end}"))
}

/// Text without the targets of its links, which rustdoc alone resolves.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        plain.push_str(&before.replacen('[', "", 1));
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    plain.replace("[`", "`").replace("`]", "`")
}
