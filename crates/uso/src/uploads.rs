//! Uploads of pictures, each made once: an upload is known by the content of its picture.
//!
//! The key is a digest of the picture as the caller holds it, so that a style that goes into
//! hundreds of jobs is neither made fit nor sent twice; a request that needs a picture which is
//! being uploaded waits for that upload.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};
use uso_transport::{Error, ErrorKind, Operation, Result, Source, Transport, Upload};

use crate::ready::{Loaded, Ready};
use crate::reference::change::Change;

/// How long an uploaded picture is used again, when its upload did not tell when it expires. fal
/// keeps files for at least seven days, unless the account's settings differ.
const TRUSTED: Duration = Duration::from_secs(6 * 24 * 3600);

/// Uploads that are remembered.
const REMEMBERED: usize = 10_000;

/// Small pictures that stay ready, as no upload spares the work on them.
const KEPT: usize = 500;

/// Pictures on their way from the disk to the service at a time: each may take some megabytes.
const ON_THEIR_WAY: u32 = 12;

/// A picture that the service has, and the local picture that it was made of.
///
/// The record can be written down, so that another process need not upload the picture again:
/// [`Client::known_uploads`](crate::Client::known_uploads) and
/// [`Client::remember_uploads`](crate::Client::remember_uploads).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownUpload {
    key: String,
    url: String,
    trusted_until: SystemTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) bytes: u64,
    pub(crate) changes: Vec<Change>,
}

impl KnownUpload {
    /// The URL at which the service has the picture.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn is_trusted(&self) -> bool {
        SystemTime::now() < self.trusted_until
    }
}

/// A local picture that was looked at.
#[derive(Clone)]
pub(crate) enum Found {
    /// The service has the picture.
    Known(KnownUpload),
    /// The picture is ready to be sent.
    Ready(Arc<Ready>),
}

impl Found {
    /// Width and height as the service will see them.
    pub(crate) fn size(&self) -> Option<(u32, u32)> {
        match self {
            Self::Known(known) => known.size,
            Self::Ready(ready) => ready.size,
        }
    }
}

/// A local picture that was read.
pub(crate) struct Looked {
    pub(crate) digest: String,
    pub(crate) key: String,
    pub(crate) found: Found,
}

/// The key of a picture among the uploads: the same for the same content that is treated in the
/// same way.
fn key(digest: &str, fit: bool) -> String {
    match fit {
        true => digest.to_owned(),
        false => format!("{digest}-as-it-is"),
    }
}

/// The uploads of one client.
pub(crate) struct Uploads {
    pictures: Mutex<HashMap<String, Arc<Picture>>>,
    small: Mutex<VecDeque<Arc<Ready>>>,
    on_their_way: Semaphore,
}

/// The state of one picture, which one caller at a time makes ready and sends.
#[derive(Default)]
struct Picture {
    /// Kept as long as a request is about to send it; small ones longer.
    ready: tokio::sync::Mutex<Weak<Ready>>,
    known: tokio::sync::Mutex<Option<KnownUpload>>,
    /// When the last upload failed, and with what.
    failed: Mutex<Option<(Instant, ErrorKind, String)>>,
}

impl Picture {
    /// The upload, unless it is being made or no longer trusted.
    fn known(&self) -> Option<KnownUpload> {
        let known = self.known.try_lock().ok()?.clone()?;
        known.is_trusted().then_some(known)
    }

    fn failure(&self) -> MutexGuard<'_, Option<(Instant, ErrorKind, String)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            pictures: Mutex::default(),
            small: Mutex::default(),
            on_their_way: Semaphore::new(ON_THEIR_WAY as usize),
        }
    }
}

impl Uploads {
    /// Lets in a request with so many local pictures, all at once or not yet, so that requests never
    /// wait for each other in a circle. A request of URLs alone waits for none.
    pub(crate) async fn admit(&self, pictures: usize) -> Option<SemaphorePermit<'_>> {
        if pictures == 0 {
            return None;
        }
        let pictures = u32::try_from(pictures).unwrap_or(ON_THEIR_WAY);
        let permits = self.on_their_way.acquire_many(pictures.min(ON_THEIR_WAY));
        permits.await.ok()
    }

    fn picture(&self, key: &str) -> Arc<Picture> {
        let mut pictures = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        if pictures.len() >= REMEMBERED && !pictures.contains_key(key) {
            // Any may be needed again; those in use stay with their users.
            let some: Vec<String> = pictures.keys().take(REMEMBERED / 10).cloned().collect();
            some.iter().for_each(|key| {
                pictures.remove(key);
            });
        }
        Arc::clone(pictures.entry(key.to_owned()).or_default())
    }

    /// The earlier upload of a picture with this digest, or the picture itself where another
    /// request has made it ready.
    pub(crate) fn at_hand(&self, digest: &str, fit: bool) -> Option<(String, Found)> {
        let key = key(digest, fit);
        let picture = self.picture(&key);
        // While it is being uploaded, its users wait there, and share the outcome.
        let known = picture
            .known
            .try_lock()
            .ok()
            .and_then(|known| known.clone());
        let found = match known.filter(KnownUpload::is_trusted) {
            Some(known) => Found::Known(known),
            None => Found::Ready(picture.ready.try_lock().ok()?.upgrade()?),
        };
        Some((key, found))
    }

    /// Reads a picture once, and finds its earlier upload or makes it ready. The key tells the
    /// picture apart; `Err` continues the phrase "the picture is …".
    pub(crate) async fn find(&self, source: Source, fit: bool) -> Result<Looked, String> {
        let loaded = Loaded::read(source, fit).await?;
        let digest = loaded.digest.clone();
        let (key, found) = match self.at_hand(&digest, fit) {
            Some(found) => found,
            None => {
                let key = key(&digest, fit);
                let picture = self.picture(&key);
                let mut kept = picture.ready.lock().await;
                let ready = match kept.upgrade() {
                    Some(ready) => ready,
                    None => self.keep_small(Arc::new(loaded.make_ready().await?)),
                };
                *kept = Arc::downgrade(&ready);
                (key, Found::Ready(ready))
            }
        };
        Ok(Looked { digest, key, found })
    }

    fn keep_small(&self, ready: Arc<Ready>) -> Arc<Ready> {
        if ready.is_small() {
            let mut small = self.small.lock().unwrap_or_else(PoisonError::into_inner);
            small.truncate(KEPT - 1);
            small.push_front(Arc::clone(&ready));
        }
        ready
    }

    /// Uploads a picture that is ready, unless another caller has done so meanwhile. The second
    /// of the pair tells whether this call did.
    pub(crate) async fn upload(
        &self,
        transport: &Transport,
        key: &str,
        ready: &Ready,
    ) -> Result<(KnownUpload, bool)> {
        let picture = self.picture(key);
        let came = Instant::now();
        let mut kept = picture.known.lock().await;
        if let Some(known) = kept.as_ref().filter(|known| known.is_trusted()) {
            return Ok((known.clone(), false));
        }
        if let Some((at, kind, why)) = &*picture.failure()
            && came < *at
        {
            // Another call tried as often as is of use while this one waited.
            return Err(Error::new(Operation::Upload, *kind, why));
        }
        let mut upload = Upload::new(ready.source.clone())
            .content_type(ready.format.mime())
            .file_name(ready.format.file_name());
        let uploaded = transport.upload(&mut upload).await.inspect_err(|error| {
            *picture.failure() = Some((Instant::now(), error.kind(), error.to_string()));
        })?;
        let known = KnownUpload {
            key: key.to_owned(),
            url: uploaded.url,
            trusted_until: SystemTime::now() + TRUSTED,
            size: ready.size,
            bytes: uploaded.bytes,
            changes: ready.changes.clone(),
        };
        *kept = Some(known.clone());
        Ok((known, true))
    }

    /// Forgets the upload at this URL.
    pub(crate) async fn forget(&self, key: &str, url: &str) {
        let picture = self.picture(key);
        let mut kept = picture.known.lock().await;
        kept.take_if(|known| known.url == url);
    }

    /// The uploads that may be used again, without those that are being made.
    pub(crate) fn known(&self) -> Vec<KnownUpload> {
        let pictures = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        pictures
            .values()
            .filter_map(|picture| picture.known())
            .collect()
    }

    /// Whether an upload may be used again. It ends at the first one.
    pub(crate) fn is_any_known(&self) -> bool {
        let pictures = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        pictures.values().any(|picture| picture.known().is_some())
    }

    /// The upload of one picture.
    pub(crate) fn one(&self, key: &str) -> Option<KnownUpload> {
        let pictures = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        pictures.get(key)?.known()
    }

    /// Takes over uploads of other clients; those known here stay.
    pub(crate) fn remember(&self, uploads: Vec<KnownUpload>) {
        for known in uploads.into_iter().filter(KnownUpload::is_trusted) {
            let picture = self.picture(&known.key);
            if let Ok(mut kept) = picture.known.try_lock() {
                kept.get_or_insert(known);
            }
        }
    }
}
