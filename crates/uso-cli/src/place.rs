//! The place of a purchase's pictures, as it is recorded with the purchase.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where the pictures of a purchase go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// A file of the first release, which is replaced; several pictures get numbers.
    File(PathBuf),
    /// A folder of the first release, with names made from the request id.
    Folder(PathBuf),
    /// One file for each picture, taken before the purchase.
    Files {
        paths: Vec<StoredPath>,
        /// Whether a file that is not empty is replaced.
        replace: bool,
    },
    /// Names that need the request id or the seed.
    Named { folder: StoredPath, name: String },
}

/// A path that need not be Unicode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum StoredPath {
    Text(String),
    Raw(OsString),
}

impl From<PathBuf> for StoredPath {
    fn from(path: PathBuf) -> Self {
        match path.into_os_string().into_string() {
            Ok(text) => Self::Text(text),
            Err(raw) => Self::Raw(raw),
        }
    }
}

impl AsRef<Path> for StoredPath {
    fn as_ref(&self) -> &Path {
        match self {
            Self::Text(text) => Path::new(text),
            Self::Raw(raw) => Path::new(raw),
        }
    }
}

impl Place {
    /// The folder or the first file, to show.
    pub(crate) fn shown(&self) -> String {
        let path = match self {
            Self::File(path) | Self::Folder(path) => Some(path.as_path()),
            Self::Files { paths, .. } => paths.first().map(AsRef::as_ref),
            Self::Named { folder, .. } => Some(folder.as_ref()),
        };
        path.map_or_else(String::new, |path| path.display().to_string())
    }

    /// The files that were taken before the purchase.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let paths = match self {
            Self::Files { paths, .. } => paths.as_slice(),
            _ => &[],
        };
        paths.iter().map(AsRef::as_ref)
    }

    /// Removes the empty files that were taken for pictures which will never come.
    pub(crate) fn give_back(&self) {
        for path in self.files() {
            let is_empty = path
                .symlink_metadata()
                .is_ok_and(|there| there.is_file() && there.len() == 0);
            if is_empty {
                // An empty file that stays harms nothing.
                let _ = std::fs::remove_file(path);
            }
        }
    }
}
