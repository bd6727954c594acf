//! Where pictures go: names that were asked for, or free ones.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// Where the pictures go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// This file, which is replaced; several pictures get numbers.
    File(PathBuf),
    /// Names of their own in this folder.
    Folder(PathBuf),
}

impl Target {
    /// What `-o` means, checked before anything is sent or fetched.
    pub(crate) fn of(output: Option<&Path>) -> Result<Self, Failure> {
        match output {
            None => Ok(Self::Folder(PathBuf::from("."))),
            Some(path) if names_folder(path) => {
                std::fs::create_dir_all(path).map_err(|error| {
                    Failure::usage(format!(
                        "the folder {} cannot be made: {error}",
                        path.display()
                    ))
                    .with_hint("nothing was sent; name another folder with -o")
                })?;
                Ok(Self::Folder(path.to_owned()))
            }
            Some(path) => {
                let folder = folder_of(path);
                if !folder.is_dir() {
                    return Err(Failure::usage(format!(
                        "the folder {} of the output file does not exist",
                        folder.display()
                    ))
                    .with_hint("nothing was sent; make the folder first, or give another -o"));
                }
                Ok(Self::File(path.to_owned()))
            }
        }
    }

    /// The same place from anywhere.
    pub(crate) fn absolute(&self) -> Result<Self, Failure> {
        let absolute = |path: &Path| {
            let path = std::path::absolute(path).map_err(|error| {
                Failure::other(format!(
                    "the place of {} cannot be told: {error}",
                    path.display()
                ))
                .with_hint("nothing was sent; give -o as an absolute path")
            })?;
            match path.to_str() {
                Some(_) => Ok(path),
                None => Err(Failure::usage(format!(
                    "the output path {} is not Unicode, and could not be noted",
                    path.display()
                ))
                .with_hint("nothing was sent; give another -o")),
            }
        };
        Ok(match self {
            Self::File(path) => Self::File(absolute(path)?),
            Self::Folder(path) => Self::Folder(absolute(path)?),
        })
    }

    /// The folder that the pictures end up in.
    pub(crate) fn folder(&self) -> &Path {
        match self {
            Self::File(path) => folder_of(path),
            Self::Folder(path) => path,
        }
    }
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Whether the path is a folder: it is one, or it is written like one.
fn names_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/')
}

/// `out.png` becomes `out-2.png` for the second of several.
pub(crate) fn numbered(file: &Path, number: Option<usize>) -> PathBuf {
    let Some(number) = number else {
        return file.to_owned();
    };
    let mut name = OsString::from(file.file_stem().unwrap_or_default());
    name.push(format!("-{number}"));
    if let Some(extension) = file.extension() {
        name.push(".");
        name.push(extension);
    }
    file.with_file_name(name)
}

/// The path, or the first numbered one beside it that is free.
pub(crate) fn free(path: &Path) -> PathBuf {
    let mut candidates =
        std::iter::once(path.to_owned()).chain((2..).map(|number| numbered(path, Some(number))));
    candidates
        .find(|candidate| !candidate.exists())
        .unwrap_or_else(|| path.to_owned())
}

/// A request id as part of a file name.
pub(crate) fn sanitised(request_id: &str) -> String {
    let plain = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => letter,
        _ => '_',
    };
    request_id.chars().take(80).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_lead_out_of_the_folder() {
        assert_eq!(sanitised("../a:b~c.d-1"), "___a_b_c_d-1");
        assert_eq!(sanitised(&"x".repeat(300)).len(), 80);
    }

    #[test]
    fn the_second_of_several_is_numbered() {
        assert_eq!(
            numbered(Path::new("a/out.png"), None),
            Path::new("a/out.png")
        );
        assert_eq!(
            numbered(Path::new("a/out.png"), Some(2)),
            Path::new("a/out-2.png")
        );
        assert_eq!(numbered(Path::new("out"), Some(2)), Path::new("out-2"));
    }
}
