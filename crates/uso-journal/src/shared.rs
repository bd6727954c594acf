//! State that all work on one open journal shares.

use std::collections::{HashMap, HashSet};
use std::future::ready;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uso::pictures::{PreparedPicture, Sending};
use uso::upload::KnownUpload;
use uso::{Client, Ticket};

use crate::active::Active;
use crate::awaited::Awaited;
use crate::error::Error;
use crate::purchase::LocalId;
use crate::row::{Row, Step};
use crate::store::{Offer, Realm, Reply, Store};

/// An open journal. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) active: Active,
    pub(crate) awaited: Awaited,
    /// The journal, to show.
    pub(crate) location: String,
    pub(crate) path: PathBuf,
    /// What was read or written before, so that it is not done again.
    known: Arc<Mutex<Known>>,
    /// Steps that could not be written, which leave their rows to every worker.
    unwritten: Arc<Mutex<Vec<Unwritten>>>,
    /// Removes a temporary journal.
    _temporary: Option<Arc<tempfile::TempDir>>,
}

/// A step of a row, with the fence of its claim if it is one of a claim.
type Unwritten = (LocalId, Option<i64>, Step);

#[derive(Debug, Default)]
struct Known {
    /// Realms that were looked up.
    realms: HashMap<(String, String), i64>,
    told: HashSet<i64>,
    recorded: HashSet<String>,
}

impl Shared {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        location: String,
        path: PathBuf,
        temporary: Option<tempfile::TempDir>,
    ) -> Self {
        Self {
            store,
            active: Active::default(),
            awaited: Awaited::default(),
            location,
            path,
            known: Arc::default(),
            unwritten: Arc::default(),
            _temporary: temporary.map(Arc::new),
        }
    }

    /// The realm of a client: its service and its account.
    pub(crate) async fn realm(&self, client: &Client) -> Result<i64, Error> {
        let config = client.config();
        let (origin, account) = (config.base_urls().queue().to_string(), config.account());
        let name = (origin.clone(), account.clone());
        let known = self.known().realms.get(&name).copied();
        if let Some(realm) = known {
            return Ok(realm);
        }
        let realm = self.store.realm(Realm { origin, account }).await?;
        self.known().realms.insert(name, realm);
        Ok(realm)
    }

    /// Pictures of purchases that name no folder go beside the journal.
    pub(crate) fn pictures_folder(&self) -> PathBuf {
        self.path.with_file_name("pictures")
    }

    /// Releases a row of a worker that is gone, or that this process no longer works on. `false`
    /// while its worker lives.
    pub(crate) async fn release_if_dead(&self, row: &Row) -> Result<bool, Error> {
        let Some(worker) = &row.worker else {
            return Ok(true);
        };
        if *worker == self.store.worker() {
            // The caller has the turn of its key, so that no task of this process works on it: a
            // runtime ended before the work did.
            let bury = self
                .store
                .apply(row.purchase.id, Some(row.fence), Step::Bury);
            return match bury.await {
                Ok(_) | Err(Error::TakenOver(_)) => Ok(true),
                Err(error) => Err(error),
            };
        }
        self.store.release(worker.clone()).await
    }

    /// Releases every row of every worker that is gone, and the rows that this process could not
    /// release when the work on them ended.
    pub(crate) async fn release_gone(&self) -> Result<(), Error> {
        // Each stays until it is written: the caller may end meanwhile.
        let unwritten = self.unwritten().clone();
        for (id, fence, step) in unwritten {
            let written = self.store.apply(id, fence, step).await;
            if !matches!(written, Err(Error::Database { .. })) {
                let mut unwritten = self.unwritten();
                unwritten.retain(|(other, of, _)| (*other, *of) != (id, fence));
            }
        }
        self.store.release_gone().await
    }

    /// As [`Store::record_earlier`].
    pub(crate) fn record_earlier(
        &self,
        id: LocalId,
        number: u32,
        ticket: &Ticket,
    ) -> Reply<'_, bool> {
        let request_id = ticket.request_id().to_owned();
        match serde_json::to_string(ticket) {
            Ok(ticket) => self.store.record_earlier(id, number, ticket, request_id),
            Err(_) => Box::pin(ready(Ok(false))),
        }
    }

    /// Has a row released later that could not be released now.
    pub(crate) fn release_later(&self, row: &Row) {
        let (id, fence) = (row.purchase.id, Some(row.fence));
        self.unwritten().push((id, fence, Step::Bury));
    }

    /// Asks for an attempt after one that bought nothing; later, where that cannot be written now.
    pub(crate) async fn try_again(&self, id: LocalId, attempt: u32) {
        let retry = Step::Retry { attempt };
        let tried = self.store.apply(id, None, retry.clone()).await;
        if let Err(Error::Database { .. }) = tried {
            self.unwritten().push((id, None, retry));
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, Vec<Unwritten>> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Releases the rows of an offer that this worker holds and no task works on: the journal could not
    /// be written when the work on them ended, or their task ended with its runtime.
    pub(crate) async fn release_abandoned(&self, offer: &Offer) -> Result<(), Error> {
        for row in self.store.held(offer.clone()).await? {
            if let Some(_turn) = self.active.enter(row.realm, &row.purchase.key) {
                self.release_if_dead(&row).await?;
            }
        }
        Ok(())
    }

    /// Tells the client, once, which pictures the service has already.
    pub(crate) async fn share_uploads(&self, client: &Client, realm: i64) -> Result<(), Error> {
        let is_told = {
            let known = self.known();
            // Another client of the same account may know nothing yet of what there is.
            let needs_none = known.recorded.is_empty() || client.has_known_uploads();
            known.told.contains(&realm) && needs_none
        };
        if is_told {
            return Ok(());
        }
        let known = self.store.uploads(realm).await?;
        let known: Vec<KnownUpload> = known
            .iter()
            .filter_map(|json| serde_json::from_str(json).ok())
            .collect();
        let mut uploads = self.known();
        uploads
            .recorded
            .extend(known.iter().map(|known| known.url().to_owned()));
        uploads.told.insert(realm);
        drop(uploads);
        client.remember_uploads(known);
        Ok(())
    }

    /// Records the uploads that a request made.
    pub(crate) async fn record_uploads(
        &self,
        client: &Client,
        realm: i64,
        pictures: &[PreparedPicture],
    ) -> Result<(), Error> {
        let mut new = Vec::new();
        for picture in pictures {
            if picture.sending == Sending::Upload
                && let Some(known) = client.known_upload(picture)
                && let Ok(json) = serde_json::to_string(&known)
                && self.known().recorded.insert(known.url().to_owned())
            {
                new.push((known.url().to_owned(), json));
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        self.store.put_uploads(realm, new).await
    }

    /// Forgets the uploads that the client has forgotten.
    pub(crate) async fn forget_uploads(&self, client: &Client, realm: i64) -> Result<(), Error> {
        let known = client.known_uploads().into_iter();
        let urls: Vec<String> = known.map(|known| known.url().to_owned()).collect();
        self.known().recorded.retain(|url| urls.contains(url));
        self.store.keep_uploads(realm, urls).await
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row of a key.
    pub(crate) async fn by_key(&self, realm: i64, key: &str) -> Result<Option<Row>, Error> {
        let found = self.store.named(realm, key.to_owned()).await?;
        Ok(found.into_iter().find(|row| row.purchase.key == key))
    }

    /// The row of a short id.
    pub(crate) async fn row(&self, id: LocalId) -> Result<Row, Error> {
        let row = self.store.row(id).await?;
        row.ok_or_else(|| Error::NotFound(id.to_string()))
    }
}
