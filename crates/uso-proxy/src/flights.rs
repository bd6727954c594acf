//! What goes on at once: requests and bodies of each caller, and streams of all of them.
//!
//! The connections to the service are shared, and memory is. Without these bounds one caller could
//! have all of either.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::caller::Caller;

/// Status streams of all callers. Each holds a place in the transport's connections for as long as a
/// job takes; those have 720, so that there is always one left for what is quick.
const STREAMS: usize = 400;

/// Bytes of bodies in memory, of all callers.
const BYTES: usize = 64 << 20;

/// The part of them that one caller may have: one in so many.
const PART: usize = 4;

pub(crate) struct Flights {
    requests_at_once: u32,
    bytes: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    of: HashMap<Caller, Load>,
    streams: usize,
    bytes: usize,
}

#[derive(Default)]
struct Load {
    requests: u32,
    bytes: usize,
}

/// A request from its head to the end of its answer; dropping it ends it.
pub(crate) struct Flight {
    flights: Arc<Flights>,
    caller: Caller,
    is_stream: bool,
    bytes: usize,
}

/// Who has no room for another body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Caller,
    Everybody,
}

impl Flights {
    /// Room for whole bodies of this size, whatever it is.
    pub(crate) fn new(requests_at_once: u32, max_body: usize) -> Self {
        Self {
            requests_at_once: requests_at_once.max(1),
            bytes: BYTES.max(max_body.saturating_mul(PART)),
            table: Mutex::default(),
        }
    }

    pub(crate) fn requests_at_once(&self) -> u32 {
        self.requests_at_once
    }

    /// Begins a request; `None` when its caller has too many.
    pub(crate) fn begin(self: &Arc<Self>, caller: &Caller) -> Option<Flight> {
        self.with(|table| {
            let load = table.of.entry(caller.clone()).or_default();
            if load.requests >= self.requests_at_once {
                return None;
            }
            load.requests += 1;
            Some(Flight {
                flights: Arc::clone(self),
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

impl Flight {
    /// Whether it may be a stream.
    pub(crate) fn streams(&mut self) -> bool {
        let flights = Arc::clone(&self.flights);
        flights.with(|table| {
            let has_room = table.streams < STREAMS;
            if has_room && !self.is_stream {
                table.streams += 1;
                self.is_stream = true;
            }
            has_room
        })
    }

    /// Takes so many bytes more into memory.
    pub(crate) fn holds(&mut self, bytes: usize) -> Result<(), Full> {
        let flights = Arc::clone(&self.flights);
        flights.with(|table| {
            let load = table.of.entry(self.caller.clone()).or_default();
            if load.bytes + bytes > flights.bytes / PART {
                return Err(Full::Caller);
            }
            if table.bytes + bytes > flights.bytes {
                return Err(Full::Everybody);
            }
            load.bytes += bytes;
            table.bytes += bytes;
            self.bytes += bytes;
            Ok(())
        })
    }

    /// Its bytes are no longer in memory.
    pub(crate) fn lets_go(&mut self) {
        let flights = Arc::clone(&self.flights);
        flights.with(|table| {
            let bytes = std::mem::take(&mut self.bytes);
            table.bytes -= bytes;
            if let Some(load) = table.of.get_mut(&self.caller) {
                load.bytes -= bytes;
            }
        });
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.lets_go();
        self.flights.with(|table| {
            table.streams -= usize::from(self.is_stream);
            if let Some(load) = table.of.get_mut(&self.caller) {
                load.requests -= 1;
                if load.requests == 0 {
                    table.of.remove(&self.caller);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_so_many_requests_at_once_and_others_are_free() {
        let flights = Arc::new(Flights::new(2, 1));
        let (a, b) = (Caller::new("a"), Caller::new("b"));
        let first = flights.begin(&a).unwrap();
        let _second = flights.begin(&a).unwrap();
        assert!(flights.begin(&a).is_none());
        assert!(flights.begin(&b).is_some());
        drop(first);
        assert!(flights.begin(&a).is_some());
    }

    #[test]
    fn streams_are_bounded_for_all_together() {
        let flights = Arc::new(Flights::new(u32::MAX, 1));
        let a = Caller::new("a");
        let mut open: Vec<Flight> = (0..=STREAMS).map(|_| flights.begin(&a).unwrap()).collect();
        let streams: Vec<bool> = open.iter_mut().map(Flight::streams).collect();
        assert_eq!(streams.iter().filter(|one| **one).count(), STREAMS);
        drop(open);
        assert!(flights.begin(&a).unwrap().streams());
    }

    #[test]
    fn a_caller_has_a_part_of_the_memory_and_gives_it_back() {
        let flights = Arc::new(Flights::new(9, 1));
        let callers: Vec<Caller> = (0..5).map(|n| Caller::new(n.to_string())).collect();
        let part = BYTES / PART;
        let mut held: Vec<Flight> = callers
            .iter()
            .map(|caller| flights.begin(caller).unwrap())
            .collect();
        for flight in held.iter_mut().take(PART) {
            flight.holds(part).unwrap();
            assert_eq!(flight.holds(1), Err(Full::Caller));
        }
        let mut second = flights.begin(&callers[0]).unwrap();
        assert_eq!(second.holds(1), Err(Full::Caller));
        assert_eq!(held[4].holds(1), Err(Full::Everybody));
        held[1].lets_go();
        assert_eq!(held[4].holds(part), Ok(()));
        held.clear();
        drop(second);
        let table = flights.table.lock().unwrap();
        assert_eq!((table.of.len(), table.bytes, table.streams), (0, 0, 0));
    }

    #[test]
    fn the_largest_body_always_has_room() {
        let flights = Arc::new(Flights::new(9, BYTES));
        let mut flight = flights.begin(&Caller::new("a")).unwrap();
        assert_eq!(flight.holds(BYTES), Ok(()));
    }
}
