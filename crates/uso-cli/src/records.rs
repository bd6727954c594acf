//! Unfinished purchases on disk: one small file each, so that no death of a process loses one.
//!
//! The intent is written before the purchase is sent and the ticket before anything waits for it;
//! the file goes when every picture is on disk, or when it is certain that there is none. It holds
//! neither key nor prompt nor picture. While a process works on a purchase it holds the lock of the
//! file beside the record, so that two processes never work on the same one; the system releases
//! the lock however the process ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use uso::error::Operation;
use uso::{Error, ErrorKind, Intent, Ticket};

use crate::failure::Failure;
use crate::output_names::{free, plain_id};
use crate::place::Place;
use crate::printer::Printer;

const RECORD: &str = "json";
const LOCK: &str = "lock";
const TEMPORARY: &str = "tmp";

/// What resuming a purchase needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The service that it was bought from: its queue's address.
    pub(crate) origin: String,
    /// The account that it was bought with, by a digest of the key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    /// Where the pictures go, with absolute paths.
    pub(crate) target: Place,
    /// The file name's extension where the service does not tell the pictures' type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) extension: Option<String>,
    pub(crate) intent: Intent,
    /// Known once the purchase was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ticket: Option<Ticket>,
}

impl Record {
    /// Reads a record without taking it up; `None` when it has gone meanwhile, or is no record.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// As [`Record::read`], where it does not matter why there is none.
    pub(crate) fn peek(path: &Path) -> Option<Self> {
        Self::read(path).ok().flatten()
    }

    pub(crate) fn request_id(&self) -> Option<&str> {
        self.ticket.as_ref().map(Ticket::request_id)
    }
}

/// The folder of the records.
#[derive(Clone, Debug)]
pub(crate) struct State {
    folder: PathBuf,
}

/// A record that this process, and no other, works on.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) record: Record,
    path: PathBuf,
    /// Held for the sake of its lock.
    _lock: File,
}

/// What became of taking a record up.
#[derive(Debug)]
pub(crate) enum Taken {
    Entry(Box<Entry>),
    /// Another process works on it.
    Busy,
    /// Another process finished it meanwhile.
    Finished,
    /// It is not a record; it is left alone.
    Unreadable(String),
}

impl State {
    /// The folder that the environment names; it is not made yet.
    pub(crate) fn locate() -> Result<Self, Failure> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let folder = if let Some(folder) = set("USO_STATE_DIR") {
            PathBuf::from(folder)
        } else if let Some(folder) = set("XDG_STATE_HOME") {
            Path::new(&folder).join("uso")
        } else if let Some(home) = std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
        {
            home.join(".local/state/uso")
        } else {
            return Err(Failure::other("there is no place to note the purchase")
                .with_hint("nothing was sent; name a folder in USO_STATE_DIR"));
        };
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder, if it is not there.
    pub(crate) fn make(&self) -> Result<(), Failure> {
        make_folder(&self.folder).map_err(|error| self.not_noted(&error))
    }

    fn not_noted(&self, error: &io::Error) -> Failure {
        Failure::other(format!(
            "the purchase could not be noted in {}: {error}",
            self.folder.display()
        ))
        .with_hint(
            "nothing was bought; make that folder writable, or name another in USO_STATE_DIR",
        )
    }

    /// Notes a purchase that is about to be sent.
    pub(crate) fn note(&self, record: Record) -> Result<Entry, Failure> {
        self.try_note(record)
            .map_err(|error| self.not_noted(&error))
    }

    fn try_note(&self, record: Record) -> io::Result<Entry> {
        make_folder(&self.folder)?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut name = now.as_nanos();
        loop {
            let path = self
                .folder
                .join(format!("{name:x}-{:x}.{RECORD}", std::process::id()));
            name += 1;
            let lock = match private().create_new(true).open(path.with_extension(LOCK)) {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            // Between the two, a process that tidies up may have taken the file for a forgotten
            // one.
            if !acquired(&lock)? || !path.with_extension(LOCK).exists() {
                continue;
            }
            let entry = Entry {
                record,
                path,
                _lock: lock,
            };
            entry.write()?;
            return Ok(entry);
        }
    }

    /// The paths of all records, oldest first.
    pub(crate) fn records(&self) -> Result<Vec<PathBuf>, Failure> {
        self.files(RECORD).map_err(|error| {
            Failure::other(format!(
                "the folder {} cannot be read: {error}",
                self.folder.display()
            ))
        })
    }

    fn files(&self, extension: &str) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|found| found == extension) {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Takes a record up, unless another process has it.
    pub(crate) fn take(path: PathBuf) -> io::Result<Taken> {
        let lock = private()
            .create(true)
            .truncate(false)
            .open(path.with_extension(LOCK))?;
        if !acquired(&lock)? {
            return Ok(Taken::Busy);
        }
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                remove(&path.with_extension(LOCK))?;
                return Ok(Taken::Finished);
            }
            Err(error) => return Err(error),
        };
        Ok(match serde_json::from_slice(&text) {
            Ok(record) => Taken::Entry(Box::new(Entry {
                record,
                path,
                _lock: lock,
            })),
            // The position, and not the message, which may quote what the file holds.
            Err(error) => Taken::Unreadable(format!(
                "it is not a record, at line {} column {}",
                error.line(),
                error.column()
            )),
        })
    }

    /// The record of this request, if there is one and no other process has it.
    pub(crate) fn take_by_id(&self, origin: &str, request_id: &str) -> Option<Entry> {
        let is_its = |entry: &Entry| {
            entry.record.origin == origin && entry.record.request_id() == Some(request_id)
        };
        let paths = self.files(RECORD).unwrap_or_default();
        paths.into_iter().find_map(|path| match Self::take(path) {
            Ok(Taken::Entry(entry)) if is_its(&entry) => Some(*entry),
            _ => None,
        })
    }

    /// Removes what processes left that died before they had noted anything: nothing was sent then.
    pub(crate) fn tidy(&self) {
        for lock in self.files(LOCK).unwrap_or_default() {
            let record = lock.with_extension(RECORD);
            if record.exists() {
                continue;
            }
            let free = OpenOptions::new().write(true).open(&lock);
            if let Ok(file) = free
                && acquired(&file).unwrap_or(false)
                && !record.exists()
            {
                // What cannot be removed now can be the next time.
                let _ = remove(&lock.with_extension(TEMPORARY));
                let _ = remove(&lock);
            }
        }
    }
}

impl Entry {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the ticket down, before anything waits for it.
    pub(crate) fn bought(&mut self, ticket: &Ticket) -> io::Result<()> {
        self.record.ticket = Some(ticket.clone());
        self.write()
    }

    /// Forgets the purchase: every picture is on disk, or it is certain that there is none.
    pub(crate) fn finish(self) -> io::Result<()> {
        remove(&self.path)?;
        remove(&self.path.with_extension(TEMPORARY))?;
        remove(&self.path.with_extension(LOCK))?;
        sync_folder(&self.path)
    }

    /// Replaces the file in one step, and returns when it is on disk.
    fn write(&self) -> io::Result<()> {
        let temporary = self.path.with_extension(TEMPORARY);
        let mut file = private().create(true).truncate(true).open(&temporary)?;
        serde_json::to_writer(&mut file, &self.record)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        sync_folder(&self.path)
    }
}

/// Writes a response that could not be understood into a folder beside the records.
pub(crate) fn keep_response(request_id: Option<&str>, body: &[u8]) -> io::Result<PathBuf> {
    let state = State::locate().map_err(|failure| io::Error::other(failure.chain()))?;
    let folder = state.folder.join("responses");
    make_folder(&folder)?;
    let id = plain_id(request_id.unwrap_or("unknown"));
    let path = free(&folder.join(format!("{id}.response")));
    let mut file = private().create_new(true).open(&path)?;
    file.write_all(body)?;
    Ok(path)
}

/// Removes a record that has served its purpose.
pub(crate) fn forget(entry: Entry, printer: &Printer) {
    let path = entry.path().to_owned();
    if let Err(error) = entry.finish() {
        printer.warn(&format!(
            "the record {} is of no more use and could not be removed: {error}",
            path.display()
        ));
    }
}

/// Whether a purchase that ended so is over: there is nothing to collect, now or later.
pub(crate) fn is_over(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Input | ErrorKind::Failed | ErrorKind::Cancelled => true,
        ErrorKind::Gone => !may_be_elsewhere(error),
        // Of these, the ones that stand between a bought job and its picture pass.
        ErrorKind::Auth
        | ErrorKind::Locked
        | ErrorKind::Throttled
        | ErrorKind::Unreachable
        | ErrorKind::Config => error.ticket().is_none() && error.intent().is_none(),
        _ => false,
    }
}

/// A request that the service does not know, although results are kept for up to
/// an hour, may be one of another account: resumed with another key.
pub(crate) fn may_be_elsewhere(error: &Error) -> bool {
    const KEPT: Duration = Duration::from_secs(3600);
    let submitted_at = error.ticket().and_then(Ticket::submitted_at);
    let age = submitted_at.and_then(|at| SystemTime::now().duration_since(at).ok());
    error.kind() == ErrorKind::Gone
        && error.operation() != Operation::Download
        && age.is_some_and(|age| age < KEPT)
}

fn acquired(lock: &File) -> io::Result<bool> {
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Files for their owner alone.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A new name is on disk only when its folder is. Not every system can sync a folder.
fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        return File::open(folder)?.sync_all();
    }
    let _ = path;
    Ok(())
}
