//! The journal: at most one purchase a key, closed only on proof.

mod accounts;
mod batches;
mod beside;
mod budget;
mod closed;
mod files;
mod news;
mod once;
mod places;
#[cfg(target_os = "linux")]
mod power;
mod processes;
mod watched;

use std::path::Path;
use std::sync::Arc;

use uso::{ImageSize, Request};
use uso_journal::Journal;
use uso_tests::rig::{Rig, content};

/// A journal in a folder of its own, and an emulator.
struct Desk {
    rig: Rig,
    journal: Journal,
    folder: Arc<tempfile::TempDir>,
}

impl Desk {
    async fn new(rig: Rig) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let journal = Journal::open(folder.path().join("state/journal.db")).unwrap();
        Self {
            rig,
            journal,
            folder,
        }
    }

    async fn plain() -> Self {
        Self::new(Rig::plain().await).await
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn bought(&self) -> usize {
        self.rig.emulator.ledger().purchases().len()
    }
}

/// A request whose picture is tiny.
fn request(prompt: &str) -> Request {
    Request::subject(content(), prompt).size(size())
}

fn size() -> uso::types::ImageSizeChoice {
    ImageSize {
        width: Some(48),
        height: Some(32),
    }
    .into()
}
