//! Place of the pictures of a purchase.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::path_text;

/// Place of the pictures of a purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Target {
    /// A folder, which is made if it is not there. A name that is taken is numbered.
    Folder {
        /// The folder.
        #[serde(with = "path_text")]
        folder: PathBuf,
        /// Template of the files' names; see [`Target::named`].
        name: String,
    },
    /// A file for each picture. Pictures beyond the last one are numbered after that one.
    ///
    /// An empty file counts as reserved for the picture and is replaced. Any other file that is
    /// there is kept, and the picture gets a numbered name.
    Files {
        /// The files, in the order of the pictures.
        #[serde(with = "path_text::list")]
        paths: Vec<PathBuf>,
        /// Whether a file with content is replaced.
        replace: bool,
    },
}

impl Target {
    /// Files in a folder, named by the short id.
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Self::named(folder, "{local}-{n}.{ext}")
    }

    /// Files in a folder, named by a template. Its places are `{key}`, `{local}` (the short id),
    /// `{n}` (the picture's number), `{id}` (the request id), `{seed}` and `{ext}`; `{{` and `}}`
    /// stand for braces.
    pub fn named(folder: impl Into<PathBuf>, template: impl Into<String>) -> Self {
        Self::Folder {
            folder: folder.into(),
            name: template.into(),
        }
    }

    /// A file for each picture, in their order; see [`Target::Files`].
    pub fn files(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self::Files {
            paths: paths.into_iter().collect(),
            replace: false,
        }
    }

    /// The folder, or the first file: for a list.
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder { folder, .. } => folder,
            Self::Files { paths, .. } => paths.first().map_or(Path::new(""), PathBuf::as_path),
        }
    }

    /// Keeps the names and takes another folder.
    pub(crate) fn move_to(&mut self, other: &Path) {
        match self {
            Self::Folder { folder, .. } => other.clone_into(folder),
            Self::Files { paths, .. } => {
                for path in paths {
                    *path = other.join(path.file_name().unwrap_or_default());
                }
            }
        }
    }

    /// With absolute paths, so that another process in another folder saves to the same place.
    pub(crate) fn absolute(self) -> Self {
        let whole = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        match self {
            Self::Folder { folder, name } => Self::Folder {
                folder: whole(folder),
                name,
            },
            Self::Files { paths, replace } => Self::Files {
                paths: paths.into_iter().map(whole).collect(),
                replace,
            },
        }
    }
}
