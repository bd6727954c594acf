//! Small pictures for a report, made once for each content.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest as _, Sha256};
use uso_journal::SavedPicture;
use uso_studio::small_jpeg;

use super::sidecar::shared_file_in;

/// Long side of a small picture.
const SIDE: u32 = 320;

/// Quality of its JPEG.
const QUALITY: u8 = 80;

/// Pictures by path: those that a purchase saved, and those that go in.
pub(crate) type Pictures<'a> = HashMap<PathBuf, Option<&'a SavedPicture>>;

/// Small pictures of a folder.
pub(crate) struct Thumbnails {
    /// File names by path; `None` for what is no picture.
    made: HashMap<PathBuf, Option<String>>,
}

impl Thumbnails {
    /// Makes the small pictures of these files that are not there yet, on all processors. The folder
    /// is made if it is not there.
    pub(crate) fn in_folder(folder: &Path, pictures: Pictures<'_>) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let pictures: Vec<_> = pictures.into_iter().collect();
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let share = pictures.len().div_ceil(workers).max(1);
        let one = |(path, saved): &(PathBuf, Option<&SavedPicture>)| {
            (path.clone(), make(folder, path, *saved).ok())
        };
        let made = std::thread::scope(|scope| {
            let shares: Vec<_> = pictures
                .chunks(share)
                .map(|share| scope.spawn(move || share.iter().map(one).collect::<Vec<_>>()))
                .collect();
            let ended = shares.into_iter().filter_map(|share| share.join().ok());
            ended.flatten().collect()
        });
        Ok(Self { made })
    }

    /// The file name of the small picture of this file.
    pub(crate) fn of(&self, path: &Path) -> Option<&str> {
        self.made.get(path)?.as_deref()
    }
}

/// Makes a small picture, unless it is there. Its name tells the file, its length and its time, so
/// that a file which changes has another one. Of a result only the content that was saved is shown,
/// since whatever took its place may be private; an input may be a link, but no pipe and no device.
fn make(folder: &Path, path: &Path, saved: Option<&SavedPicture>) -> io::Result<String> {
    let found = std::fs::metadata(path)?;
    if !found.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let changed = found.modified().ok();
    let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let mut digest = Sha256::new();
    digest.update(path.as_os_str().as_encoded_bytes());
    digest.update(found.len().to_le_bytes());
    digest.update(changed.unwrap_or_default().as_nanos().to_le_bytes());
    let digest = digest.finalize();
    let digits: String = digest
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = format!("{digits}.jpg");
    let target = folder.join(&name);
    if target.is_file() {
        return Ok(name);
    }
    let small = match saved {
        Some(saved) => small_jpeg(Cursor::new(saved.read()?), SIDE, QUALITY)?,
        None => small_jpeg(BufReader::new(File::open(path)?), SIDE, QUALITY)?,
    };
    let file = shared_file_in(folder)?;
    file.as_file().write_all(&small)?;
    file.persist(&target)?;
    Ok(name)
}
