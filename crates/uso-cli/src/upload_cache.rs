//! What was uploaded before, on disk: one small file in the cache folder, so that the next command
//! need not upload the same picture again.
//!
//! It is a convenience: without a folder nothing is kept, and what cannot be read is not known.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use uso::Client;
use uso::upload::KnownUpload;

use crate::records::{make_folder, private};

/// Uploads that are kept for each service.
const KEPT: usize = 2_000;

/// The uploads to each service by each account.
type Book = BTreeMap<String, Vec<KnownUpload>>;

/// The known uploads of one service.
pub(crate) struct UploadCache {
    path: PathBuf,
    origin: String,
    read: Vec<KnownUpload>,
}

/// The folder that the environment names; it is not made yet.
fn folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = set("USO_CACHE_DIR") {
        return Some(PathBuf::from(folder));
    }
    if let Some(folder) = set("XDG_CACHE_HOME") {
        return Some(Path::new(&folder).join("uso"));
    }
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    home.map(|home| home.join(".cache/uso"))
}

impl UploadCache {
    /// Tells a client what was uploaded to its service.
    pub(crate) fn tell(client: &Client) -> Option<Self> {
        let config = client.config();
        let mut known = Self {
            path: folder()?.join("uploads.json"),
            origin: format!("{} {}", config.base_urls().rest(), config.account()),
            read: Vec::new(),
        };
        known.read = known.book().remove(&known.origin).unwrap_or_default();
        client.remember_uploads(known.read.clone());
        Some(known)
    }

    fn book(&self) -> Book {
        let text = fs::read(&self.path).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Writes down what the client knows now, beside what other processes have written meanwhile.
    pub(crate) fn keep(&self, client: &Client) -> io::Result<()> {
        let now = client.known_uploads();
        let is_known = |upload: &KnownUpload| self.read.contains(upload);
        if now.len() == self.read.len() && now.iter().all(is_known) {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            make_folder(folder)?;
        }
        let guard = self.path.with_extension("guard");
        let guard = private().create(true).truncate(false).open(guard)?;
        guard.lock()?;
        let mut book = self.book();
        let kept = book.entry(self.origin.clone()).or_default();
        // What was read and is not known any more is gone at the service. What another process has
        // written since goes before what was read here.
        let is_gone = |upload: &KnownUpload| self.read.contains(upload) && !now.contains(upload);
        let new: Vec<&KnownUpload> = now.iter().filter(|upload| !is_known(upload)).collect();
        kept.retain(|upload| {
            !is_gone(upload) && !new.iter().any(|new| new.is_of_same_picture(upload))
        });
        kept.extend(new.into_iter().cloned());
        kept.drain(..kept.len().saturating_sub(KEPT));
        let temporary = self.path.with_extension("new");
        let mut file = private().create(true).truncate(true).open(&temporary)?;
        serde_json::to_writer(&mut file, &book)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)
    }
}
