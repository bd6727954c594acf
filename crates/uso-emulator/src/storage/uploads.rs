//! Uploads in progress, with their parts and tags.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::clock::Moment;
use crate::files::{File, Lifecycle};
use crate::lock::lock;
use crate::random::secret;

/// The two storages word their multipart calls differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Cdn,
    Gcs,
}

/// Why parts do not make a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incomplete {
    /// This number did not come, or came with another tag.
    Unknown(u32),
    /// This number came, or must have come, and is not named.
    Missing(u32),
}

pub(super) struct Upload {
    id: String,
    /// In the address, for the presigned routes.
    signature: String,
    path: String,
    content_type: String,
    lifecycle: Lifecycle,
    dialect: Dialect,
    multipart: bool,
    parts: BTreeMap<u32, (Bytes, String)>,
}

#[derive(Default)]
pub(crate) struct Uploads(Mutex<Desk>);

#[derive(Default)]
struct Desk {
    open: HashMap<String, Upload>,
    /// Oldest first.
    order: VecDeque<String>,
    /// Bytes of the parts.
    held: usize,
}

impl Upload {
    /// An upload in parts, by token.
    pub(super) fn new(path: &str, content_type: &str, lifecycle: Lifecycle) -> Self {
        Self {
            id: secret(),
            signature: secret(),
            path: path.to_owned(),
            content_type: content_type.to_owned(),
            lifecycle,
            dialect: Dialect::Cdn,
            multipart: true,
            parts: BTreeMap::new(),
        }
    }

    /// An upload by presigned address, whole or in parts.
    pub(super) fn presigned(mut self, dialect: Dialect, multipart: bool) -> Self {
        self.dialect = dialect;
        self.multipart = multipart;
        self
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn signature(&self) -> &str {
        &self.signature
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn content_type(&self) -> &str {
        &self.content_type
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(super) fn is_multipart(&self) -> bool {
        self.multipart
    }

    /// Keeps a part, in place of an earlier one of its number, and gives its tag.
    pub(super) fn keep(&mut self, number: u32, part: Bytes) -> String {
        let mut hasher = DefaultHasher::new();
        part.hash(&mut hasher);
        let etag = format!("\"{:016x}\"", hasher.finish());
        self.parts.insert(number, (part, etag.clone()));
        etag
    }

    /// The parts in order, if those that are named are all that came, counted from one.
    pub(super) fn assemble(&self, named: Vec<(u32, String)>) -> Result<Vec<Bytes>, Incomplete> {
        let mut pieces = BTreeMap::new();
        for (number, etag) in named {
            match self.parts.get(&number) {
                Some((part, tag)) if *tag == etag => pieces.insert(number, part.clone()),
                _ => return Err(Incomplete::Unknown(number)),
            };
        }
        let last = self.parts.keys().last().copied().unwrap_or(1);
        match (1..=last).find(|number| !pieces.contains_key(number)) {
            Some(missing) => Err(Incomplete::Missing(missing)),
            None => Ok(pieces.into_values().collect()),
        }
    }

    pub(super) fn file(&self, pieces: impl Into<Arc<[Bytes]>>, now: Moment) -> File {
        File::new(pieces, &self.content_type, self.lifecycle, now)
    }

    fn held(&self) -> usize {
        self.parts.values().map(|(part, _)| part.len()).sum()
    }
}

impl Uploads {
    /// Uploads on their way that are remembered, and bytes of their parts.
    const KEPT: usize = 10_000;
    const HELD: usize = 2 << 30;

    pub(super) fn open(&self, upload: Upload) {
        let mut desk = lock(&self.0);
        desk.order.push_back(upload.id.clone());
        desk.open.insert(upload.id.clone(), upload);
        desk.forget_oldest();
    }

    /// Works on an upload, alone; `None` when there is none of this id.
    pub(super) fn with<R>(&self, id: &str, work: impl FnOnce(&mut Upload) -> R) -> Option<R> {
        let mut desk = lock(&self.0);
        let upload = desk.open.get_mut(id)?;
        let before = upload.held();
        let done = work(upload);
        let after = upload.held();
        desk.held = desk.held + after - before;
        desk.forget_oldest();
        Some(done)
    }

    /// Forgets an upload: its file is there.
    pub(super) fn close(&self, id: &str) {
        let mut desk = lock(&self.0);
        desk.order.retain(|open| open != id);
        desk.remove(id);
    }
}

impl Desk {
    fn forget_oldest(&mut self) {
        while self.order.len() > Uploads::KEPT || self.held > Uploads::HELD {
            let Some(id) = self.order.pop_front() else {
                break;
            };
            self.remove(&id);
        }
    }

    fn remove(&mut self, id: &str) {
        if let Some(upload) = self.open.remove(id) {
            self.held -= upload.held();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_of_all_its_parts_and_of_no_others() {
        let mut open = Upload::new("/files/b/0/x", "text/plain", Lifecycle::default());
        let second = open.keep(2, Bytes::from_static(b"world"));
        open.keep(1, Bytes::from_static(b"damaged"));
        let first = open.keep(1, Bytes::from_static(b"hello "));
        let both = vec![(2, second.clone()), (1, first.clone())];
        assert_eq!(open.assemble(both).unwrap().concat(), b"hello world");
        let only = |parts: &[(u32, &String)]| {
            let parts = parts
                .iter()
                .map(|(number, etag)| (*number, (*etag).clone()));
            open.assemble(parts.collect()).unwrap_err()
        };
        assert_eq!(only(&[(2, &second)]), Incomplete::Missing(1));
        assert_eq!(only(&[(1, &first)]), Incomplete::Missing(2));
        assert_eq!(only(&[(1, &second), (2, &second)]), Incomplete::Unknown(1));
        assert_eq!(only(&[(1, &first), (3, &second)]), Incomplete::Unknown(3));
    }
}
