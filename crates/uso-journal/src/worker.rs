//! Locks of the operating system that tell live workers from dead ones.
//!
//! An open journal holds the lock of one file; the system releases the lock however the process
//! ends. So a row whose worker's file can be locked belongs to a worker that is gone.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::place::{make_folder, private};

/// This open journal, as the rows name it.
#[derive(Debug)]
pub(crate) struct Worker {
    id: String,
    folder: PathBuf,
    /// Held for the sake of its lock.
    _lock: File,
}

impl Worker {
    /// A new worker of the journal at this path. Files of workers that are gone are removed.
    pub(crate) fn start(journal: &Path) -> Result<Self, Error> {
        let mut name = journal.file_name().unwrap_or_default().to_owned();
        name.push("-workers");
        let folder = journal.with_file_name(name);
        make_folder(&folder)?;
        tidy(&folder);
        loop {
            let id = format!("{:016x}", fastrand::u64(..));
            let path = folder.join(&id);
            let made = private()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&path);
            let lock = match made {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(Error::io(&path, "made", error)),
            };
            lock.lock()
                .map_err(|error| Error::io(&path, "locked", error))?;
            // Before the lock, another process may have taken the file for that of a dead worker.
            if path.exists() {
                return Ok(Self {
                    id,
                    folder,
                    _lock: lock,
                });
            }
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Whether another worker is gone.
    pub(crate) fn is_gone(&self, other: &str) -> bool {
        if other == self.id {
            return false;
        }
        // The name comes from the database.
        let is_id = other.len() == 16 && other.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id && is_free(&self.folder.join(other))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Where this fails, the next worker removes the file.
        let _ = fs::remove_file(self.folder.join(&self.id));
    }
}

/// Whether nothing holds the lock; also when there is no file.
fn is_free(path: &Path) -> bool {
    match File::open(path) {
        Ok(file) => match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
        },
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn tidy(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        // The lock is held while the name is removed, so that a worker that starts sees it.
        if let Ok(file) = File::open(&path)
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_gone_once_its_lock_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.db");
        let (one, two) = (
            Worker::start(&journal).unwrap(),
            Worker::start(&journal).unwrap(),
        );
        let id = two.id().to_owned();
        assert!(!one.is_gone(&id) && !one.is_gone(one.id()) && !two.is_gone(one.id()));
        assert!(!one.is_gone("../../etc/passwd"));
        drop(two);
        assert!(one.is_gone(&id));
        // A third one removes nothing that is held.
        let three = Worker::start(&journal).unwrap();
        assert!(!three.is_gone(one.id()));
    }
}
