//! Uploading once: what was uploaded is known by its content.
//!
//! The key is a digest of the picture as the caller holds it, so that a style that goes into
//! hundreds of jobs is neither made fit nor sent twice; whoever comes while it is on its way waits
//! for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit};
use uso_transport::{Error, ErrorKind, Operation, Result, Source, Transport, Upload};

use crate::reference::HEADER;
use crate::reference::fit::{self, Change, Format};

/// How long an uploaded picture is used again, when its upload did not say when it expires. fal
/// keeps files for at least seven days, unless the account's settings say otherwise.
const TRUSTED: Duration = Duration::from_secs(6 * 24 * 3600);

/// Uploads that are remembered.
const REMEMBERED: usize = 10_000;

/// Pictures that are decoded at a time: each may take some hundred megabytes.
const FITTING: usize = 2;

/// Pictures on their way from the disk to the service at a time: each may take some megabytes.
const ON_THEIR_WAY: u32 = 12;

/// A picture that the service has, and the local picture that it was made of.
///
/// It can be written down, so that another process need not upload the picture again:
/// [`Client::known_uploads`](crate::Client::known_uploads) and
/// [`Client::remember_uploads`](crate::Client::remember_uploads).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownUpload {
    key: String,
    url: String,
    trusted_until: SystemTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<(u32, u32)>,
    bytes: u64,
    changes: Vec<Change>,
}

impl KnownUpload {
    /// Where it lies.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether both were made of the same local picture in the same way.
    pub fn is_of_same_picture(&self, other: &Self) -> bool {
        self.key == other.key
    }

    pub(crate) fn size(&self) -> Option<(u32, u32)> {
        self.size
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }

    fn is_trusted(&self) -> bool {
        SystemTime::now() < self.trusted_until
    }
}

/// A picture that is ready to be sent.
pub(crate) struct Ready {
    pub(crate) source: Source,
    pub(crate) format: Format,
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) changes: Vec<Change>,
}

/// What becomes of a local picture.
pub(crate) enum Found {
    /// The service has it.
    Known(KnownUpload),
    /// It is here, and ready.
    Ready(Arc<Ready>),
}

/// What one client has uploaded.
pub(crate) struct Uploads {
    pictures: Mutex<HashMap<String, Arc<Picture>>>,
    fitting: Semaphore,
    on_their_way: Semaphore,
}

/// One picture: the way it is made ready and sent, one caller at a time.
#[derive(Default)]
struct Picture {
    /// Kept as long as somebody is about to send it.
    ready: tokio::sync::Mutex<Weak<Ready>>,
    known: tokio::sync::Mutex<Option<KnownUpload>>,
    /// When the last upload failed, and with what.
    failed: Mutex<Option<(Instant, ErrorKind, String)>>,
}

impl Picture {
    fn failure(&self) -> MutexGuard<'_, Option<(Instant, ErrorKind, String)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            pictures: Mutex::default(),
            fitting: Semaphore::new(FITTING),
            on_their_way: Semaphore::new(ON_THEIR_WAY as usize),
        }
    }
}

/// What tells pictures apart: the content, and whether it is made fit.
pub(crate) async fn key(source: &Source, fit: bool) -> Result<String> {
    let digest = source
        .scan(Sha256::new(), |digest, bytes| digest.update(bytes))
        .await?;
    let mut key: String = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if !fit {
        key.push_str("-as-it-is");
    }
    Ok(key)
}

impl Uploads {
    /// Lets in a request with so many pictures, all at once or not yet, so that requests never wait
    /// for each other in a circle.
    pub(crate) async fn admit(&self, pictures: usize) -> Option<SemaphorePermit<'_>> {
        let pictures = u32::try_from(pictures).unwrap_or(ON_THEIR_WAY);
        let permits = self.on_their_way.acquire_many(pictures.min(ON_THEIR_WAY));
        permits.await.ok()
    }

    fn picture(&self, key: &str) -> Arc<Picture> {
        let mut pictures = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        if pictures.len() >= REMEMBERED && !pictures.contains_key(key) {
            // Nobody knows which of them will be used again; those in use stay with their users.
            let some: Vec<String> = pictures.keys().take(REMEMBERED / 10).cloned().collect();
            some.iter().for_each(|key| {
                pictures.remove(key);
            });
        }
        Arc::clone(pictures.entry(key.to_owned()).or_default())
    }

    /// The picture as the service has it, or ready to be sent; `Err` continues "it is …".
    pub(crate) async fn find(
        &self,
        key: &str,
        source: &Source,
        fit: bool,
    ) -> Result<Found, String> {
        let picture = self.picture(key);
        // While it is being uploaded, its users wait there, and share what comes of it.
        if let Ok(known) = picture.known.try_lock()
            && let Some(known) = known.as_ref().filter(|known| known.is_trusted())
        {
            return Ok(Found::Known(known.clone()));
        }
        let mut kept = picture.ready.lock().await;
        if let Some(ready) = kept.upgrade() {
            return Ok(Found::Ready(ready));
        }
        let ready = Arc::new(self.make_ready(source, fit).await?);
        *kept = Arc::downgrade(&ready);
        Ok(Found::Ready(ready))
    }

    /// Makes a picture ready, without a look at what was uploaded; `Err` continues "it is …".
    pub(crate) async fn make_ready(&self, source: &Source, fit: bool) -> Result<Ready, String> {
        let unreadable = |error: Error| format!("not to be read: {error}");
        if !fit {
            let head = source.head(HEADER).await.map_err(unreadable)?;
            return Ok(Ready {
                source: source.clone(),
                format: Format::of(&head)?,
                size: fit::size(&head, false).ok(),
                changes: Vec::new(),
            });
        }
        let _permit = self.fitting.acquire().await;
        let bytes = source.read().await.map_err(unreadable)?;
        let fitted = tokio::task::spawn_blocking(move || fit::fit(bytes)).await;
        // A decoder that panics has met something that is no picture.
        let fitted = fitted.unwrap_or_else(|_| Err(fit::UNDECODABLE.to_owned()))?;
        Ok(Ready {
            source: Source::bytes(fitted.bytes),
            format: fitted.format,
            size: Some(fitted.size),
            changes: fitted.changes,
        })
    }

    /// Uploads a picture that is ready, unless somebody else has done it meanwhile. The second of
    /// the pair says whether it was.
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
            // It was tried as often as is of use while this one waited.
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

    /// Forgets what lies at this URL.
    pub(crate) async fn forget(&self, key: &str, url: &str) {
        let picture = self.picture(key);
        let mut kept = picture.known.lock().await;
        kept.take_if(|known| known.url == url);
    }

    /// Everything that may be used again. What is being uploaded right now is left out.
    pub(crate) fn known(&self) -> Vec<KnownUpload> {
        let pictures = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        let known = pictures.values().filter_map(|picture| {
            let known = picture.known.try_lock().ok()?.clone()?;
            known.is_trusted().then_some(known)
        });
        known.collect()
    }

    /// Takes over what is known from elsewhere; what is known here stays.
    pub(crate) fn remember(&self, uploads: Vec<KnownUpload>) {
        for known in uploads.into_iter().filter(KnownUpload::is_trusted) {
            let picture = self.picture(&known.key);
            if let Ok(mut kept) = picture.known.try_lock() {
                kept.get_or_insert(known);
            }
        }
    }
}
