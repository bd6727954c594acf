//! Which caller may ask for which request.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::caller::Caller;

/// The callers of the submitted requests, for a time.
///
/// A request that is forgotten can no longer be collected through the proxy, and was paid for. So
/// nothing is forgotten to make room: when there is none, nothing is bought.
pub(crate) struct Owners {
    capacity: usize,
    kept_for: Duration,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    of: HashMap<Arc<str>, Owner>,
    /// In the order in which they end.
    ends: VecDeque<(Instant, Arc<str>)>,
    reserved: usize,
}

struct Owner {
    caller: Caller,
    app: String,
}

/// Room for one request, given back when it is dropped.
pub(crate) struct Room {
    owners: Arc<Owners>,
    is_free: bool,
}

impl Owners {
    pub(crate) fn new(capacity: usize, kept_for: Duration) -> Self {
        Self {
            capacity,
            kept_for,
            table: Mutex::default(),
        }
    }

    /// Room for a request that is about to be bought; `None` when there is none.
    pub(crate) fn reserve(self: &Arc<Self>, now: Instant) -> Option<Room> {
        self.with(now, |table| {
            let has_room = table.of.len() + table.reserved < self.capacity;
            has_room.then(|| {
                table.reserved += 1;
                Room {
                    owners: Arc::clone(self),
                    is_free: true,
                }
            })
        })
    }

    /// Whether this caller submitted this request to this app.
    pub(crate) fn owns(&self, caller: &Caller, app: &str, request_id: &str, now: Instant) -> bool {
        self.with(now, |table| {
            let owner = table.of.get(request_id);
            owner.is_some_and(|owner| owner.caller == *caller && owner.app == app)
        })
    }

    /// Lets the caller ask for the request. The first to get an id keeps it.
    pub(crate) fn bind(&self, caller: &Caller, app: &str, request_id: &str, now: Instant) {
        self.with(now, |table| {
            table.bind(self.kept_for, caller, app, request_id, now);
        });
    }

    fn with<T>(&self, now: Instant, work: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        while table.ends.front().is_some_and(|(end, _)| *end <= now) {
            if let Some((_, id)) = table.ends.pop_front() {
                table.of.remove(&id);
            }
        }
        work(&mut table)
    }
}

impl Table {
    fn bind(
        &mut self,
        kept_for: Duration,
        caller: &Caller,
        app: &str,
        request_id: &str,
        now: Instant,
    ) {
        if self.of.contains_key(request_id) {
            return;
        }
        let id: Arc<str> = request_id.into();
        let owner = Owner {
            caller: caller.clone(),
            app: app.to_owned(),
        };
        self.of.insert(Arc::clone(&id), owner);
        self.ends.push_back((now + kept_for, id));
    }
}

impl Room {
    /// Fills the room with the request that was bought.
    pub(crate) fn bind(&mut self, caller: &Caller, app: &str, request_id: &str, now: Instant) {
        let owners = Arc::clone(&self.owners);
        owners.with(now, |table| {
            if std::mem::take(&mut self.is_free) {
                table.reserved -= 1;
            }
            table.bind(owners.kept_for, caller, app, request_id, now);
        });
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.is_free {
            let mut table = self
                .owners
                .table
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            table.reserved -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "fal-ai/uso";

    #[test]
    fn an_id_is_its_callers_alone_and_for_its_time() {
        let owners = Arc::new(Owners::new(10, Duration::from_secs(60)));
        let (a, b, now) = (Caller::new("a"), Caller::new("b"), Instant::now());
        owners.reserve(now).unwrap().bind(&a, APP, "r-1", now);
        owners.reserve(now).unwrap().bind(&b, APP, "r-1", now);
        assert!(owners.owns(&a, APP, "r-1", now));
        for (caller, app, id) in [
            (&b, APP, "r-1"),
            (&a, "fal-ai/other", "r-1"),
            (&a, APP, "r-2"),
        ] {
            assert!(!owners.owns(caller, app, id, now), "{caller} {app} {id}");
        }
        assert!(!owners.owns(&a, APP, "r-1", now + Duration::from_secs(60)));
        assert!(owners.table.lock().unwrap().of.is_empty());
    }

    #[test]
    fn nothing_is_forgotten_to_make_room() {
        let owners = Arc::new(Owners::new(2, Duration::from_secs(60)));
        let (a, now) = (Caller::new("a"), Instant::now());
        let mut first = owners.reserve(now).unwrap();
        let second = owners.reserve(now).unwrap();
        assert!(
            owners.reserve(now).is_none(),
            "rooms count before they are filled"
        );
        drop(second);
        first.bind(&a, APP, "r-1", now);
        owners.reserve(now).unwrap().bind(&a, APP, "r-2", now);
        assert!(owners.reserve(now).is_none());
        assert!(owners.owns(&a, APP, "r-1", now));
        assert!(owners.reserve(now + Duration::from_secs(60)).is_some());
    }
}
