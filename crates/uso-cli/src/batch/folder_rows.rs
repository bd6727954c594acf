//! Rows of a folder: one for each picture in it.

use std::path::Path;

use super::manifest_rows::Manifest;
use super::problem::Problem;
use super::row::Row;
use crate::failure::Failure;

/// File names of pictures that the service reads.
const EXTENSIONS: [&str; 5] = ["jpg", "jpeg", "png", "webp", "gif"];

/// Whether a file's name says that it is a picture.
pub(crate) fn is_picture(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
}

/// The pictures of the folder by name; folders in it are not read.
pub(crate) fn read(folder: &Path) -> Result<Manifest, Failure> {
    let shown = folder.display();
    let unreadable = |error: std::io::Error| {
        Failure::input(format!("the folder {shown} cannot be read: {error}"))
    };
    let whole = std::path::absolute(folder).map_err(unreadable)?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&whole).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_picture(&path) && !is_hidden && path.is_file() {
            names.push(entry.file_name());
        }
    }
    if names.is_empty() {
        return Err(Failure::input(format!("the folder {shown} has no pictures in it"))
            .with_hint("pictures are files that end in .jpg, .jpeg, .png, .webp or .gif; folders in the folder are not read"));
    }
    names.sort();
    let mut manifest = Manifest::default();
    for (number, name) in (1..).zip(names) {
        match whole.join(&name).to_str() {
            Some(path) => manifest.rows.push(Row::new(
                number,
                vec![("content".to_owned(), path.to_owned())],
            )),
            None => manifest.problems.add(Problem::in_column(
                number,
                "content",
                format!(
                    "the file name {:?} is not UTF-8; rename the file",
                    name.to_string_lossy()
                ),
            )),
        }
    }
    Ok(manifest)
}
