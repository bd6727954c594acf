//! Paths as JSON: a string, or for a path that is not Unicode the form that serde gives an
//! [`OsString`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Text(String),
    Raw(OsString),
}

impl Stored {
    fn of(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Raw(path.as_os_str().to_owned()),
        }
    }

    fn path(self) -> PathBuf {
        match self {
            Self::Text(text) => text.into(),
            Self::Raw(raw) => raw.into(),
        }
    }
}

/// Writes a path.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    Stored::of(path).serialize(serializer)
}

/// Reads a path.
///
/// # Errors
///
/// Those of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    Stored::deserialize(from).map(Stored::path)
}

/// Several paths.
pub(crate) mod list {
    use super::{Deserialize as _, Deserializer, PathBuf, Serializer, Stored};

    pub(crate) fn serialize<S: Serializer>(
        paths: &[PathBuf],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(paths.iter().map(|path| Stored::of(path)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<PathBuf>, D::Error> {
        let stored = Vec::<Stored>::deserialize(from)?;
        Ok(stored.into_iter().map(Stored::path).collect())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    #[test]
    fn a_path_that_is_not_unicode_is_read_back() {
        use std::os::unix::ffi::OsStringExt as _;

        use crate::target::Target;

        let odd = std::ffi::OsString::from_vec(b"/out/\xff.png".to_vec());
        let target = Target::files(["/out/a.png".into(), odd.into()]);
        let json = serde_json::to_string(&target).unwrap();
        assert!(json.contains("\"/out/a.png\""), "{json}");
        assert_eq!(serde_json::from_str::<Target>(&json).unwrap(), target);
    }
}
