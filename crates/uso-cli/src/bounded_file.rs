//! Files that are read up to a limit, which also holds for devices and pipes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Whether a file may be written under this name: the name is free, or a regular file has it whose
/// beginning, of at most so many bytes, is that of an earlier one.
pub(crate) fn may_be_written(path: &Path, most: u64, is_earlier: impl Fn(&[u8]) -> bool) -> bool {
    if path.symlink_metadata().is_err() {
        return true;
    }
    let mut beginning = Vec::new();
    let read = regular(path).and_then(|file| file.take(most).read_to_end(&mut beginning));
    read.is_ok() && is_earlier(&beginning)
}

/// Opens a regular file. A pipe, which would wait for a writer, is never opened.
fn regular(path: &Path) -> io::Result<File> {
    match path.metadata()?.is_file() {
        true => File::open(path),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// The content of a regular file of at most this many bytes.
pub(crate) fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_from(regular(path)?, most)
}

/// The content of a file of at most this many bytes.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_from(File::open(path)?, most)
}

/// What is left to read, of at most this many bytes.
pub(crate) fn read_from(reader: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= most => Ok(bytes),
        _ => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is longer than {} KiB", most >> 10),
        )),
    }
}
