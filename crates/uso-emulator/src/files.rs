//! In-memory files of the CDN, with access rules and expiry.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::clock::Moment;
use crate::lock::lock;
use crate::random;

#[derive(Clone)]
pub(crate) struct File {
    /// In the pieces that it came in: a large upload is never copied together.
    pub(crate) pieces: Arc<[Bytes]>,
    pub(crate) content_type: Arc<str>,
    pub(crate) access: Access,
    expires: Option<Moment>,
}

/// What a caller without the owner's token can read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Access {
    #[default]
    Allow,
    Forbid,
    Hide,
}

/// What a caller wants of the files that are made for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lifecycle {
    pub(crate) expires_after: Option<Duration>,
    pub(crate) access: Access,
}

/// Where a stored file is.
pub(crate) struct Stored {
    /// Path on the CDN, `/files/b/<folder>/<name>`.
    pub(crate) path: String,
    pub(crate) name: String,
}

impl Stored {
    /// A place that no other file has.
    pub(crate) fn reserve(ending: &str) -> Self {
        let name = format!("{}{ending}", random::name());
        let path = format!("/files/b/{}/{name}", random::folder());
        Self { path, name }
    }
}

#[derive(Default)]
pub(crate) struct Files(Mutex<Shelf>);

#[derive(Default)]
struct Shelf {
    files: HashMap<String, File>,
    /// Oldest first.
    order: VecDeque<String>,
    total: usize,
}

impl File {
    pub(crate) fn new(
        pieces: impl Into<Arc<[Bytes]>>,
        content_type: &str,
        lifecycle: Lifecycle,
        now: Moment,
    ) -> Self {
        Self {
            pieces: pieces.into(),
            content_type: content_type.into(),
            access: lifecycle.access,
            expires: lifecycle
                .expires_after
                .map(|after| now.saturating_add(after)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// In one piece, for those who need to look at it whole.
    pub(crate) fn bytes(&self) -> Bytes {
        match &*self.pieces {
            [whole] => whole.clone(),
            pieces => {
                let mut whole = BytesMut::with_capacity(self.len());
                pieces
                    .iter()
                    .for_each(|piece| whole.extend_from_slice(piece));
                whole.freeze()
            }
        }
    }
}

impl Files {
    /// Bytes that are kept. When more is stored, the oldest files are gone.
    const KEPT: usize = 1 << 30;

    /// Puts a file in its place, or in the place of the one that was there.
    pub(crate) fn store(&self, path: &str, file: File) {
        let mut shelf = lock(&self.0);
        shelf.total += file.len();
        match shelf.files.insert(path.to_owned(), file) {
            Some(replaced) => shelf.total -= replaced.len(),
            None => shelf.order.push_back(path.to_owned()),
        }
        while shelf.total > Self::KEPT && shelf.order.len() > 1 {
            let Some(oldest) = shelf.order.pop_front() else {
                break;
            };
            if let Some(file) = shelf.files.remove(&oldest) {
                shelf.total -= file.len();
            }
        }
    }

    /// A file that has not expired.
    pub(crate) fn get(&self, path: &str, now: Moment) -> Option<File> {
        let file = lock(&self.0).files.get(path).cloned()?;
        file.expires
            .is_none_or(|expires| now < expires)
            .then_some(file)
    }

    /// All files are gone, as if every one had expired.
    pub(crate) fn forget(&self) {
        *lock(&self.0) = Shelf::default();
    }
}
