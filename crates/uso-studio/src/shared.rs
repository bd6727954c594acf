//! State that all requests of a studio share.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use uso::{Client, MicroDollars};
use uso_journal::{Journal, LocalId, Purchase};

use crate::access::Access;
use crate::guard::Guard;
use crate::inputs::Inputs;
use crate::live::Live;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::thumbnails::Thumbnails;

/// Beginning of the journal's keys of the purchases that a studio makes.
pub(crate) const KEY_PREFIX: &str = "studio/";

pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) journal: Journal,
    pub(crate) guard: Arc<Guard>,
    pub(crate) inputs: Inputs,
    pub(crate) thumbnails: Thumbnails,
    pub(crate) live: Arc<Live>,
    /// Room for jobs of other processes that are watched at a time.
    pub(crate) watched: Arc<Semaphore>,
    pub(crate) settings: Settings,
    /// Name of this session's purchases, which share the budget.
    pub(crate) session: String,
    pub(crate) closed: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn access(&self) -> &Access {
        &self.guard.access
    }

    /// The job with this short id.
    pub(crate) async fn job(&self, id: &str) -> Result<Purchase, Refusal> {
        let id: LocalId = id.parse().map_err(|_| Refusal::not_found("such job"))?;
        Ok(self.journal.get(&self.client, id).await?)
    }

    /// What this session has spent, with the upper bounds of what is not billed yet.
    pub(crate) async fn committed(&self) -> Result<MicroDollars, Refusal> {
        let committed = self.journal.batch_committed(&self.client, &self.session);
        Ok(committed.await?)
    }
}
