//! Temporary file of a download.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::{Builder, NamedTempFile, PersistError};

use super::leftovers::Leftovers;
use crate::sanitize::hex;

const SUFFIX: &str = ".part";

/// Names that are tried for a damaged file.
const NAMES: u32 = 100;

/// A hidden file with an unpredictable name in the folder of the target. It is removed unless it
/// gets a name.
pub(super) struct Temporary {
    file: NamedTempFile,
    digest: Sha256,
}

impl Temporary {
    pub(super) fn beside(path: &Path, leftovers: &Leftovers) -> io::Result<Self> {
        let Some(name) = path.file_name() else {
            return Err(io::Error::other("it is not the name of a file"));
        };
        // A name may be as long as the file system has it, so that only its beginning is taken.
        let beginning: String = name.to_string_lossy().chars().take(40).collect();
        let prefix = format!(".{beginning}.");
        leftovers.remove(folder(path), &prefix, SUFFIX);
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(SUFFIX);
        // The picture is to have the permissions of any new file, and not those of a secret.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder(path))?;
        // Told apart by the lock from what a killed process left. Where the file system has no
        // locks, nothing is ever taken for a leftover.
        let _ = file.as_file().try_lock();
        Ok(Self {
            file,
            digest: Sha256::new(),
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.file.as_file_mut().write_all(bytes)
    }

    /// Gives the file its name, in one step, once it and then its folder are on the disk. Returns
    /// the SHA-256 digest of what was written.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when the name is taken and must not be replaced.
    pub(super) fn name(self, path: &Path, replace: bool) -> io::Result<String> {
        self.file.as_file().sync_all()?;
        match replace {
            true => self.file.persist(path).map_err(|failed| failed.error)?,
            false => persist_new(self.file, path)?,
        };
        sync_folder(path)?;
        Ok(hex(&self.digest.finalize()))
    }

    /// Gives a damaged file a name of its own beside the target, where it can be found.
    pub(super) fn keep_damaged(self, path: &Path) -> Option<PathBuf> {
        let mut file = self.file;
        if file.as_file().metadata().ok()?.len() == 0 {
            return None;
        }
        for number in 1..=NAMES {
            let mut name = path.file_name()?.to_owned();
            name.push(match number {
                1 => ".damaged".to_owned(),
                _ => format!(".damaged-{number}"),
            });
            let kept = path.with_file_name(name);
            match file.persist_noclobber(&kept) {
                Ok(_) => return Some(kept),
                Err(PersistError {
                    file: given_back,
                    error,
                }) if error.kind() == io::ErrorKind::AlreadyExists => {
                    file = given_back;
                }
                Err(_) => return None,
            }
        }
        None
    }
}

fn persist_new(file: NamedTempFile, path: &Path) -> io::Result<std::fs::File> {
    match file.persist_noclobber(path) {
        Ok(file) => Ok(file),
        Err(PersistError { error, .. }) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(error)
        }
        // Not every file system can give a name only if it is free.
        Err(PersistError { file, .. }) => match path.symlink_metadata() {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => file.persist(path).map_err(|failed| failed.error),
        },
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes the folder's entry to the disk.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    match std::fs::File::open(folder(path)).and_then(|folder| folder.sync_all()) {
        // Some file systems cannot sync a folder, or do not let it be opened.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput
                    | io::ErrorKind::Unsupported
                    | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}
