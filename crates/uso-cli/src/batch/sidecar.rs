//! Sidecar of a picture: a JSON file beside it that says what it was made of and what it cost.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::{Builder, NamedTempFile};
use uso::MicroDollars;
use uso_journal::{Purchase, SavedPicture, UnitPrice};

use super::row::Row;
use crate::bounded_file;

/// Largest sidecar, in bytes.
pub(crate) const LARGEST: u64 = 1 << 20;

/// The content of a sidecar.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sidecar {
    /// Version of the program that wrote it.
    pub(crate) uso: String,
    pub(crate) made_at: String,
    pub(crate) batch: String,
    pub(crate) id: String,
    pub(crate) picture: Value,
    pub(crate) service: String,
    pub(crate) endpoint: String,
    pub(crate) request_id: Option<String>,
    pub(crate) seed: Option<u64>,
    /// The row as the manifest has it, with absolute paths.
    pub(crate) row: Row,
    /// The pictures that went in, with their SHA-256, and the options.
    pub(crate) input: Option<Value>,
    pub(crate) unit_price: Option<UnitPrice>,
    pub(crate) estimated_micro_dollars: Option<u64>,
    pub(crate) billed_micro_dollars: Option<u64>,
}

impl Sidecar {
    fn of(row: &Row, purchase: &Purchase, picture: &SavedPicture) -> Self {
        let made_at = purchase.changed_at.min(SystemTime::now());
        Self {
            uso: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: humantime::format_rfc3339_seconds(made_at).to_string(),
            batch: purchase.batch.clone().unwrap_or_default(),
            id: row.id(),
            picture: serde_json::to_value(picture).unwrap_or_default(),
            service: purchase.origin.clone(),
            endpoint: purchase.endpoint.clone(),
            request_id: purchase.request_id().map(str::to_owned),
            seed: purchase.seed,
            row: row.clone(),
            input: purchase.input.clone(),
            unit_price: purchase.cost.unit_price,
            estimated_micro_dollars: purchase.cost.estimate.map(MicroDollars::get),
            billed_micro_dollars: purchase.cost.billed.map(MicroDollars::get),
        }
    }
}

/// The sidecar's path: `photo.png.json` for `photo.png`.
pub(crate) fn path_of(picture: &Path) -> PathBuf {
    let mut name = picture.file_name().unwrap_or_default().to_owned();
    name.push(".json");
    picture.with_file_name(name)
}

/// Whether a sidecar may have this name: it is free, or an earlier sidecar has it.
pub(crate) fn may_be_written(path: &Path) -> bool {
    bounded_file::may_be_written(path, LARGEST, |text| {
        serde_json::from_slice::<Sidecar>(text).is_ok()
    })
}

/// Writes the sidecars of a row, whole or not at all.
pub(crate) fn write(row: &Row, purchase: &Purchase) -> io::Result<()> {
    for picture in &purchase.pictures {
        let path = path_of(&picture.path);
        if !may_be_written(&path) {
            let why = format!("{} is there already, and is no sidecar", path.display());
            return Err(io::Error::other(why));
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut text = serde_json::to_string_pretty(&Sidecar::of(row, purchase, picture))?;
        text.push('\n');
        let mut file = shared_file_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
    }
    Ok(())
}

/// Whether a picture of the purchase has no sidecar.
pub(crate) fn is_missing(pictures: &[SavedPicture]) -> bool {
    pictures
        .iter()
        .any(|picture| !path_of(&picture.path).exists())
}

/// A temporary file that is as readable as the pictures beside it.
pub(crate) fn shared_file_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}
