//! Destination of pictures: decided, checked and taken before anything is bought.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::output_names::{Names, Template, folder_of, numbered};
use crate::same_file;

/// What `-o`, `--name` and `--force` say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) output: Option<&'a Path>,
    pub(crate) name: Option<&'a str>,
    pub(crate) force: bool,
}

/// Where the pictures go.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// Standard output, for one picture.
    Stdout,
    /// These files, by name.
    Files { paths: Vec<PathBuf>, replace: bool },
    /// Free names of this form in a folder.
    Folder {
        folder: PathBuf,
        template: Template,
        names: Names,
    },
}

impl Destination {
    /// The place for this many pictures, checked as far as it can be without writing.
    pub(crate) fn plan(wish: Wish<'_>, names: &Names, count: usize) -> Result<Self, Failure> {
        let template = match wish.name {
            Some(text) => Template::parse(text)?,
            None => Template::usual(names),
        };
        let in_folder = |folder: &Path| {
            Ok(Self::Folder {
                folder: folder.to_owned(),
                names: template.fitted(names)?,
                template,
            })
        };
        let Some(output) = wish.output else {
            return in_folder(Path::new("."));
        };
        if output.as_os_str() == "-" {
            return stdout(wish, count);
        }
        if names_folder(output) {
            let blocking = output.ancestors().find(|path| path.exists());
            if let Some(blocking) = blocking.filter(|path| !path.is_dir()) {
                return Err(Failure::usage(format!(
                    "-o: the folder {} cannot be made, since {} is a file; nothing was sent",
                    output.display(),
                    blocking.display()
                ))
                .with_hint("name another folder with -o"));
            }
            return in_folder(output);
        }
        if wish.name.is_some() {
            return Err(Failure::usage(
                "--name is for pictures in a folder, and -o names a file; nothing was sent",
            )
            .with_hint(format!(
                "leave --name out, or write the folder with a / at its end: -o {}/",
                output.display()
            )));
        }
        let file = target_of_links(output)?;
        let numbers = (1..=count).map(|number| (count > 1).then_some(number));
        let paths: Vec<PathBuf> = numbers.map(|number| numbered(&file, number)).collect();
        for path in &paths {
            check_file(path, wish.force)?;
        }
        Ok(Self::Files {
            paths,
            replace: wish.force,
        })
    }

    /// Refuses a place that is one of these files, under whatever name: what a command reads is never
    /// written.
    pub(crate) fn refuse_inputs(&self, inputs: &[PathBuf]) -> Result<(), Failure> {
        let Self::Files { paths, .. } = self else {
            return Ok(());
        };
        for path in paths {
            if let Some(input) = inputs.iter().find(|input| same_file::is_same(path, input)) {
                return Err(Failure::usage(format!(
                    "-o: {} is {}, which is read for this job, and an input is never written; nothing was sent",
                    path.display(),
                    input.display()
                ))
                .with_hint("name another file with -o"));
            }
        }
        Ok(())
    }
}

fn stdout(wish: Wish<'_>, count: usize) -> Result<Destination, Failure> {
    if count > 1 {
        return Err(Failure::usage(format!(
            "-o -: standard output takes one picture, and --images is {count}; nothing was sent"
        ))
        .with_hint("name a folder with -o, or leave --images out"));
    }
    if wish.name.is_some() {
        return Err(Failure::usage(
            "--name is for pictures in a folder, and -o - is standard output; nothing was sent",
        ));
    }
    if std::io::stdout().is_terminal() {
        return Err(Failure::usage(
            "-o -: standard output is a terminal, and a picture is not text; nothing was sent",
        )
        .with_hint("redirect it with > or |, or use --preview to see the picture"));
    }
    Ok(Destination::Stdout)
}

/// Whether the path is a folder: it is one, or it is written as one.
fn names_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// The file that a path stands for: a link is followed, so that what it names is written and the
/// link stays.
fn target_of_links(path: &Path) -> Result<PathBuf, Failure> {
    const MOST: usize = 40;
    let system = ["/dev", "/proc"]
        .iter()
        .any(|folder| path.starts_with(folder));
    if system {
        return Err(Failure::usage(format!(
            "-o: {} is not a file that can be replaced; nothing was sent",
            path.display()
        ))
        .with_hint("use -o - for standard output, with > or | behind it"));
    }
    let mut target = path.to_owned();
    for _ in 0..MOST {
        let Ok(link) = std::fs::read_link(&target) else {
            return Ok(target);
        };
        target = folder_of(&target).join(link);
    }
    Err(Failure::usage(format!(
        "-o: {} is a link that leads in a circle; nothing was sent",
        path.display()
    )))
}

/// Refuses what is not a regular file, what exists without `--force`, and a missing folder.
fn check_file(path: &Path, force: bool) -> Result<(), Failure> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(Failure::usage(format!(
            "-o: the folder {} does not exist; nothing was sent",
            folder.display()
        ))
        .with_hint(format!("make it first: mkdir -p {}", folder.display())));
    }
    let Ok(there) = std::fs::metadata(path) else {
        return Ok(());
    };
    if !there.is_file() {
        return Err(Failure::usage(format!(
            "-o: {} is {}, and not a regular file; nothing was sent",
            path.display(),
            same_file::kind(&there)
        ))
        .with_hint("use -o - for standard output, or name a regular file"));
    }
    if !force {
        return Err(exists(path));
    }
    if there.permissions().readonly() {
        return Err(Failure::usage(format!(
            "-o: {} is read-only, and --force does not replace such a file; nothing was sent",
            path.display()
        ))
        .with_hint("make it writable, or name another file with -o"));
    }
    Ok(())
}

pub(crate) fn exists(path: &Path) -> Failure {
    Failure::usage(format!("-o: {} exists; nothing was sent", path.display()))
        .with_hint("name another file with -o, or replace this one with --force")
}
