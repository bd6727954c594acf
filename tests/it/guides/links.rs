//! Links of pages and of doc comments.

use std::path::{Component, Path, PathBuf};

use super::Page;

#[test]
fn every_link_leads_to_a_page_and_section_that_exist() {
    let root = uso_tests::rig::file("..");
    let mut checked = 0;
    let mut broken = String::new();
    let mut pages = Page::all();
    pages.extend(doc_comments(&root));
    for page in &pages {
        for target in targets(&page.text) {
            checked += 1;
            if let Err(why) = resolve(&root, page, &target) {
                broken.push_str(&format!("{}: {target}: {why}\n", page.path.display()));
            }
        }
    }
    assert!(checked > 30, "links are found: {checked}");
    assert!(broken.is_empty(), "\n{broken}");
}

#[test]
fn broken_links_are_found() {
    let root = uso_tests::rig::file("..");
    let page = Page::read(Path::new("README.md"));
    for (target, is_whole) in [
        ("crates/README.md", true),
        ("crates/README.md#layers", true),
        ("#guides", true),
        ("crates/uso/examples", true),
        (
            "https://docs.rs/uso/latest/uso/guides/money/index.html#caps",
            true,
        ),
        (
            "https://docs.rs/uso-webhook/latest/uso_webhook/index.html#what-is-verified",
            true,
        ),
        ("https://example.org/anything", true),
        ("crates/NO.md", false),
        ("crates/README.md#no-such-section", false),
        ("#no-such-section", false),
        ("../outside.md", false),
        (
            "https://docs.rs/uso/latest/uso/guides/nothing/index.html",
            false,
        ),
        (
            "https://docs.rs/uso/latest/uso/guides/money/index.html#nothing",
            false,
        ),
        (
            "https://docs.rs/uso/latest/other/guides/money/index.html",
            false,
        ),
        ("crate::Client", false),
    ] {
        let found = resolve(&root, &page, target);
        assert_eq!(found.is_ok(), is_whole, "{target}: {found:?}");
    }
}

/// The targets of inline links, and of reference definitions that are URLs.
fn targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            continue;
        }
        if is_code {
            continue;
        }
        for after in line.split("](").skip(1) {
            targets.extend(after.split_once(')').map(|(target, _)| target.to_owned()));
        }
        if let Some((name, target)) = line.split_once("]: ")
            && name.starts_with('[')
            && target.starts_with("http")
        {
            targets.push(target.trim().to_owned());
        }
    }
    targets
}

fn resolve(root: &Path, page: &Page, target: &str) -> Result<(), String> {
    let (place, section) = match target.split_once('#') {
        Some((place, section)) => (place, Some(section)),
        None => (target, None),
    };
    let text = if let Some(path) = place.strip_prefix("https://docs.rs/uso") {
        documentation(root, &format!("uso{path}"))?
    } else if place.starts_with("https://") || place.starts_with("http://") {
        return Ok(()); // another site: tests need no network
    } else if place.is_empty() {
        page.text.clone()
    } else {
        let path = normal(&page.path.parent().unwrap().join(place))?;
        let path = root.join(path);
        if section.is_none() {
            let is_there = path.exists();
            return is_there.then_some(()).ok_or("no such file".to_owned());
        }
        std::fs::read_to_string(&path).map_err(|error| error.to_string())?
    };
    match section {
        Some(section) if !sections(&text).any(|slug| slug == section) => {
            Err("no such section".to_owned())
        }
        _ => Ok(()),
    }
}

/// The text of a page on docs.rs: `uso-journal/latest/uso_journal/guides/fleet/index.html`.
fn documentation(root: &Path, place: &str) -> Result<String, String> {
    let mut parts = place.trim_end_matches('/').split('/');
    let name = parts.next().unwrap_or_default();
    let source = root.join("crates").join(name).join("src");
    let mut file = source.join("lib.rs");
    let read = |file: &Path| std::fs::read_to_string(file).map_err(|error| error.to_string());
    let mut text = read(&file)?;
    let mut docs = comments(&text, "//!");
    let Some(version) = parts.next() else {
        return Ok(docs);
    };
    if version != "latest" || parts.next() != Some(&name.replace('-', "_")) {
        return Err("not the address of the crate's documentation".to_owned());
    }
    let modules: Vec<&str> = parts.collect();
    let Some((&"index.html", modules)) = modules.split_last() else {
        return Err("not the address of a module".to_owned());
    };
    let mut folder = source;
    for module in modules {
        let inline = format!("pub mod {module} {{");
        if let Some((before, _)) = text.split_once(&inline) {
            // A guide: its text is the file that the line before names.
            let path = before.trim_end().rsplit_once("include_str!(\"");
            let path = path.and_then(|(_, path)| path.strip_suffix("\")]"));
            docs = match path {
                Some(path) => read(&normal(&file.parent().unwrap().join(path))?)?,
                None => comments(before, "///"),
            };
        } else if text.contains(&format!("pub mod {module};")) {
            file = folder.join(module).with_extension("rs");
            text = read(&file)?;
            docs = comments(&text, "//!");
        } else {
            return Err(format!("no public module {module}"));
        }
        folder = folder.join(module);
    }
    Ok(docs)
}

/// The doc comments of the crates' sources, as pages.
fn doc_comments(root: &Path) -> Vec<Page> {
    let mut pages = Vec::new();
    for krate in std::fs::read_dir(root.join("crates")).unwrap() {
        for file in ["src/lib.rs", "src/guides.rs"] {
            let path = krate.as_ref().unwrap().path().join(file);
            if let Ok(source) = std::fs::read_to_string(&path) {
                let text = comments(&source, "//!");
                let path = path.strip_prefix(root).unwrap().to_owned();
                pages.push(Page { path, text });
            }
        }
    }
    pages
}

fn comments(source: &str, mark: &str) -> String {
    let lines = source.lines().filter_map(|line| line.strip_prefix(mark));
    lines
        .map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned() + "\n")
        .collect()
}

/// The sections of a page by the names that links use.
fn sections(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// A path without `..`, which may not leave the root.
fn normal(path: &Path) -> Result<PathBuf, String> {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                if !normal.pop() {
                    return Err("outside of the repository".to_owned());
                }
            }
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    Ok(normal)
}
