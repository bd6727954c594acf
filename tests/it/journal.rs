//! The journal: at most one purchase a key, closed only on proof.

mod accounts;
mod again;
mod batches;
mod beside;
mod budget;
mod closed;
mod files;
mod lookups;
mod news;
mod offered;
mod older;
mod once;
mod orders;
mod places;
#[cfg(target_os = "linux")]
mod power;
mod processes;
#[cfg(unix)]
mod relays;
mod watched;

use std::path::Path;
use std::sync::Arc;

use uso::{ImageSize, Request};
use uso_journal::Journal;
use uso_tests::postgres;
use uso_tests::rig::{Rig, content};

/// A journal in a folder of its own, and an emulator.
struct Desk {
    rig: Rig,
    journal: Journal,
    folder: Arc<tempfile::TempDir>,
    place: String,
}

impl Desk {
    /// On a database of the server that `USO_TEST_SERVER` names, or in a file.
    async fn new(rig: Rig) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let place = match std::env::var("USO_TEST_SERVER") {
            Ok(server) => database(&server).await,
            Err(_) => folder.path().join("state/journal.db").display().to_string(),
        };
        let mut desk = Self {
            journal: Journal::temporary().unwrap(),
            rig,
            folder,
            place,
        };
        desk.journal = desk.open().await;
        desk
    }

    /// The journal, opened once more, as another process opens it.
    async fn open(&self) -> Journal {
        let journal = Journal::connect(&self.place).await.unwrap();
        match self.place.contains("://") {
            true => journal.keep_in(self.path().join("state")),
            false => journal,
        }
    }

    /// Ends the lease of every worker, as time does; in a file, locks end with their process. The
    /// server may carry out a renewal after the worker is gone, so an end that is in the past would
    /// not last.
    async fn end_leases(&self) {
        if self.place.contains("://") {
            postgres::run(&self.place, "DELETE FROM uso.worker").await;
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

/// An empty database of the server at this URL.
async fn database(server: &str) -> String {
    let name = format!("t{:016x}", fastrand::u64(..));
    postgres::run(server, &format!("CREATE DATABASE {name}")).await;
    server.replacen("/postgres?", &format!("/{name}?"), 1)
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
