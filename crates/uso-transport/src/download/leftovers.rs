//! Temporary files that killed processes left.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Folders whose listing is kept; with one more, all are listed anew.
const FOLDERS: usize = 1000;

/// Temporary files of earlier processes. Each folder is listed once, since a folder of ten thousand
/// pictures is not to be read for each of them.
#[derive(Debug, Default)]
pub(crate) struct Leftovers(Mutex<HashMap<PathBuf, Vec<OsString>>>);

impl Leftovers {
    /// Removes those in this folder whose names begin and end so. One that is in use is locked, and
    /// a symbolic link or a pipe is never opened.
    pub(super) fn remove(&self, folder: &Path, prefix: &str, suffix: &str) {
        for name in self.take(folder, prefix, suffix) {
            let path = folder.join(name);
            let is_file = path.symlink_metadata().is_ok_and(|found| found.is_file());
            let opened = is_file.then(|| fs::File::open(&path));
            if let Some(Ok(file)) = opened
                && file.try_lock().is_ok()
            {
                // Only tidying: a file that stays does no harm.
                let _ = fs::remove_file(&path);
            }
        }
    }

    fn take(&self, folder: &Path, prefix: &str, suffix: &str) -> Vec<OsString> {
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if folders.len() >= FOLDERS && !folders.contains_key(folder) {
            folders.clear();
        }
        let names = folders
            .entry(folder.to_owned())
            .or_insert_with(|| listed(folder, suffix));
        let begins = |name: &mut OsString| name.to_string_lossy().starts_with(prefix);
        names.extract_if(.., begins).collect()
    }
}

/// Hidden names in this folder with this end.
fn listed(folder: &Path, suffix: &str) -> Vec<OsString> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_temporary = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with('.') && name.ends_with(suffix)
    };
    entries
        .map(|entry| entry.file_name())
        .filter(is_temporary)
        .collect()
}
