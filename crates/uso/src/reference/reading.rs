//! Facts that an earlier reading of a file gave: they hold as long as the file stays the same.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// A file that was changed this short before its reading may change again without a new time: the
/// coarsest file systems count in steps of two seconds.
const SETTLED: Duration = Duration::from_secs(2);

/// The facts of one reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The SHA-256 digest of the file in hexadecimal digits.
    pub(crate) digest: String,
    /// Where the size was asked for.
    pub(crate) sent: Option<Sent>,
}

/// Width and height with which a picture is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Whether the picture is made fit, and not sent as it is.
    pub(crate) is_fit: bool,
    /// `Err` continues the phrase "the picture is …".
    pub(crate) size: Result<(u32, u32), String>,
}

/// Attributes of a file that change with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    length: u64,
    modified: SystemTime,
    identity: Identity,
}

/// Device, inode, and time of the last change of the inode.
#[cfg(unix)]
type Identity = (u64, u64, i64, i64);
#[cfg(not(unix))]
type Identity = ();

impl Stamp {
    /// The stamp of a file, if it is a regular file whose last change is long enough ago. Asking the
    /// system takes less time than handing the question to another thread.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        let modified = metadata.modified().ok()?;
        let is_settled = modified.elapsed().is_ok_and(|age| age > SETTLED);
        (metadata.is_file() && is_settled).then(|| Self {
            length: metadata.len(),
            modified,
            identity: identity(&metadata),
        })
    }
}

#[cfg(unix)]
fn identity(metadata: &std::fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    (metadata.dev(), metadata.ino(), changed.0, changed.1)
}

#[cfg(not(unix))]
fn identity(_metadata: &std::fs::Metadata) -> Identity {}

/// The facts of the last reading of a file, and its stamp before that.
#[derive(Debug, Default)]
pub(crate) struct LastReading(Mutex<Option<(Stamp, Facts)>>);

impl LastReading {
    /// The facts, if the file is still the same.
    pub(crate) fn facts(&self, path: &Path) -> Option<Facts> {
        let (stamp, facts) = self.kept().clone()?;
        (Stamp::of(path)? == stamp).then_some(facts)
    }

    /// Keeps what a reading gave that began with this stamp.
    pub(crate) fn keep(&self, stamp: Stamp, facts: Facts) {
        *self.kept() = Some((stamp, facts));
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<(Stamp, Facts)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
