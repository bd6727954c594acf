//! Taking the place of the pictures before the purchase: the files are created, so that no other
//! process takes their names and an unwritable folder is found while nothing is bought yet.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use uso_journal::Target;

use crate::destination::{Destination, exists};
use crate::failure::Failure;
use crate::output_names::{folder_of, numbered};

/// Files that are taken. They are given back when this is dropped, unless they are kept.
#[derive(Debug)]
pub(crate) struct Reservation {
    target: Option<Target>,
    made: Vec<PathBuf>,
    /// Held while an existing file waits for its replacement.
    _locks: Vec<File>,
}

impl Reservation {
    /// Takes the place for this many pictures, which need about so many bytes.
    pub(crate) fn take(
        destination: &Destination,
        count: usize,
        bytes: u64,
    ) -> Result<Self, Failure> {
        let mut taken = Self {
            target: None,
            made: Vec::new(),
            _locks: Vec::new(),
        };
        match destination {
            Destination::Stdout => {}
            Destination::Files { paths, replace } => {
                for path in paths {
                    taken.take_file(path, *replace)?;
                }
                taken.target = Some(Target::Files {
                    paths: absolute(paths)?,
                    replace: *replace,
                });
            }
            Destination::Folder {
                folder,
                template,
                names,
            } => {
                make_folder(folder)?;
                if template.is_open(names) {
                    try_name(&folder.join(template.fill(&names.longest(), count)))?;
                    let name = template.narrowed(names);
                    taken.target = Some(Target::named(folder, name));
                } else {
                    let number = |number| match template.is_numbered() || count == 1 {
                        true => folder.join(template.fill(names, number)),
                        false => numbered(&folder.join(template.fill(names, number)), Some(number)),
                    };
                    let wanted: Vec<PathBuf> = (1..=count).map(number).collect();
                    let paths = taken.take_free(&wanted)?;
                    taken.target = Some(Target::Files {
                        paths: absolute(&paths)?,
                        replace: false,
                    });
                }
            }
        }
        taken.check_space(destination, bytes)?;
        Ok(taken)
    }

    /// The place, as it is recorded; nothing for standard output.
    pub(crate) fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    /// Keeps the files: from now on they wait for the pictures of a purchase.
    pub(crate) fn keep(&mut self) {
        self.made.clear();
    }

    fn take_file(&mut self, path: &Path, replace: bool) -> Result<(), Failure> {
        match create(path) {
            Ok(()) => {
                self.made.push(path.to_owned());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && replace => {
                let file = OpenOptions::new().write(true).open(path);
                let file = file.map_err(|error| unwritable(path, &error))?;
                match file.try_lock() {
                    Ok(()) => self._locks.push(file),
                    Err(TryLockError::WouldBlock) => {
                        return Err(Failure::usage(format!(
                            "-o: another uso is about to replace {}; nothing was sent",
                            path.display()
                        ))
                        .with_hint("name another file with -o"));
                    }
                    // Not every file system has locks.
                    Err(TryLockError::Error(_)) => {}
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
            Err(error) => Err(unwritable(path, &error)),
        }
    }

    /// Takes all of these names, or all of them with the same number behind.
    fn take_free(&mut self, wanted: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
        const MOST: usize = 100_000;
        for attempt in 1..MOST {
            let number = (attempt > 1).then_some(attempt);
            let paths: Vec<PathBuf> = wanted.iter().map(|path| numbered(path, number)).collect();
            let before = self.made.len();
            let mut refused = None;
            for path in &paths {
                match create(path) {
                    Ok(()) => self.made.push(path.clone()),
                    Err(error) => {
                        refused = Some((path, error));
                        break;
                    }
                }
            }
            match refused {
                None => return Ok(paths),
                Some((_, error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                    for made in self.made.drain(before..) {
                        // It was made a moment ago, and is empty.
                        let _ = std::fs::remove_file(made);
                    }
                }
                Some((path, error)) => return Err(unwritable(path, &error)),
            }
        }
        Err(
            Failure::usage("-o: no name is free in the folder; nothing was sent")
                .with_hint("name another folder with -o"),
        )
    }

    fn check_space(&self, destination: &Destination, bytes: u64) -> Result<(), Failure> {
        let folder = match destination {
            Destination::Stdout => return Ok(()),
            Destination::Files { paths, .. } => match paths.first() {
                Some(path) => folder_of(path),
                None => return Ok(()),
            },
            Destination::Folder { folder, .. } => folder,
        };
        match free_space(folder) {
            Some(free) if free < bytes => Err(Failure::io(format!(
                "-o: {} has {:.1} MB of free space, and the pictures may need {:.1} MB; nothing was sent",
                folder.display(),
                free as f64 / 1e6,
                bytes as f64 / 1e6
            ))
            .with_hint("free some space, or name another folder with -o")),
            _ => Ok(()),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        give_back(&self.made);
    }
}

/// Removes the empty files that were made for pictures which will never come.
fn give_back(paths: &[PathBuf]) {
    for path in paths {
        let found = path.symlink_metadata();
        if found.is_ok_and(|there| there.is_file() && there.len() == 0) {
            // An empty file that stays harms nothing.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Gives the names of a purchase back that is closed without pictures.
pub(crate) fn release(target: Option<&Target>) {
    if let Some(Target::Files { paths, .. }) = target {
        give_back(paths);
    }
}

fn create(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map(drop)
}

/// Proves that a picture can have a name of this length in this folder.
fn try_name(path: &Path) -> Result<(), Failure> {
    let tried = tempfile::Builder::new()
        .prefix(path.file_name().unwrap_or_default())
        .rand_bytes(0)
        .tempfile_in(folder_of(path));
    match tried {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(unwritable(path, &error)),
        _ => Ok(()),
    }
}

/// The folder with its missing parents.
fn make_folder(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| {
        Failure::usage(format!(
            "-o: the folder {} cannot be made: {error}; nothing was sent",
            folder.display()
        ))
        .with_hint("name another folder with -o")
    })
}

/// A folder that files can be written to; it is made with its missing parents.
pub(crate) fn writable_folder(folder: &Path) -> Result<(), Failure> {
    let tried = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    tried.map(drop).map_err(|error| {
        Failure::io(format!(
            "the folder {} cannot be written to: {error}",
            folder.display()
        ))
        .with_hint("nothing was bought; name another folder with -o")
    })
}

fn absolute(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let paths = paths
        .iter()
        .map(|path| std::path::absolute(path).map_err(|error| unwritable(path, &error)));
    paths.collect()
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::io(format!(
        "-o: {} cannot be written: {error}; nothing was sent",
        path.display()
    ))
    .with_hint("check the folder and its permissions, or name another place with -o")
}

/// Bytes that this user may still write there, where the system tells.
fn free_space(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let told = rustix::fs::statvfs(folder).ok()?;
        // Some network file systems tell nothing.
        (told.f_blocks > 0).then(|| told.f_bavail.saturating_mul(told.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}
