//! Manifest of a batch: a CSV file, a JSON Lines file, or a folder of pictures.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::manifest_rows::Manifest;
use super::{csv_rows, folder_rows, json_rows};
use crate::bounded_file;
use crate::failure::Failure;

/// Longest manifest that is read, in bytes.
const LONGEST: u64 = 256 << 20;

/// Reads the manifest at this path, or the pictures of this folder. Paths in its rows become
/// absolute.
pub(crate) fn read(source: &Path) -> Result<Manifest, Failure> {
    if source.is_dir() {
        return folder_rows::read(source);
    }
    if folder_rows::is_picture(source) {
        let shown = source.display();
        return Err(Failure::input(format!("{shown} is a picture and no manifest")).with_hint(
            "give a folder of pictures or a manifest; for a single picture: uso restyle CONTENT STYLE",
        ));
    }
    let text = text(source)?;
    let mut manifest = match is_json(source, &text) {
        true => json_rows::read(&text),
        false => csv_rows::read(&text),
    };
    let folder = folder_of(source);
    for row in &mut manifest.rows {
        row.resolve(&folder);
    }
    Ok(manifest)
}

/// The folder that paths in a manifest are relative to.
pub(crate) fn folder_of(source: &Path) -> PathBuf {
    let whole = std::path::absolute(source).unwrap_or_else(|_| source.to_owned());
    whole.parent().unwrap_or(Path::new(".")).to_owned()
}

fn is_json(source: &Path, text: &str) -> bool {
    let extension = source.extension().unwrap_or_default().to_string_lossy();
    match extension.to_ascii_lowercase().as_str() {
        "jsonl" | "ndjson" | "json" => true,
        "csv" | "tsv" => false,
        _ => text.trim_start().starts_with('{'),
    }
}

fn text(source: &Path) -> Result<String, Failure> {
    let shown = source.display();
    let read = bounded_file::read(source, LONGEST);
    let bytes = read.map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => Failure::input(format!(
            "the manifest {shown} is longer than {} MiB",
            LONGEST >> 20
        ))
        .with_hint("split it into several batches"),
        _ => Failure::input(format!("the manifest {shown} cannot be read: {error}")).with_hint(
            "give a CSV file, a JSON Lines file or a folder; uso batch new DIR writes a manifest",
        ),
    })?;
    decode(&bytes).map_err(|why| Failure::input(format!("the manifest {shown} {why}")).with_hint(
        "save it as UTF-8: in Excel as \"CSV UTF-8\", elsewhere with iconv -f UTF-16 -t UTF-8 or iconv -f LATIN1 -t UTF-8",
    ))
}

/// UTF-8 with or without a byte order mark; `Err` continues the phrase "the manifest …".
fn decode(bytes: &[u8]) -> Result<String, String> {
    let is_utf16 = bytes.starts_with(&[0xff, 0xfe])
        || bytes.starts_with(&[0xfe, 0xff])
        || bytes.iter().take(64).any(|byte| *byte == 0);
    if is_utf16 {
        return Err("is UTF-16 and not UTF-8".to_owned());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
            Err(format!("is not UTF-8: line {line} has another encoding"))
        }
    }
}
