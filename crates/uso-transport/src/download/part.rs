//! The temporary file of a download.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::{self, File};
use tokio::io::AsyncSeekExt as _;

use super::Overwrite;

/// The temporary file: hidden, beside the file so that the last step is a rename, and removed when
/// the download ends in any other way. Its name follows from the file's, so that what a killed
/// process left is used again and not left lying; a lock keeps two downloads apart.
pub(crate) struct Part {
    path: PathBuf,
    file: std::fs::File,
}

impl Part {
    pub(crate) fn beside(path: &Path) -> io::Result<Self> {
        let Some(name) = path.file_name() else {
            return Err(io::Error::other("it is not the name of a file"));
        };
        let named = |unique: &str| hidden(path, name, unique);
        let shared = named(".part");
        if let Some(part) = Self::lock(&shared)? {
            return Ok(part);
        }
        let own = named(&format!(".{:016x}.part", fastrand::u64(..)));
        Self::lock(&own)?.ok_or_else(|| io::Error::other("its temporary file is taken"))
    }

    /// Opens and locks it; `None` when another download has it.
    fn lock(path: &Path) -> io::Result<Option<Self>> {
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        if matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)) {
            return Ok(None);
        }
        // Between the opening and the lock, another download may have given the file its name.
        if has_name(&file, path) == Some(false) {
            return Ok(None);
        }
        Ok(Some(Self {
            path: path.to_owned(),
            file,
        }))
    }

    /// Gives the finished file its name, in one step.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when the name is taken and must not be replaced.
    pub(crate) async fn name(&self, path: &Path, overwrite: Overwrite) -> io::Result<()> {
        if overwrite == Overwrite::Replace {
            return fs::rename(&self.path, path).await;
        }
        match fs::hard_link(&self.path, path).await {
            // A link fails where the name is taken, which a rename would not; but not every file
            // system has links.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                if fs::try_exists(path).await.unwrap_or(false) {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                fs::rename(&self.path, path).await
            }
            linked => linked,
        }
    }

    /// The file, empty again.
    pub(crate) async fn emptied(&self) -> io::Result<File> {
        self.file.set_len(0)?;
        let mut file = File::from_std(self.file.try_clone()?);
        file.rewind().await?;
        Ok(file)
    }
}

fn hidden(path: &Path, name: &OsStr, unique: &str) -> PathBuf {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(unique);
    path.with_file_name(hidden)
}

/// Removes the second name of a finished file, which a process leaves that is killed between
/// giving it the first one and taking the second one away.
pub(crate) fn remove_second_name(path: &Path) {
    let second = path.file_name().map(|name| hidden(path, name, ".part"));
    if let (Some(second), Ok(file)) = (second, std::fs::File::open(path))
        && has_name(&file, &second) == Some(true)
    {
        // Only tidying: the file itself is whole.
        let _ = std::fs::remove_file(second);
    }
}

/// Whether the open file still has this name; `None` where the system does not tell.
#[cfg(unix)]
fn has_name(file: &std::fs::File, path: &Path) -> Option<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let number = |found: io::Result<std::fs::Metadata>| found.ok().map(|of| (of.dev(), of.ino()));
    Some(number(file.metadata())? == number(std::fs::metadata(path)).unwrap_or_default())
}

/// Whether the open file still has this name; `None` where the system does not tell.
#[cfg(not(unix))]
fn has_name(_file: &std::fs::File, _path: &Path) -> Option<bool> {
    None
}

impl Drop for Part {
    fn drop(&mut self) {
        // After a rename there is nothing to remove, which is as it should be.
        let _ = std::fs::remove_file(&self.path);
    }
}
