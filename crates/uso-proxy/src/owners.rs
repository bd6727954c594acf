//! Which caller may ask for which request.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::caller::Caller;

/// The callers of the submitted requests, for a time.
///
/// A request that is forgotten can no longer be collected through the proxy, and was paid for. So
/// nothing is forgotten to make room: when there is none, nothing is bought. A caller has a share of
/// the room, so that one cannot stop the others by filling it.
pub(crate) struct Owners {
    capacity: usize,
    share: usize,
    kept_for: Duration,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    of: HashMap<Arc<str>, Owner>,
    /// In the order in which they end.
    ends: VecDeque<(Instant, Arc<str>)>,
    reserved: usize,
    /// Kept and reserved ones of each caller.
    shares: HashMap<Caller, usize>,
}

struct Owner {
    caller: Caller,
    app: String,
}

/// Room for one request, given back when it is dropped.
pub(crate) struct Room {
    owners: Arc<Owners>,
    caller: Caller,
    is_free: bool,
}

/// Who has no room for another request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Caller,
    Everybody,
}

impl Owners {
    pub(crate) fn new(capacity: usize, share: usize, kept_for: Duration) -> Self {
        Self {
            capacity,
            share,
            kept_for,
            table: Mutex::default(),
        }
    }

    /// Room for a request that is about to be bought.
    pub(crate) fn reserve(self: &Arc<Self>, caller: &Caller, now: Instant) -> Result<Room, Full> {
        self.with(now, |table| {
            if table.shares.get(caller).is_some_and(|of| *of >= self.share) {
                return Err(Full::Caller);
            }
            if table.of.len() + table.reserved >= self.capacity {
                return Err(Full::Everybody);
            }
            table.reserved += 1;
            table.grow(caller);
            Ok(Room {
                owners: Arc::clone(self),
                caller: caller.clone(),
                is_free: true,
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
                let owner = table.of.remove(&id);
                if let Some(owner) = owner {
                    table.shrink(&owner.caller);
                }
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
        self.grow(caller);
    }

    fn grow(&mut self, caller: &Caller) {
        *self.shares.entry(caller.clone()).or_default() += 1;
    }

    fn shrink(&mut self, caller: &Caller) {
        if let Some(share) = self.shares.get_mut(caller) {
            *share -= 1;
            if *share == 0 {
                self.shares.remove(caller);
            }
        }
    }

    fn give_back(&mut self, room: &mut Room) {
        if std::mem::take(&mut room.is_free) {
            self.reserved -= 1;
            self.shrink(&room.caller);
        }
    }
}

impl Room {
    /// Fills the room with the request that was bought.
    pub(crate) fn bind(&mut self, app: &str, request_id: &str, now: Instant) {
        let owners = Arc::clone(&self.owners);
        owners.with(now, |table| {
            table.give_back(self);
            table.bind(owners.kept_for, &self.caller, app, request_id, now);
        });
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let owners = Arc::clone(&self.owners);
        let mut table = owners.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.give_back(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "fal-ai/uso";

    #[test]
    fn an_id_is_its_callers_alone_and_for_its_time() {
        let owners = Arc::new(Owners::new(10, 10, Duration::from_secs(60)));
        let (a, b, now) = (Caller::new("a"), Caller::new("b"), Instant::now());
        owners.reserve(&a, now).unwrap().bind(APP, "r-1", now);
        owners.reserve(&b, now).unwrap().bind(APP, "r-1", now);
        assert!(owners.owns(&a, APP, "r-1", now));
        for (caller, app, id) in [
            (&b, APP, "r-1"),
            (&a, "fal-ai/other", "r-1"),
            (&a, APP, "r-2"),
        ] {
            assert!(!owners.owns(caller, app, id, now), "{caller} {app} {id}");
        }
        assert!(!owners.owns(&a, APP, "r-1", now + Duration::from_secs(60)));
        let table = owners.table.lock().unwrap();
        assert_eq!(
            (table.of.len(), table.shares.len(), table.reserved),
            (0, 0, 0)
        );
    }

    #[test]
    fn nothing_is_forgotten_to_make_room() {
        let owners = Arc::new(Owners::new(2, 2, Duration::from_secs(60)));
        let (a, b, now) = (Caller::new("a"), Caller::new("b"), Instant::now());
        let mut first = owners.reserve(&a, now).unwrap();
        let second = owners.reserve(&b, now).unwrap();
        let full = owners.reserve(&a, now).err();
        assert_eq!(
            full,
            Some(Full::Everybody),
            "rooms count before they are filled"
        );
        drop(second);
        first.bind(APP, "r-1", now);
        owners.reserve(&b, now).unwrap().bind(APP, "r-2", now);
        assert_eq!(owners.reserve(&a, now).err(), Some(Full::Everybody));
        assert!(owners.owns(&a, APP, "r-1", now));
        let later = now + Duration::from_secs(60);
        assert!(owners.reserve(&a, later).is_ok());
    }

    #[test]
    fn one_caller_cannot_fill_the_room_of_the_others() {
        let owners = Arc::new(Owners::new(10, 2, Duration::from_secs(60)));
        let (a, b, now) = (Caller::new("a"), Caller::new("b"), Instant::now());
        owners.reserve(&a, now).unwrap().bind(APP, "r-1", now);
        let second = owners.reserve(&a, now).unwrap();
        assert_eq!(owners.reserve(&a, now).err(), Some(Full::Caller));
        assert!(owners.reserve(&b, now).is_ok());
        drop(second);
        owners.reserve(&a, now).unwrap().bind(APP, "r-2", now);
        assert_eq!(owners.reserve(&a, now).err(), Some(Full::Caller));
        let later = now + Duration::from_secs(60);
        assert!(owners.reserve(&a, later).is_ok());
    }
}
