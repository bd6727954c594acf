//! State that all tool calls of a server share.

use std::path::{Path, PathBuf};

use tokio_util::task::TaskTracker;
use uso::{Client, MicroDollars};
use uso_journal::{Error, Journal, Purchase};

use super::refusal::Refusal;
use super::root::Root;

/// Name in the journal of everything that agents buy, which shares the budget.
pub(crate) const BATCH: &str = "agents";

/// Beginning of the journal's keys of the purchases of agents; the label follows.
pub(crate) const KEY_PREFIX: &str = "agent/";

/// Folder of the pictures below the root, where no other is given.
const PICTURES: &str = "uso-pictures";

/// What the tools work with.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) journal: Journal,
    pub(crate) root: Root,
    /// Folder of the pictures that a person chose.
    pub(crate) output: Option<PathBuf>,
    /// Upper bound of everything that agents buy through this journal.
    pub(crate) budget: MicroDollars,
    /// Whether a client that can ask its user is made to.
    pub(crate) asks: bool,
    /// Purchases whose submit may be under way.
    pub(crate) unsent: TaskTracker,
}

impl Session {
    /// Releases the purchases that processes held which have ended since.
    pub(crate) async fn release_the_dead(&self) -> Result<(), Refusal> {
        // Reading any list does so.
        self.journal.jobs(&self.client).limit(1).read().await?;
        Ok(())
    }

    /// The agents' purchase with this label, short id or request id.
    pub(crate) async fn find(&self, text: &str) -> Result<Purchase, Refusal> {
        let found = self.find_if_any(text).await?;
        found.ok_or_else(|| Error::NotFound(text.to_owned()).into())
    }

    /// As [`Session::find`]; `None` where there is no such purchase.
    pub(crate) async fn find_if_any(&self, text: &str) -> Result<Option<Purchase>, Refusal> {
        self.release_the_dead().await?;
        if let Some(purchase) = self.labelled(text).await? {
            return Ok(Some(purchase));
        }
        let found = self.any(text).await?;
        Ok(found.filter(|purchase| purchase.key.starts_with(KEY_PREFIX)))
    }

    /// The purchase with this label, if there is one.
    pub(crate) async fn labelled(&self, label: &str) -> Result<Option<Purchase>, Refusal> {
        self.any(&key(label)).await
    }

    async fn any(&self, text: &str) -> Result<Option<Purchase>, Refusal> {
        match self.journal.find(&self.client, text).await {
            Ok(purchase) => Ok(Some(purchase)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What agents have spent, with the upper bounds of what is not billed yet.
    pub(crate) async fn committed(&self) -> Result<MicroDollars, Refusal> {
        let committed = self.journal.batch_committed(&self.client, BATCH);
        Ok(committed.await?)
    }

    /// What is left of the budget.
    pub(crate) async fn left(&self) -> Result<MicroDollars, Refusal> {
        let committed = self.committed().await?;
        Ok(MicroDollars::new(
            self.budget.get().saturating_sub(committed.get()),
        ))
    }

    /// The folder of the pictures, to which files can be written.
    pub(crate) fn folder(&self) -> Result<PathBuf, Refusal> {
        let folder = match &self.output {
            Some(folder) => folder.clone(),
            None => self.root.folder(Path::new(PICTURES))?,
        };
        let tried = std::fs::create_dir_all(&folder).and_then(|()| tempfile::tempfile_in(&folder));
        match tried {
            Ok(_) => Ok(folder),
            Err(error) => {
                let why = format!(
                    "the folder for pictures, {}, cannot be written to: {error}",
                    folder.display()
                );
                Err(Refusal::new("folder", why, "tell the user"))
            }
        }
    }
}

/// The journal's key of a label.
pub(crate) fn key(label: &str) -> String {
    format!("{KEY_PREFIX}{label}")
}
