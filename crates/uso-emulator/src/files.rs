//! The files of the CDN, in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use bytes::Bytes;

use crate::lock::lock;
use crate::random;

#[derive(Clone)]
pub(crate) struct File {
    pub(crate) bytes: Bytes,
    pub(crate) content_type: &'static str,
}

/// Where a stored file is.
pub(crate) struct Stored {
    /// Path on the CDN, `/files/b/<folder>/<name>`.
    pub(crate) path: String,
    pub(crate) name: String,
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

impl Files {
    /// Bytes that are kept. When more is stored, the oldest files are gone.
    const KEPT: usize = 1 << 30;

    pub(crate) fn store(
        &self,
        bytes: Bytes,
        content_type: &'static str,
        extension: &str,
    ) -> Stored {
        let name = format!("{}.{extension}", random::name());
        let path = format!("/files/b/{}/{name}", random::folder());
        let mut shelf = lock(&self.0);
        shelf.total += bytes.len();
        shelf.order.push_back(path.clone());
        shelf.files.insert(
            path.clone(),
            File {
                bytes,
                content_type,
            },
        );
        while shelf.total > Self::KEPT && shelf.order.len() > 1 {
            let Some(oldest) = shelf.order.pop_front() else {
                break;
            };
            if let Some(file) = shelf.files.remove(&oldest) {
                shelf.total -= file.bytes.len();
            }
        }
        Stored { path, name }
    }

    pub(crate) fn get(&self, path: &str) -> Option<File> {
        lock(&self.0).files.get(path).cloned()
    }
}
