//! A store of handled notifications in memory, for one process.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{Claim, Lease, NotificationStore};

/// Keeps the newest handled notifications in memory until the process ends. Only verified
/// notifications get here; a sender who repeats genuine ones on many paths can push out older ones,
/// which a handler would then see again if fal repeated them.
#[derive(Debug)]
pub struct MemoryStore {
    capacity: usize,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    in_progress: HashMap<String, Lease>,
    handled: HashSet<String>,
    /// The handled ones, oldest first.
    order: VecDeque<String>,
    leases: u64,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("in_progress", &self.in_progress.len())
            .field("handled", &self.handled.len())
            .finish_non_exhaustive()
    }
}

impl Default for MemoryStore {
    /// A store of 10 000 notifications, which take some megabytes.
    fn default() -> Self {
        Self::with_capacity(10_000)
    }
}

impl MemoryStore {
    /// A store of this many handled notifications, which drops the oldest when it is full. Those
    /// that are being handled come on top: as many as there are requests at the same time.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            capacity,
            memory: Mutex::default(),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, key: &str, lease: Lease, handled: bool) {
        let mut memory = self.memory();
        if memory.in_progress.get(key) != Some(&lease) {
            return;
        }
        memory.in_progress.remove(key);
        if handled && memory.handled.insert(key.to_owned()) {
            memory.order.push_back(key.to_owned());
        }
        while memory.order.len() > self.capacity {
            if let Some(oldest) = memory.order.pop_front() {
                memory.handled.remove(&oldest);
            }
        }
    }
}

impl NotificationStore for MemoryStore {
    type Error = Infallible;

    async fn claim(&self, key: &str) -> Result<Claim, Infallible> {
        let mut memory = self.memory();
        if memory.handled.contains(key) {
            return Ok(Claim::Handled);
        }
        if memory.in_progress.contains_key(key) {
            return Ok(Claim::InProgress);
        }
        memory.leases += 1;
        let lease = Lease(memory.leases);
        memory.in_progress.insert(key.to_owned(), lease);
        Ok(Claim::Granted(lease))
    }

    async fn settle(&self, key: &str, lease: Lease, handled: bool) -> Result<(), Infallible> {
        self.end(key, lease, handled);
        Ok(())
    }

    fn abandon(&self, key: &str, lease: Lease) {
        self.end(key, lease, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn claim(store: &MemoryStore, key: &str) -> Claim {
        store.claim(key).await.unwrap()
    }

    #[tokio::test]
    async fn memory_is_bounded_and_an_old_lease_changes_nothing() {
        let store = MemoryStore::with_capacity(2);
        for key in ["a", "b", "c"] {
            let Claim::Granted(lease) = claim(&store, key).await else {
                panic!("{key} is new");
            };
            assert_eq!(claim(&store, key).await, Claim::InProgress);
            store.settle(key, lease, true).await.unwrap();
        }
        assert_eq!(claim(&store, "c").await, Claim::Handled);
        assert_eq!(claim(&store, "b").await, Claim::Handled);
        let Claim::Granted(first) = claim(&store, "a").await else {
            panic!("the oldest is forgotten");
        };
        store.abandon("a", first);
        let Claim::Granted(second) = claim(&store, "a").await else {
            panic!("what was given up is free");
        };
        store.settle("a", first, true).await.unwrap();
        assert_eq!(claim(&store, "a").await, Claim::InProgress);
        store.settle("a", second, false).await.unwrap();
        assert!(matches!(claim(&store, "a").await, Claim::Granted(_)));
    }
}
