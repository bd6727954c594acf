//! `-o -`: the picture of a job on standard output.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use uso_journal::{Journal, Purchase, SavedPicture, Target};

use crate::failure::Failure;
use crate::printer::Printer;

/// Whether `-o` names standard output.
pub(crate) fn is_named(output: Option<&Path>) -> bool {
    output.is_some_and(|path| path.as_os_str() == "-")
}

/// Refuses `-o -` beside `--json`: each needs standard output for itself.
pub(crate) fn refuse_json(output: Option<&Path>, printer: &Printer) -> Result<(), Failure> {
    match is_named(output) && printer.json {
        true => Err(
            Failure::usage("-o - and --json both need standard output; nothing was sent")
                .with_hint("leave one of them out"),
        ),
        false => Ok(()),
    }
}

/// Refuses a job of several files before anything is fetched.
pub(crate) fn refuse_several(count: usize, id: &str) -> Result<(), Failure> {
    match count {
        0 | 1 => Ok(()),
        count => Err(Failure::usage(format!(
            "-o -: standard output takes one picture, and this job has {count} files; nothing was fetched"
        ))
        .with_hint(format!("name a folder: uso result {id} -o FOLDER/"))),
    }
}

/// Standard output, and the folder in which a picture is whole before it is written there.
#[derive(Debug)]
pub(crate) struct StandardOutput {
    folder: PathBuf,
    /// Files that were in the folder before the command began. Each may be the only one of a picture.
    kept: HashSet<PathBuf>,
}

impl StandardOutput {
    /// Is made before a picture is fetched.
    pub(crate) fn new(journal: &Journal) -> Self {
        let folder = journal.path().with_file_name("stdout");
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        Self {
            kept: entries.map(|entry| entry.path()).collect(),
            folder,
        }
    }

    pub(crate) fn target(&self) -> Target {
        Target::folder(&self.folder)
    }

    /// The new target of a purchase that a command made or adopted. Every other purchase has an owner
    /// who expects its files at the recorded place.
    pub(crate) fn target_of(&self, purchase: &Purchase) -> Option<Target> {
        let key = purchase.key.as_str();
        let adopted = key.strip_prefix("request:");
        let is_adopted = adopted.is_some() && adopted == purchase.request_id();
        (key.starts_with("command:") || is_adopted).then(|| self.target())
    }

    /// Writes the only file of a job. A file that this command made for that alone is removed once all
    /// of it is written.
    pub(crate) fn write(&self, files: &[SavedPicture], id: &str) -> Result<(), Failure> {
        let (file, path) = match files {
            [] => return Ok(()),
            [file] => (file, &file.path),
            several => return Err(kept(several, id)),
        };
        let bytes = file
            .read()
            .map_err(|error| Failure::io(format!("{} cannot be read: {error}", path.display())))?;
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(&bytes).and_then(|()| stdout.flush());
        written.map_err(|error| {
            Failure::io(format!("standard output could not be written: {error}"))
                .with_hint(format!("the picture is kept: uso result {id} -o FILE"))
        })?;
        if path.parent() == Some(&self.folder) && !self.kept.contains(path) {
            // A copy that stays harms nothing.
            let _ = std::fs::remove_file(path);
        }
        Ok(())
    }
}

/// Several files, whose number only the result told.
fn kept(files: &[SavedPicture], id: &str) -> Failure {
    let paths: Vec<String> = files
        .iter()
        .map(|file| file.path.display().to_string())
        .collect();
    Failure::usage(format!(
        "-o -: standard output takes one picture, and this job has {} files, so nothing was written; they are saved as {}",
        files.len(),
        paths.join(", ")
    ))
    .with_hint(format!("copy them to a folder: uso result {id} -o FOLDER/"))
}
