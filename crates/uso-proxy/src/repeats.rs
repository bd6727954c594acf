//! Purchases that a caller may be about to make twice without knowing it.
//!
//! The official JavaScript client sends a submit again after a 502, a 503 or a 504, and in Node
//! after a broken connection, although the first one may have been accepted. The proxy sees both:
//! while a purchase is under way, and for a while after its answer was lost, the same input of the
//! same caller is not bought.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::caller::Caller;

/// Clients repeat within seconds; a person who looks and decides takes longer.
pub(crate) const REMEMBERED_FOR: Duration = Duration::from_secs(120);

/// How long a caller had better wait for a purchase that is under way: submits take a second or two.
const UNDER_WAY_FOR: Duration = Duration::from_secs(5);

/// Lost answers that are remembered; the oldest make room.
const CAPACITY: usize = 10_000;

/// A purchase as far as it would be the same again.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Sameness([u8; 32]);

impl Sameness {
    pub(crate) fn of(caller: &Caller, operation: &str, endpoint: &str, body: &[u8]) -> Self {
        let mut hash = hmac_sha256::Hash::new();
        for part in [caller.as_str(), operation, endpoint] {
            // With its length before it, no part can reach into the next.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(body);
        Self(hash.finalize())
    }
}

/// A purchase that this one would repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suspect {
    /// The request, when it is known.
    pub(crate) request_id: Option<String>,
    /// Whether it has no outcome yet.
    pub(crate) is_under_way: bool,
    /// How long to wait.
    pub(crate) wait: Duration,
}

#[derive(Default)]
pub(crate) struct Repeats(Mutex<Table>);

#[derive(Default)]
struct Table {
    of: HashMap<Sameness, Entry>,
    /// The lost ones, in the order in which they are forgotten.
    order: VecDeque<(Instant, Sameness)>,
}

struct Entry {
    request_id: Option<String>,
    /// Until when its answer's loss is remembered; `None` while it is under way.
    until: Option<Instant>,
}

/// A purchase that is under way. Its answer counts as lost when this is dropped, however that comes,
/// unless [`UnderWay::settle`] was called before.
pub(crate) struct UnderWay {
    repeats: Arc<Repeats>,
    sameness: Sameness,
    is_settled: bool,
}

impl Repeats {
    /// Enters a purchase, unless it may repeat one.
    pub(crate) fn begin(
        self: &Arc<Self>,
        sameness: Sameness,
        now: Instant,
    ) -> Result<UnderWay, Suspect> {
        self.with(now, |table| {
            if let Some(entry) = table.of.get(&sameness) {
                let wait = |until: Instant| until.saturating_duration_since(now);
                return Err(Suspect {
                    request_id: entry.request_id.clone(),
                    is_under_way: entry.until.is_none(),
                    wait: entry.until.map_or(UNDER_WAY_FOR, wait),
                });
            }
            let entry = Entry {
                request_id: None,
                until: None,
            };
            table.of.insert(sameness, entry);
            Ok(UnderWay {
                repeats: Arc::clone(self),
                sameness,
                is_settled: false,
            })
        })
    }

    fn with<T>(&self, now: Instant, work: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while table.order.front().is_some_and(|(until, _)| *until <= now) {
            table.forget_oldest();
        }
        work(&mut table)
    }
}

impl UnderWay {
    /// The service has told which request it is.
    pub(crate) fn is_known_as(&self, request_id: &str) {
        self.repeats.with(Instant::now(), |table| {
            if let Some(entry) = table.of.get_mut(&self.sameness) {
                entry.request_id = Some(request_id.to_owned());
            }
        });
    }

    /// Nothing was bought, or its caller has the answer: the same may be bought again.
    pub(crate) fn settle(mut self) {
        self.is_settled = true;
    }

    fn end(&self, now: Instant) {
        self.repeats.with(now, |table| {
            if self.is_settled {
                table.of.remove(&self.sameness);
                return;
            }
            let until = now + REMEMBERED_FOR;
            if let Some(entry) = table.of.get_mut(&self.sameness) {
                entry.until = Some(until);
                table.order.push_back((until, self.sameness));
            }
            while table.order.len() > CAPACITY {
                table.forget_oldest();
            }
        });
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.end(Instant::now());
    }
}

impl Table {
    fn forget_oldest(&mut self) {
        // While it is remembered nothing of the same sameness begins, so the entry is this one's.
        if let Some((_, sameness)) = self.order.pop_front() {
            self.of.remove(&sameness);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(caller: &str, body: &str) -> Sameness {
        Sameness::of(
            &Caller::new(caller),
            "submit",
            "fal-ai/uso",
            body.as_bytes(),
        )
    }

    #[test]
    fn the_same_input_of_the_same_caller_is_suspect_while_it_is_under_way_and_after() {
        let (repeats, now) = (Arc::new(Repeats::default()), Instant::now());
        let under_way = repeats.begin(same("a", "{}"), now).unwrap();
        let late = now + REMEMBERED_FOR * 10;
        let suspect = repeats.begin(same("a", "{}"), late).err().unwrap();
        assert!(suspect.is_under_way, "however long it takes");
        for other in [same("b", "{}"), same("a", "{ }")] {
            repeats.begin(other, now).unwrap().settle();
        }
        under_way.is_known_as("r-1");
        drop(under_way);
        let suspect = repeats.begin(same("a", "{}"), now).err().unwrap();
        assert_eq!(suspect.request_id.as_deref(), Some("r-1"));
        assert!(!suspect.is_under_way && suspect.wait >= REMEMBERED_FOR);
        let later = Instant::now() + REMEMBERED_FOR;
        assert!(repeats.begin(same("a", "{}"), later).is_ok());
    }

    #[test]
    fn what_is_settled_may_begin_again_and_what_was_refused_settles_nothing() {
        let (repeats, now) = (Arc::new(Repeats::default()), Instant::now());
        let it = same("a", "{}");
        let first = repeats.begin(it, now).unwrap();
        assert!(repeats.begin(it, now).is_err());
        assert!(repeats.begin(it, now).is_err(), "the first is still there");
        first.settle();
        repeats.begin(it, now).unwrap().settle();
    }

    #[test]
    fn memory_is_bounded_and_what_is_under_way_is_never_forgotten() {
        let (repeats, now) = (Arc::new(Repeats::default()), Instant::now());
        let under_way = repeats.begin(same("b", "{}"), now).unwrap();
        for index in 0..CAPACITY + 50 {
            drop(repeats.begin(same("a", &index.to_string()), now));
        }
        assert!(repeats.begin(same("b", "{}"), now).is_err());
        drop(under_way);
        let table = repeats.0.lock().unwrap();
        assert_eq!((table.of.len(), table.order.len()), (CAPACITY, CAPACITY));
    }
}
