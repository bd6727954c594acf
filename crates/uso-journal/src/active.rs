//! Keys that this process works on, so that one task at a time has each.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

type Key = (i64, String);

/// The keys in work.
#[derive(Clone, Debug, Default)]
pub(crate) struct Active(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    keys: Mutex<HashSet<Key>>,
    left: Notify,
}

impl Active {
    fn keys(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a key; `None` while another task has it.
    pub(crate) fn enter(&self, realm: i64, key: &str) -> Option<Turn> {
        let key = (realm, key.to_owned());
        self.keys().insert(key.clone()).then(|| Turn {
            active: self.clone(),
            key,
        })
    }

    /// Enters a key as soon as no other task has it.
    pub(crate) async fn enter_next(&self, realm: i64, key: &str) -> Turn {
        loop {
            // Before the look, so that a turn that ends after it is heard of.
            let left = self.0.left.notified();
            if let Some(turn) = self.enter(realm, key) {
                return turn;
            }
            left.await;
        }
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
        self.active.0.left.notify_waiters();
    }
}
