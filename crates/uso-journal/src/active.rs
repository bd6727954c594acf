//! Keys that this process works on, so that one task at a time has each.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Key = (i64, String);

/// The keys in work.
#[derive(Clone, Debug, Default)]
pub(crate) struct Active(Arc<Mutex<HashSet<Key>>>);

impl Active {
    fn keys(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a key; `None` while another task has it.
    pub(crate) fn enter(&self, realm: i64, key: &str) -> Option<Turn> {
        let key = (realm, key.to_owned());
        self.keys().insert(key.clone()).then(|| Turn {
            active: self.clone(),
            key,
        })
    }
}

/// The right to work on a key, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    active: Active,
    key: Key,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.active.keys().remove(&self.key);
    }
}
