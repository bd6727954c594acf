//! Lists of purchases.

use std::time::{Duration, SystemTime};

use uso::Client;

use crate::error::Error;
use crate::purchase::{LocalId, Purchase, to_ms};
use crate::shared::Shared;
use crate::state::State;
use crate::store::Filter;

/// Purchases to be read, newest first. See [`Journal::jobs`](crate::Journal::jobs).
///
/// # Cancel safety
///
/// Dropping the future of a call loses nothing: the same purchases can be read again.
#[derive(Clone, Debug)]
pub struct Jobs {
    shared: Shared,
    client: Client,
    filter: Filter,
}

impl Jobs {
    pub(crate) fn new(shared: Shared, client: Client) -> Self {
        Self {
            shared,
            client,
            filter: Filter {
                limit: 1000,
                ..Filter::default()
            },
        }
    }

    /// Only purchases in these states.
    #[must_use]
    pub fn states(mut self, states: impl IntoIterator<Item = State>) -> Self {
        self.filter.states = states.into_iter().collect();
        self
    }

    /// Only purchases of this batch.
    #[must_use]
    pub fn batch(mut self, batch: impl Into<String>) -> Self {
        self.filter.batch = Some(batch.into());
        self
    }

    /// Only purchases that changed in this time.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.filter.since = SystemTime::now().checked_sub(time).map(to_ms);
        self
    }

    /// Only purchases that are older than this one: the next page.
    #[must_use]
    pub fn before(mut self, id: LocalId) -> Self {
        self.filter.before = Some(id.0);
        self
    }

    /// Sets the largest number of jobs; 1000 by default.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.filter.limit = limit;
        self
    }

    /// Reads them.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn read(&self) -> Result<Vec<Purchase>, Error> {
        self.shared.release_gone().await?;
        let realm = self.shared.realm(&self.client).await?;
        self.shared.store.list(realm, self.filter.clone()).await
    }

    /// Reads the next page: so many purchases as the limit says, which are older than those of the
    /// page before. A page without any is the end.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn next_page(&mut self) -> Result<Vec<Purchase>, Error> {
        let page = self.read().await?;
        if let Some(last) = page.last() {
            self.filter.before = Some(last.id.0);
        }
        Ok(page)
    }

    /// Every page in one list, newest purchase first; the limit is the size of a page.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn read_all(mut self) -> Result<Vec<Purchase>, Error> {
        let mut all = Vec::new();
        loop {
            let page = self.next_page().await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// Number of jobs in each state, whatever the limit.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn count(&self) -> Result<Vec<(State, u64)>, Error> {
        self.shared.release_gone().await?;
        let realm = self.shared.realm(&self.client).await?;
        self.shared
            .store
            .counts(realm, self.filter.batch.clone())
            .await
    }
}
