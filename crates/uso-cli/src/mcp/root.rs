//! Root of a server: the folder whose pictures agents may send, with symbolic links resolved.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::ImageFormat;
use uso::Reference;

use super::refusal::Refusal;
use crate::given::has_scheme;

/// Most bytes that are read of a picture: one more than the client takes, which then refuses it.
const LARGEST: u64 = (50 << 20) + 1;

/// The folder that local pictures are confined to. Clones are cheap.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    path: PathBuf,
    /// The folder itself, whatever its path comes to name later.
    #[cfg_attr(
        not(unix),
        expect(dead_code, reason = "paths are opened by name there")
    )]
    folder: Arc<File>,
}

impl Root {
    /// Opens the folder; links in its own path are resolved here once.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.canonicalize()?;
        if !path.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let folder = Arc::new(File::open(&path)?);
        Ok(Self { path, folder })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The picture that an argument names: a file below the root, or a URL that the service fetches.
    /// A file is opened once, here, and only its bytes are passed on: a link that takes its place
    /// later changes nothing.
    pub(crate) async fn picture(&self, argument: &str, given: &str) -> Result<Reference, Refusal> {
        if has_scheme(given, "http://") || has_scheme(given, "https://") {
            return Ok(Reference::from(given));
        }
        if has_scheme(given, "data:") {
            let why = "data URIs are not taken; write the picture to a file and give its path";
            return Err(Refusal::argument(argument, why));
        }
        let (root, name) = (self.clone(), given.to_owned());
        let read = tokio::task::spawn_blocking(move || root.read(&name)).await;
        let unusable = |why: String| Refusal::argument(argument, format!("{given:?} {why}"));
        // One answer for what is missing and for what lies outside, so that nothing is told of files
        // outside.
        let Some((path, file)) = read.ok().flatten() else {
            return Err(unusable(format!(
                "is no file below {}, links resolved; give a path below that folder, or a URL",
                self.path.display()
            )));
        };
        let bytes = file.map_err(|error| unusable(format!("cannot be read: {error}")))?;
        match image::guess_format(&bytes) {
            Ok(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP | ImageFormat::Gif) => {
                Ok(Reference::read(path, bytes))
            }
            _ => Err(unusable(
                "is not a picture that the service reads; use JPEG, PNG, WebP or GIF".to_owned(),
            )),
        }
    }

    /// The file that a path or a `file:` URL names, if it is below the root: its path without links,
    /// and its bytes.
    fn read(&self, given: &str) -> Option<(PathBuf, io::Result<Vec<u8>>)> {
        let path = match has_scheme(given, "file:") {
            true => url::Url::parse(given).ok()?.to_file_path().ok()?,
            false => PathBuf::from(given),
        };
        let path = self.path.join(path).canonicalize().ok()?;
        let file = self.open_below(path.strip_prefix(&self.path).ok()?).ok()?;
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        let read = file.take(LARGEST).read_to_end(&mut bytes);
        Some((path, read.map(|_| bytes)))
    }

    /// Opens a path below the root that has no links: a part that has become one is an error.
    #[cfg(unix)]
    fn open_below(&self, path: &Path) -> io::Result<File> {
        use std::os::fd::OwnedFd;

        use rustix::fs::{Mode, OFlags, openat};

        // A pipe must not block the opening; it is no file.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut at = OwnedFd::from(self.folder.try_clone()?);
        for part in path {
            at = openat(&at, part, flags, Mode::empty())?;
        }
        Ok(File::from(at))
    }

    #[cfg(not(unix))]
    fn open_below(&self, path: &Path) -> io::Result<File> {
        File::open(self.path.join(path))
    }

    /// Makes a folder for pictures below the root, and returns its path without links.
    pub(crate) fn folder(&self, folder: &Path) -> Result<PathBuf, Refusal> {
        let whole = self.path.join(folder);
        let made = fs::create_dir_all(&whole).and_then(|()| whole.canonicalize());
        let refused = |why: String| {
            let message = format!("the folder for pictures, {}, {why}", whole.display());
            Refusal::new("folder", message, "tell the user")
        };
        match made {
            Ok(path) if path.starts_with(&self.path) => Ok(path),
            Ok(_) => Err(refused("is a link out of the root".to_owned())),
            Err(error) => Err(refused(format!("cannot be made: {error}"))),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_part_of_a_path_that_has_become_a_link_is_not_followed() {
        let root_folder = tempfile::tempdir().expect("a folder");
        let outside = tempfile::tempdir().expect("a folder");
        fs::create_dir(root_folder.path().join("a")).expect("a folder");
        for place in [root_folder.path().join("a"), outside.path().to_owned()] {
            fs::write(place.join("photo.png"), "a picture").expect("a file");
        }
        let root = Root::open(root_folder.path()).expect("a root");
        let path = Path::new("a/photo.png");
        assert!(root.open_below(path).is_ok());
        fs::rename(root_folder.path().join("a"), root_folder.path().join("b")).expect("renamed");
        symlink(outside.path(), root_folder.path().join("a")).expect("a link");
        assert!(root.open_below(path).is_err(), "a folder");
        symlink(
            outside.path().join("photo.png"),
            root_folder.path().join("b/link.png"),
        )
        .expect("a link");
        assert!(
            root.open_below(Path::new("b/link.png")).is_err(),
            "the file"
        );
        assert!(root.open_below(Path::new("b/photo.png")).is_ok());
    }
}
