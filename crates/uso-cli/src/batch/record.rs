//! Record of a batch on disk: where its pictures go, its limits, and its rows as they were last
//! accepted.
//!
//! The purchases are in the journal. The record is what the journal does not have: rows that were
//! not bought yet, and the source that they came from.

use std::fs;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::pause_note::PauseNote;
use super::row::Row;
use crate::bounded_file;
use crate::failure::Failure;

/// Most bytes of a record, whose paths and template are its longest parts.
const LONGEST_RECORD: u64 = 1 << 20;

/// Longest name of a batch.
const LONGEST_NAME: usize = 100;

/// A batch as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BatchRecord {
    pub(crate) name: String,
    /// The manifest or the folder.
    #[serde(with = "uso_journal::path_text")]
    pub(crate) source: PathBuf,
    /// The folder of the pictures.
    #[serde(with = "uso_journal::path_text")]
    pub(crate) output: PathBuf,
    /// Template of the file names.
    pub(crate) template: Option<String>,
    /// The most that the batch may spend, in micro-dollars.
    pub(crate) budget: Option<u64>,
    pub(crate) concurrency: Option<u16>,
    /// How long the batch waits for a top-up, in seconds.
    #[serde(default)]
    pub(crate) locked_for: Option<u64>,
    /// When the batch last ran, in milliseconds since 1970.
    pub(crate) ran_at: u64,
}

/// The folder of the records, beside the journal.
#[derive(Clone, Debug)]
pub(crate) struct Records(PathBuf);

impl Records {
    /// The records that belong to this journal.
    pub(crate) fn beside(journal: &Path) -> Self {
        Self(journal.with_file_name("batches"))
    }

    /// Every record, the last one that ran first. Unreadable ones are left out.
    pub(crate) fn all(&self) -> Vec<BatchRecord> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut all: Vec<BatchRecord> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .filter_map(|path| {
                let record = bounded_file::read_regular(&path, LONGEST_RECORD).ok()?;
                serde_json::from_slice(&record).ok()
            })
            .collect();
        all.sort_by_key(|record| std::cmp::Reverse(record.ran_at));
        all
    }

    /// The record of this name; without one, of the batch that ran last.
    pub(crate) fn find(&self, name: Option<&str>) -> Result<BatchRecord, Failure> {
        let all = self.all();
        let found = match name {
            Some(name) => all.iter().find(|record| record.name == name),
            None => all.first(),
        };
        found.cloned().ok_or_else(|| {
            let names: Vec<&str> = all.iter().take(10).map(|one| one.name.as_str()).collect();
            match (name, names.is_empty()) {
                (_, true) => Failure::usage("no batch has run yet")
                    .with_hint("start one with: uso batch run MANIFEST"),
                (name, false) => {
                    let name = name.unwrap_or_default();
                    Failure::usage(format!("there is no batch {name:?}"))
                        .with_hint(format!("the batches are: {}", names.join(", ")))
                }
            }
        })
    }

    /// The record of the batch that this source belongs to, if it ran before.
    pub(crate) fn of_source(&self, source: &Path) -> Option<BatchRecord> {
        let source = real_path(source);
        let is_same = |record: &BatchRecord| real_path(&record.source) == source;
        self.all().into_iter().find(is_same)
    }

    /// A name for a batch that no other record has, made of the source's name.
    pub(crate) fn free_name(&self, source: &Path) -> String {
        let stem = super::row::stem(&source.to_string_lossy());
        let stem: String = stem
            .chars()
            .map(|letter| if is_plain(letter) { letter } else { '-' })
            .collect();
        let taken = self.all();
        let is_free = |name: &String| taken.iter().all(|record| record.name != *name);
        let numbered = (2..).map(|number| format!("{stem}-{number}"));
        let mut names = std::iter::once(stem.clone()).chain(numbered);
        names.find(is_free).unwrap_or(stem)
    }

    /// Writes the record of a batch that runs for the first time, unless another process has
    /// recorded its name meanwhile, or its source where the caller named no batch; says whether it
    /// was written. Two names for one source would buy its rows twice.
    pub(crate) fn begin(
        &self,
        record: &BatchRecord,
        rows: &[Row],
        is_named: bool,
    ) -> Result<bool, Failure> {
        let lock = || -> io::Result<fs::File> {
            self.make_folder()?;
            let file = fs::File::create(self.0.join("lock"))?;
            file.lock()?;
            Ok(file)
        };
        let _lock = lock().map_err(|error| self.unwritable(&error))?;
        let has_name = |other: &BatchRecord| other.name == record.name;
        let has_source = !is_named && self.of_source(&record.source).is_some();
        if has_source || self.all().iter().any(has_name) {
            return Ok(false);
        }
        self.write(record, Some(rows))?;
        Ok(true)
    }

    /// Writes a record and its rows to the disk, where they survive a power cut from then on.
    pub(crate) fn write(&self, record: &BatchRecord, rows: Option<&[Row]>) -> Result<(), Failure> {
        let write = || -> io::Result<()> {
            self.make_folder()?;
            if let Some(rows) = rows {
                self.replace(&self.rows_path(&record.name), |file| {
                    for row in rows {
                        serde_json::to_writer(&mut *file, row)?;
                        file.write_all(b"\n")?;
                    }
                    Ok(())
                })?;
            }
            self.replace(&self.0.join(format!("{}.json", record.name)), |file| {
                Ok(serde_json::to_writer(file, record)?)
            })?;
            sync_folder(&self.0)
        };
        write().map_err(|error| self.unwritable(&error))
    }

    /// Makes the folder with its missing parents, so that a power cut does not take it away.
    fn make_folder(&self) -> io::Result<()> {
        let missing = self.0.ancestors().take_while(|folder| !folder.exists());
        let missing: Vec<&Path> = missing.collect();
        fs::create_dir_all(&self.0)?;
        let mut parents = missing.into_iter().filter_map(Path::parent);
        parents.try_for_each(sync_folder)
    }

    fn unwritable(&self, error: &io::Error) -> Failure {
        Failure::io(format!(
            "the batch cannot be recorded in {}: {error}",
            self.0.display()
        ))
        .with_hint("nothing was bought; check the permissions of the folder and the free space")
    }

    fn replace(
        &self,
        path: &Path,
        write: impl FnOnce(&mut BufWriter<&fs::File>) -> io::Result<()>,
    ) -> io::Result<()> {
        // Readable by its owner alone, as prompts are in it.
        let file = NamedTempFile::new_in(&self.0)?;
        let mut writer = BufWriter::new(file.as_file());
        write(&mut writer)?;
        writer.flush()?;
        drop(writer);
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }

    /// The rows of a batch as they were last accepted.
    pub(crate) fn rows(&self, name: &str) -> Result<Vec<Row>, Failure> {
        let path = self.rows_path(name);
        let unreadable = |error: &dyn std::fmt::Display| {
            Failure::io(format!("{} cannot be read: {error}", path.display()))
                .with_hint("run the manifest again: uso batch run MANIFEST")
        };
        let file = fs::File::open(&path).map_err(|error| unreadable(&error))?;
        let mut rows = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line.map_err(|error| unreadable(&error))?;
            rows.push(serde_json::from_str(&line).map_err(|error| unreadable(&error))?);
        }
        Ok(rows)
    }

    /// Where the runs of a batch note that they are paused.
    pub(crate) fn pause_note(&self, name: &str) -> PauseNote {
        PauseNote::at(self.0.join(format!("{name}.paused")))
    }

    fn rows_path(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.rows.jsonl"))
    }
}

/// Writes the names in a folder to the disk.
fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// A path without links and `..`: a manifest is the same one, however it is reached.
fn real_path(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Refuses a name that is no plain file name.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    let is_good = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.starts_with('.')
        && name.chars().all(is_plain);
    match is_good {
        true => Ok(()),
        false => Err(Failure::usage(format!(
            "--batch: {name:?} is no name for a batch: letters, digits, -, _ and . make one, at most {LONGEST_NAME}"
        ))),
    }
}

fn is_plain(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

/// The time, in milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX)
}
