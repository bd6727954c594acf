//! Pauses of a batch, and how long the service has refused its submits.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use uso::ErrorKind;

/// The first pause after refusals of a kind, and the longest one.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);

/// A pause of a batch: no purchase begins until its end.
#[derive(Clone, Copy)]
pub(super) struct Pause {
    pub(super) kind: ErrorKind,
    /// When the last refusal came.
    pub(super) refused: Instant,
    pub(super) length: Duration,
    /// Whether a purchase tries whether the service takes any again.
    pub(super) is_tried: bool,
}

impl Pause {
    pub(super) fn until(self) -> Instant {
        self.refused + self.length
    }
}

/// Refusals since the service last accepted a submit. A refusal of another kind in between ends
/// neither the time of a kind nor the growth of its pauses.
#[derive(Default)]
pub(super) struct Refusals(HashMap<ErrorKind, Refused>);

struct Refused {
    since: Instant,
    pause: Duration,
}

impl Refusals {
    /// Counts the time of this kind from now on, unless it is counted.
    pub(super) fn begin(&mut self, kind: ErrorKind) {
        self.0.entry(kind).or_insert_with(|| Refused {
            since: Instant::now(),
            pause: Duration::ZERO,
        });
    }

    /// The pause after another refusal; `None` if refusals of its kind have come for `longest`.
    pub(super) fn next_pause(
        &mut self,
        kind: ErrorKind,
        longest: Option<Duration>,
    ) -> Option<Duration> {
        let is_first = !self.0.contains_key(&kind);
        self.begin(kind);
        let refused = self.0.get_mut(&kind)?;
        let is_over = |longest| refused.since.elapsed() >= longest;
        if !is_first && longest.is_some_and(is_over) {
            return None;
        }
        refused.pause = (refused.pause * 2).clamp(FIRST, LONGEST);
        Some(refused.pause)
    }

    /// The service accepted a submit.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const TEN_MINUTES: Option<Duration> = Some(Duration::from_secs(600));

    /// Refusals of these kinds in turn, each after the pause of the one before, until one has come
    /// for ten minutes.
    async fn refused_in_turn(kinds: &[ErrorKind]) -> Duration {
        let mut refusals = Refusals::default();
        let began = Instant::now();
        for kind in kinds.iter().cycle() {
            match refusals.next_pause(*kind, TEN_MINUTES) {
                Some(pause) => advance(pause).await,
                None => break,
            }
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_of_another_kind_do_not_begin_the_time_anew() {
        use ErrorKind::{Locked, Throttled, Unreachable};
        for kinds in [
            &[Unreachable][..],
            &[Unreachable, Throttled],
            &[Throttled, Locked, Unreachable],
        ] {
            let seconds = refused_in_turn(kinds).await.as_secs();
            assert!((600..780).contains(&seconds), "{kinds:?}: {seconds}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_up_to_a_minute_and_begin_anew_after_an_acceptance() {
        let mut refusals = Refusals::default();
        let mut pauses = |kinds: &[ErrorKind]| -> Vec<u64> {
            let pauses = kinds.iter().map(|kind| refusals.next_pause(*kind, None));
            let pauses = pauses.map(|pause| pause.unwrap().as_secs()).collect();
            refusals.clear();
            pauses
        };
        let kinds = [ErrorKind::Throttled, ErrorKind::Unreachable].repeat(5);
        let grown = [5, 5, 10, 10, 20, 20, 40, 40, 60, 60];
        assert_eq!(pauses(&kinds), grown);
        assert_eq!(pauses(&kinds[..2]), [5, 5]);
    }
}
