//! Files that are read whole, up to a limit that also holds for devices and pipes.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The content of a file of at most this many bytes.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
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
