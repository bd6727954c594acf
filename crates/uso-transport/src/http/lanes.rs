//! Lanes: which of several connections to an origin a request takes.
//!
//! HTTP/2 shares a connection among many requests, up to a number of streams that the server sets
//! (often 100 to 128), and the client library opens a connection for every request that comes
//! before the first one is established. So connections are opened on purpose: the requests of one
//! origin are spread over lanes, each with a connection pool of its own. A further lane is opened
//! when the ones before it are full, and its first request goes alone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout};
use url::{Position, Url};

/// Requests that share one HTTP/2 connection: servers are to allow 100 streams or more (RFC 9113,
/// 6.5.2).
const STREAMS_PER_LANE: usize = 100;

/// Connections to one HTTP/2 origin at the most. Beyond them, requests wait inside the connection.
pub(super) const LANES: usize = 8;

/// Lanes that status streams leave free: each stream keeps its place until its job ends, and a
/// submit that waited for one would be of unknown outcome when its time is up.
const LANES_WITHOUT_STREAMS: usize = 1;

/// How long requests wait for the first one of a lane, before they go ahead with connections of
/// their own.
const OPENING_PATIENCE: Duration = Duration::from_secs(1);

/// A connection that was idle for longer is not used again: a server that closed it meanwhile
/// would leave a submit with an unknown outcome.
pub(super) const IDLE_CONNECTION: Duration = Duration::from_secs(20);

/// The lanes of every origin.
#[derive(Default)]
pub(super) struct Lanes {
    /// By scheme and authority, as a URL begins.
    origins: RwLock<HashMap<String, Arc<Origin>>>,
}

#[derive(Default)]
struct Origin {
    lanes: [Lane; LANES],
    /// The server speaks HTTP/1.1, for which one pool opens a connection for each request anyway.
    single_requests: AtomicBool,
}

#[derive(Default)]
struct Lane {
    in_flight: AtomicUsize,
    is_open: AtomicBool,
    /// When its last request ended; its connection is closed some time after.
    empty_since: Mutex<Option<Instant>>,
    opening: Arc<tokio::sync::Mutex<()>>,
}

/// A place in a lane, given back when it is dropped.
pub(super) struct Place {
    origin: Arc<Origin>,
    index: usize,
}

impl Lanes {
    /// A place for a request to this URL.
    pub(super) fn place(&self, url: &Url) -> Place {
        let key = &url[..Position::BeforePath];
        let known = self.origins.read().unwrap_or_else(PoisonError::into_inner);
        let origin = known.get(key).map(Arc::clone);
        drop(known);
        let origin = origin.unwrap_or_else(|| {
            let mut origins = self.origins.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(origins.entry(key.to_owned()).or_default())
        });
        Place::take(origin)
    }

    /// Whether there is room for a request that keeps its place for long.
    pub(super) fn has_room_for_stream(&self, url: &Url) -> bool {
        let key = &url[..Position::BeforePath];
        let known = self.origins.read().unwrap_or_else(PoisonError::into_inner);
        known.get(key).is_none_or(|origin| {
            let in_flight = origin.lanes.iter().map(Lane::load).sum::<usize>();
            origin.single_requests.load(Ordering::Relaxed)
                || in_flight < (LANES - LANES_WITHOUT_STREAMS) * STREAMS_PER_LANE
        })
    }
}

impl Place {
    fn take(origin: Arc<Origin>) -> Self {
        let single = origin.single_requests.load(Ordering::Relaxed);
        let lanes = || origin.lanes.iter().enumerate();
        let roomy = lanes().find(|(_, lane)| single || lane.load() < STREAMS_PER_LANE);
        let chosen = roomy.or_else(|| lanes().min_by_key(|(_, lane)| lane.load()));
        let index = chosen.map_or(0, |(index, _)| index);
        let place = Self { origin, index };
        if let Some(lane) = place.lane() {
            let was_empty = lane.in_flight.fetch_add(1, Ordering::Relaxed) == 0;
            if was_empty && lane.was_idle_too_long() {
                lane.is_open.store(false, Ordering::Release);
            }
        }
        place
    }

    fn lane(&self) -> Option<&Lane> {
        self.origin.lanes.get(self.index)
    }

    /// The number of the lane.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Waits while another request opens the lane's connection. The caller that gets a guard opens
    /// the connection, and keeps the guard until the response has come.
    pub(super) async fn opener(&self, deadline: Instant) -> Option<OwnedMutexGuard<()>> {
        let lane = self.lane()?;
        if lane.is_open.load(Ordering::Acquire) {
            return None;
        }
        let turn = Arc::clone(&lane.opening).lock_owned();
        let patience = OPENING_PATIENCE.min(deadline.saturating_duration_since(Instant::now()));
        let guard = timeout(patience, turn).await.ok();
        guard.filter(|_| !lane.is_open.load(Ordering::Acquire))
    }

    /// A response came over the lane's connection.
    pub(super) fn is_open(&self, multiplexes: bool) {
        let single = &self.origin.single_requests;
        if single.load(Ordering::Relaxed) == multiplexes {
            single.store(!multiplexes, Ordering::Relaxed);
        }
        if let Some(lane) = self.lane() {
            lane.is_open.store(true, Ordering::Release);
        }
    }

    /// The lane has no connection.
    pub(super) fn is_closed(&self) {
        if let Some(lane) = self.lane() {
            lane.is_open.store(false, Ordering::Release);
        }
    }
}

impl Lane {
    fn load(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn was_idle_too_long(&self) -> bool {
        let since = *self.empty_since();
        since.is_some_and(|since| since.elapsed() >= IDLE_CONNECTION)
    }

    fn empty_since(&self) -> MutexGuard<'_, Option<Instant>> {
        let since = self.empty_since.lock();
        since.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(lane) = self.lane()
            && lane.in_flight.fetch_sub(1, Ordering::Relaxed) == 1
        {
            *lane.empty_since() = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_leave_room_for_submits_and_results() {
        let lanes = Lanes::default();
        let url = Url::parse("https://queue.example.org/fal-ai/uso").unwrap();
        let mut places = Vec::new();
        while lanes.has_room_for_stream(&url) {
            places.push(lanes.place(&url));
        }
        assert_eq!(places.len(), 700);
        let free = (0..STREAMS_PER_LANE).map(|_| lanes.place(&url));
        let free: Vec<Place> = free.collect();
        assert!(free.iter().all(|place| place.index() == LANES - 1));
        drop(free);
        assert!(!lanes.has_room_for_stream(&url));
        places.pop();
        assert!(lanes.has_room_for_stream(&url));
    }

    #[test]
    fn a_server_without_streams_on_one_connection_has_room_for_each() {
        let lanes = Lanes::default();
        let url = Url::parse("http://127.0.0.1:7700/fal-ai/uso").unwrap();
        let first = lanes.place(&url);
        first.is_open(false);
        let places: Vec<Place> = (0..1000).map(|_| lanes.place(&url)).collect();
        assert!(lanes.has_room_for_stream(&url), "{}", places.len());
    }
}
