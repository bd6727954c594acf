//! A file that is gone when it is closed, for input that can be read only once.

use std::fs::File;
use std::io;
use std::path::PathBuf;

/// A file that nobody else can open by name, and that is gone when it is closed.
pub(super) fn temporary() -> io::Result<(File, Named)> {
    let name = format!("uso-{:032x}.part", fastrand::u128(..));
    let path = std::env::temp_dir().join(name);
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    #[cfg(windows)]
    {
        const DELETE_ON_CLOSE: u32 = 0x0400_0000;
        std::os::windows::fs::OpenOptionsExt::custom_flags(&mut options, DELETE_ON_CLOSE);
    }
    let file = options.open(&path)?;
    Ok((file, Named(path)))
}

/// The name of the temporary file, which goes as early as the system allows.
pub(super) struct Named(PathBuf);

impl Drop for Named {
    fn drop(&mut self) {
        // Where an open file keeps its name, the system removes it when it is closed.
        let _ = std::fs::remove_file(&self.0);
    }
}
