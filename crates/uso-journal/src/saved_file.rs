//! File of a saved picture, read only while it is the file that was saved.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::purchase::SavedPicture;

impl SavedPicture {
    /// Reads the file, if it is still the picture that was saved: a regular file on this machine,
    /// with the recorded length and digest. A symbolic link in its place is not followed, and a named
    /// pipe does not block. Blocks on the disk: call it where that is allowed.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] when another content took the file's place, and
    /// [`io::ErrorKind::NotFound`] when the file is gone or is on another machine.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        if self.is_elsewhere() {
            let host = self.host.as_deref().unwrap_or_default();
            let why = format!("the file is on the machine {host}");
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        let file = open(&self.path)?;
        let found = file.metadata()?;
        if !found.is_file() || found.len() != self.bytes {
            return Err(replaced());
        }
        let mut bytes = Vec::new();
        // The file may grow meanwhile.
        file.take(self.bytes.saturating_add(1))
            .read_to_end(&mut bytes)?;
        let digest = Sha256::digest(&bytes);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        match digest == self.sha256 {
            true => Ok(bytes),
            false => Err(replaced()),
        }
    }
}

fn replaced() -> io::Error {
    let why = "the file is not the picture that was saved there";
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    use rustix::io::Errno;

    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => Ok(File::from(file)),
        Err(Errno::LOOP) => Err(replaced()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    match std::fs::symlink_metadata(path)?.is_file() {
        true => File::open(path),
        false => Err(replaced()),
    }
}
