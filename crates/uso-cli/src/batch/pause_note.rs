//! Note on disk of a run that is paused, for `uso batch status`. A lock of the operating system tells
//! the note of a live run from one that a killed run left behind.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// The longest note that is read.
const LONGEST: u64 = 64 * 1024;

/// Since when the service takes no submits of a run, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Paused {
    /// As in `2026-11-27T21:30:00Z`.
    pub(crate) since: String,
    pub(crate) why: String,
}

/// Where a run notes its pauses. The note goes with the run, whose work does not depend on it.
pub(crate) struct PauseNote {
    path: PathBuf,
    written: Option<(File, String)>,
}

impl PauseNote {
    pub(super) fn at(path: PathBuf) -> Self {
        Self {
            path,
            written: None,
        }
    }

    /// Writes the note. The time is that of the first reason.
    pub(crate) fn pause(&mut self, why: &str) {
        if self.written.is_none() {
            let since = humantime::format_rfc3339_seconds(SystemTime::now());
            self.written = self.locked().ok().map(|file| (file, since.to_string()));
        }
        if let Some((file, since)) = &mut self.written {
            let (since, why) = (since.clone(), why.to_owned());
            let text = serde_json::to_vec(&Paused { since, why }).unwrap_or_default();
            let _ = replace(file, &text);
        }
    }

    /// The file, unless another run of the batch has it.
    fn locked(&self) -> io::Result<File> {
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(false);
        let file = file.open(&self.path)?;
        file.try_lock()?;
        Ok(file)
    }

    /// Takes the note away.
    pub(crate) fn go_on(&mut self) {
        if let Some((_locked, _)) = self.written.take() {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// The note of a run that is paused now.
    pub(crate) fn read(self) -> Option<Paused> {
        let file = File::open(&self.path).ok()?;
        if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            return None;
        }
        let mut text = Vec::new();
        file.take(LONGEST).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

impl Drop for PauseNote {
    fn drop(&mut self) {
        self.go_on();
    }
}

fn replace(file: &mut File, text: &[u8]) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text)
}
