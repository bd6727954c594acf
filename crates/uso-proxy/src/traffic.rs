//! Load of this process: requests and bodies in memory of each caller, and open streams of all
//! callers together, in one table behind one lock.
//!
//! The connections to the service and the memory are shared. Without these bounds one caller could
//! take all of either.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::caller::Caller;

const MINUTE: Duration = Duration::from_secs(60);

/// Status streams of all callers. Each holds a place in the transport's connections for as long as a
/// job takes; there are 720 places, so that one is always left for short requests.
const STREAMS: usize = 400;

/// Bytes of bodies in memory, of all callers.
const BYTES: usize = 64 << 20;

/// The share of them that one caller may have: one in so many.
const PART: usize = 4;

/// Callers in the table before idle ones are looked for.
const FEW: usize = 1024;

pub(crate) struct Traffic {
    per_minute: u32,
    at_once: u32,
    bytes: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    loads: HashMap<Caller, Load>,
    tidy_at: usize,
    streams: usize,
    bytes: usize,
}

struct Load {
    /// When the requests so far are used up at the even rate.
    used_up_at: Instant,
    requests: u32,
    bytes: usize,
}

/// Permit for one request, from its head to the end of its response. Dropping it gives back
/// everything that the request holds.
pub(crate) struct Permit {
    traffic: Arc<Traffic>,
    caller: Caller,
    is_stream: bool,
    bytes: usize,
}

/// The limit that a request exceeds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// So many requests a minute of one caller; there is room after this time.
    PerMinute(u32, Duration),
    /// So many requests at once of one caller.
    AtOnce(u32),
    /// Status streams of all callers.
    Streams,
    /// Memory of one caller.
    MemoryOfCaller,
    /// Memory of all callers.
    Memory,
}

impl Traffic {
    /// Bounds with room for whole bodies of this size.
    pub(crate) fn new(per_minute: u32, at_once: u32, max_body: usize) -> Self {
        Self {
            per_minute: per_minute.max(1),
            at_once: at_once.max(1),
            bytes: BYTES.max(max_body.saturating_mul(PART)),
            table: Mutex::default(),
        }
    }

    /// Admits a request of this caller.
    pub(crate) fn admit(
        self: &Arc<Self>,
        caller: &Caller,
        now: Instant,
    ) -> Result<Permit, Exceeded> {
        self.with(|table| {
            table.tidy(now);
            let idle = || Load {
                used_up_at: now,
                requests: 0,
                bytes: 0,
            };
            let load = table.loads.entry(caller.clone()).or_insert_with(idle);
            let used_up_at = load.used_up_at.max(now) + MINUTE / self.per_minute;
            let ahead = used_up_at.saturating_duration_since(now);
            if ahead > MINUTE {
                return Err(Exceeded::PerMinute(self.per_minute, ahead - MINUTE));
            }
            load.used_up_at = used_up_at;
            if load.requests >= self.at_once {
                return Err(Exceeded::AtOnce(self.at_once));
            }
            load.requests += 1;
            Ok(Permit {
                traffic: Arc::clone(self),
                caller: caller.clone(),
                is_stream: false,
                bytes: 0,
            })
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Table) -> T) -> T {
        work(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Table {
    /// Forgets idle callers, each time there are twice as many.
    fn tidy(&mut self, now: Instant) {
        if self.loads.len() < self.tidy_at.max(FEW) {
            return;
        }
        self.loads
            .retain(|_, load| load.requests > 0 || load.used_up_at > now);
        self.tidy_at = self.loads.len() * 2;
    }
}

impl Permit {
    /// Takes the place of a status stream.
    pub(crate) fn stream(&mut self) -> Result<(), Exceeded> {
        let traffic = Arc::clone(&self.traffic);
        traffic.with(|table| {
            if table.streams >= STREAMS {
                return Err(Exceeded::Streams);
            }
            table.streams += usize::from(!self.is_stream);
            self.is_stream = true;
            Ok(())
        })
    }

    /// Takes so many bytes more of memory.
    pub(crate) fn take_memory(&mut self, bytes: usize) -> Result<(), Exceeded> {
        let traffic = Arc::clone(&self.traffic);
        traffic.with(|table| {
            let all = table.bytes;
            let Some(load) = table.loads.get_mut(&self.caller) else {
                return Ok(());
            };
            if load.bytes + bytes > traffic.bytes / PART {
                return Err(Exceeded::MemoryOfCaller);
            }
            if all + bytes > traffic.bytes {
                return Err(Exceeded::Memory);
            }
            load.bytes += bytes;
            table.bytes += bytes;
            self.bytes += bytes;
            Ok(())
        })
    }

    /// Gives the memory back.
    pub(crate) fn free_memory(&mut self) {
        let traffic = Arc::clone(&self.traffic);
        traffic.with(|table| {
            let bytes = std::mem::take(&mut self.bytes);
            table.bytes -= bytes;
            if let Some(load) = table.loads.get_mut(&self.caller) {
                load.bytes -= bytes;
            }
        });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.free_memory();
        self.traffic.with(|table| {
            table.streams -= usize::from(self.is_stream);
            if let Some(load) = table.loads.get_mut(&self.caller) {
                load.requests -= 1;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(per_minute: u32, at_once: u32) -> (Arc<Traffic>, Instant) {
        let traffic = Traffic::new(per_minute, at_once, 1);
        (Arc::new(traffic), Instant::now())
    }

    fn caller(name: impl ToString) -> Caller {
        Caller::new(name.to_string())
    }

    #[test]
    fn a_minutes_requests_may_come_at_once_and_then_at_the_even_rate() {
        let (traffic, now) = traffic(60, 100);
        let admit = |name: &str, at| traffic.admit(&caller(name), at).map(drop);
        assert!((0..60).all(|_| admit("a", now).is_ok()));
        let second = Duration::from_secs(1);
        assert_eq!(admit("a", now), Err(Exceeded::PerMinute(60, second)));
        assert_eq!(admit("b", now), Ok(()), "others are free");
        assert_eq!(admit("a", now + second), Ok(()));
        assert!(admit("a", now + second).is_err());
    }

    #[test]
    fn a_caller_has_so_many_requests_at_once_and_others_are_free() {
        let (traffic, now) = traffic(u32::MAX, 2);
        let admit = |name: &str| traffic.admit(&caller(name), now);
        let first = admit("a").ok().unwrap();
        let _second = admit("a").ok().unwrap();
        assert_eq!(admit("a").err(), Some(Exceeded::AtOnce(2)));
        assert!(admit("b").is_ok());
        drop(first);
        assert!(admit("a").is_ok());
    }

    #[test]
    fn streams_are_bounded_for_all_callers_together() {
        let (traffic, now) = traffic(u32::MAX, u32::MAX);
        let admit = |name: usize| traffic.admit(&caller(name), now).ok().unwrap();
        let mut open: Vec<Permit> = (0..=STREAMS).map(admit).collect();
        let streams = open.iter_mut().filter_map(|permit| permit.stream().ok());
        assert_eq!(streams.count(), STREAMS);
        drop(open);
        assert_eq!(admit(0).stream(), Ok(()));
    }

    #[test]
    fn a_caller_has_a_share_of_the_memory_and_gives_it_back() {
        let (traffic, now) = traffic(u32::MAX, u32::MAX);
        let admit = |name: usize| traffic.admit(&caller(name), now).ok().unwrap();
        let mut held: Vec<Permit> = (0..5).map(admit).collect();
        let part = BYTES / PART;
        for permit in held.iter_mut().take(PART) {
            permit.take_memory(part).unwrap();
            assert_eq!(permit.take_memory(1), Err(Exceeded::MemoryOfCaller));
        }
        let mut second = admit(0);
        assert_eq!(second.take_memory(1), Err(Exceeded::MemoryOfCaller));
        assert_eq!(held[4].take_memory(1), Err(Exceeded::Memory));
        held[1].free_memory();
        assert_eq!(held[4].take_memory(part), Ok(()));
        held.clear();
        drop(second);
        let table = traffic.table.lock().unwrap();
        assert_eq!((table.bytes, table.streams), (0, 0));
        assert!(
            table
                .loads
                .values()
                .all(|load| load.requests == 0 && load.bytes == 0)
        );
    }

    #[test]
    fn the_largest_body_always_has_room_and_idle_callers_are_forgotten() {
        let traffic = Arc::new(Traffic::new(60, 9, BYTES));
        let now = Instant::now();
        let mut permit = traffic.admit(&caller("a"), now).ok().unwrap();
        assert_eq!(permit.take_memory(BYTES), Ok(()));
        for index in 0..5000 {
            let at = now + Duration::from_millis(100) * index;
            drop(traffic.admit(&caller(index), at));
        }
        assert!(traffic.table.lock().unwrap().loads.len() < 2 * FEW);
    }
}
