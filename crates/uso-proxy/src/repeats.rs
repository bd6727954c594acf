//! Purchases that a caller may be about to make twice without knowing it.
//!
//! The official JavaScript client sends a submit again after a 502, a 503, a 504 or a broken
//! connection, although the first one may have been accepted. The proxy sees both: for a while, the
//! same input from the same caller is not bought again after its outcome was lost.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::caller::Caller;

/// Clients repeat within seconds; a person who looks and decides takes longer.
pub(crate) const REMEMBERED_FOR: Duration = Duration::from_secs(120);

/// Suspects that are remembered; the oldest make room.
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

/// What is known of a purchase that its caller has no answer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suspect {
    /// The request, when it is known that it was bought.
    pub(crate) request_id: Option<String>,
    /// How long it is remembered still.
    pub(crate) for_another: Duration,
}

#[derive(Default)]
pub(crate) struct Repeats(Mutex<Table>);

#[derive(Default)]
struct Table {
    of: HashMap<Sameness, (Instant, Option<String>)>,
    order: VecDeque<(Instant, Sameness)>,
}

impl Repeats {
    /// The purchase that this one may repeat.
    pub(crate) fn suspect(&self, sameness: Sameness, now: Instant) -> Option<Suspect> {
        self.with(now, |table| {
            let (until, request_id) = table.of.get(&sameness)?;
            Some(Suspect {
                request_id: request_id.clone(),
                for_another: until.saturating_duration_since(now),
            })
        })
    }

    pub(crate) fn remember(&self, sameness: Sameness, request_id: Option<String>, now: Instant) {
        self.with(now, |table| {
            let until = now + REMEMBERED_FOR;
            // What is known already is not unlearnt.
            let known = table.of.remove(&sameness).and_then(|(_, known)| known);
            table.of.insert(sameness, (until, request_id.or(known)));
            table.order.push_back((until, sameness));
            while table.order.len() > CAPACITY {
                table.drop_oldest();
            }
        });
    }

    /// It was not bought after all.
    pub(crate) fn forget(&self, sameness: Sameness, now: Instant) {
        self.with(now, |table| table.of.remove(&sameness));
    }

    fn with<T>(&self, now: Instant, work: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while table.order.front().is_some_and(|(until, _)| *until <= now) {
            table.drop_oldest();
        }
        work(&mut table)
    }
}

impl Table {
    fn drop_oldest(&mut self) {
        if let Some((until, sameness)) = self.order.pop_front()
            // It may have been remembered again since.
            && self.of.get(&sameness).is_some_and(|(kept, _)| *kept <= until)
        {
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
    fn the_same_input_of_the_same_caller_is_suspect_for_a_while() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        repeats.remember(same("a", "{}"), None, now);
        assert!(repeats.suspect(same("a", "{}"), now).is_some());
        assert!(repeats.suspect(same("b", "{}"), now).is_none());
        assert!(repeats.suspect(same("a", "{ }"), now).is_none());
        assert!(
            repeats
                .suspect(same("a", "{}"), now + REMEMBERED_FOR)
                .is_none()
        );
    }

    #[test]
    fn what_is_learnt_stays_and_what_was_not_bought_is_forgotten() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        let (it, later) = (same("a", "{}"), now + Duration::from_secs(100));
        repeats.remember(it, Some("r-1".to_owned()), now);
        repeats.remember(it, None, later);
        let suspect = repeats.suspect(it, now + REMEMBERED_FOR).unwrap();
        assert_eq!(suspect.request_id.as_deref(), Some("r-1"));
        assert_eq!(suspect.for_another, Duration::from_secs(100));
        repeats.forget(it, later);
        assert!(repeats.suspect(it, later).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        for index in 0..CAPACITY + 50 {
            repeats.remember(same("a", &index.to_string()), None, now);
        }
        let table = repeats.0.lock().unwrap();
        assert_eq!((table.of.len(), table.order.len()), (CAPACITY, CAPACITY));
    }
}
