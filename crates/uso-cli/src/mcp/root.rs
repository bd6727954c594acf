//! Root of a server: the folder whose pictures agents may send, with symbolic links resolved.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use image::ImageFormat;
use uso::Reference;

use super::refusal::Refusal;

/// The folder that local pictures are confined to.
#[derive(Debug)]
pub(crate) struct Root(PathBuf);

impl Root {
    /// Opens the folder; links in its own path are resolved here once.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.canonicalize()?;
        match path.is_dir() {
            true => Ok(Self(path)),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The picture that an argument names: a file below the root, or a URL that the service fetches.
    pub(crate) fn picture(&self, argument: &str, given: &str) -> Result<Reference, Refusal> {
        let starts = |scheme: &str| {
            let head = given.get(..scheme.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(scheme))
        };
        if starts("http://") || starts("https://") {
            return Ok(Reference::from(given));
        }
        if starts("data:") {
            let why = "data URIs are not taken; write the picture to a file and give its path";
            return Err(Refusal::argument(argument, why));
        }
        let path = match starts("file:") {
            true => url::Url::parse(given)
                .ok()
                .and_then(|url| url.to_file_path().ok()),
            false => Some(PathBuf::from(given)),
        };
        // One answer for what is missing and for what lies outside, so that nothing is told of files
        // outside.
        let outside = || {
            let why = format!(
                "{given:?} is no file below {}, links resolved; give a path below that folder, or a URL",
                self.0.display()
            );
            Refusal::argument(argument, why)
        };
        let path = path
            .and_then(|path| self.0.join(path).canonicalize().ok())
            .filter(|path| path.starts_with(&self.0) && path.is_file())
            .ok_or_else(outside)?;
        let unusable = |why: String| Refusal::argument(argument, format!("{given:?} {why}"));
        let format = format_of(&path);
        match format.map_err(|error| unusable(format!("cannot be read: {error}")))? {
            Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP | ImageFormat::Gif) => {
                Ok(Reference::path(path))
            }
            _ => Err(unusable(
                "is not a picture that the service reads; use JPEG, PNG, WebP or GIF".to_owned(),
            )),
        }
    }

    /// Makes a folder for pictures below the root, and returns its path without links.
    pub(crate) fn folder(&self, folder: &Path) -> Result<PathBuf, Refusal> {
        let whole = self.0.join(folder);
        let made = fs::create_dir_all(&whole).and_then(|()| whole.canonicalize());
        let refused = |why: String| {
            let message = format!("the folder for pictures, {}, {why}", whole.display());
            Refusal::new("folder", message, "tell the user")
        };
        match made {
            Ok(path) if path.starts_with(&self.0) => Ok(path),
            Ok(_) => Err(refused("is a link out of the root".to_owned())),
            Err(error) => Err(refused(format!("cannot be made: {error}"))),
        }
    }
}

/// The format that the first bytes of a file tell.
fn format_of(path: &Path) -> io::Result<Option<ImageFormat>> {
    let mut head = Vec::new();
    File::open(path)?.take(32).read_to_end(&mut head)?;
    Ok(image::guess_format(&head).ok())
}
