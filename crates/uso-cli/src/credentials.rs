//! The key that `uso login` stores: a file that only its owner can read.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::environment::set;
use crate::failure::Failure;

/// Longest key file that is read, in bytes.
const LONGEST: u64 = 4 << 10;

/// The folder of the key and of the configuration file.
pub(crate) fn folder() -> Result<PathBuf, Failure> {
    if let Some(folder) = set("XDG_CONFIG_HOME") {
        return Ok(Path::new(&folder).join("uso"));
    }
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    home.map(|home| home.join(".config/uso")).ok_or_else(|| {
        Failure::other("there is no home folder for the key and the settings")
            .with_hint("set HOME or XDG_CONFIG_HOME to a folder")
    })
}

pub(crate) fn path() -> Result<PathBuf, Failure> {
    Ok(folder()?.join("key"))
}

/// The stored key, if there is one.
pub(crate) fn stored() -> Result<Option<String>, Failure> {
    let Ok(path) = path() else { return Ok(None) };
    let there = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        there => there.map_err(|error| unreadable(&path, &error.to_string()))?,
    };
    if !there.is_file() || there.len() > LONGEST {
        return Err(unreadable(&path, "it is not a key file"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if there.permissions().mode() & 0o077 != 0 {
            let message = format!("the key in {} can be read by other users", path.display());
            return Err(Failure::auth(message).with_hint(format!(
                "run chmod 600 {}, and consider a new key",
                path.display()
            )));
        }
    }
    let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, &error.to_string()))?;
    Ok(Some(text.trim().to_owned()))
}

fn unreadable(path: &Path, why: &str) -> Failure {
    Failure::auth(format!(
        "the key in {} cannot be read: {why}",
        path.display()
    ))
    .with_hint("store it again with uso login, or set FAL_KEY")
}

/// Writes the key in one step; the file is never readable for others, not even for a moment.
pub(crate) fn store(key: &str) -> Result<PathBuf, Failure> {
    let path = path()?;
    let written = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        private_folder(folder)?;
        // Temporary files are created for their owner alone.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(file, "{key}")?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok(())
    };
    written().map_err(|error| {
        Failure::io(format!(
            "the key cannot be written to {}: {error}",
            path.display()
        ))
        .with_hint("check the folder and its permissions, or set FAL_KEY")
    })?;
    Ok(path)
}

/// Removes the stored key; `false` when there was none.
pub(crate) fn remove() -> Result<bool, Failure> {
    let path = path()?;
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::io(format!(
            "the key in {} cannot be removed: {error}",
            path.display()
        ))
        .with_hint("remove the file by hand")),
    }
}

/// Makes a folder of its owner alone, with its missing parents.
pub(crate) fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
