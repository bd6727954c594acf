//! Whether two paths name one file, and what kind of thing a path names.

use std::fs::Metadata;
use std::path::Path;

/// Whether both paths name the same existing file, also through links of either kind.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    let (Ok(first), Ok(second)) = (one.metadata(), other.metadata()) else {
        return false;
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        (first.dev(), first.ino()) == (second.dev(), second.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = (first, second);
        let (first, second) = (one.canonicalize(), other.canonicalize());
        first.ok().is_some_and(|path| second.ok() == Some(path))
    }
}

/// The kind in a person's words.
pub(crate) fn kind(there: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let kind = there.file_type();
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if there.is_dir() {
        "a folder"
    } else {
        "a special file"
    }
}
