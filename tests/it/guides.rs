//! The README and the guides: every link leads to a page and section that exist, and every command
//! works as it stands.

#[cfg(unix)]
mod commands;
mod links;

use std::path::{Path, PathBuf};

/// A page in Markdown, by its path from the root of the workspace.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(uso_tests::rig::file("..").join(path));
        Self {
            path: path.to_owned(),
            text: text.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        }
    }

    /// Every page of the workspace: the README, those of the crates, their guides, and `.github`.
    fn all() -> Vec<Self> {
        let root = uso_tests::rig::file("..");
        let mut pages = vec![Self::read(Path::new("README.md"))];
        for folder in [".github", "crates"] {
            collect(&root, Path::new(folder), &mut pages);
        }
        assert!(pages.len() > 25, "the pages are found");
        pages
    }

    /// The README and the guides: what a user reads with commands to type.
    fn guides() -> Vec<Self> {
        let is_guide = |page: &Self| {
            let parent = page.path.parent().and_then(Path::file_name);
            page.path == Path::new("README.md") || parent.is_some_and(|name| name == "docs")
        };
        Self::all().into_iter().filter(is_guide).collect()
    }

    /// The blocks of code of a language.
    fn blocks(&self, language: &str) -> Vec<&str> {
        let start = format!("```{language}\n");
        let blocks = self.text.split(&start).skip(1);
        blocks
            .map(|block| block.split("```").next().unwrap())
            .collect()
    }
}

fn collect(root: &Path, folder: &Path, pages: &mut Vec<Page>) {
    let entries = std::fs::read_dir(root.join(folder)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for name in names {
        let path = folder.join(name);
        if root.join(&path).is_dir() {
            collect(root, &path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(Page::read(&path));
        }
    }
}
