//! Clock of the service, read from the `Date` headers of its responses.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// A moment on both clocks of this machine.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    steady: Instant,
    wall: SystemTime,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self {
            steady: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// The shortest and the longest time that can have passed since: the wall clock may have been
    /// set, and the steady clock may stand still while the machine sleeps.
    fn elapsed(self) -> (Duration, Duration) {
        let steady = self.steady.elapsed();
        let wall = self.wall.elapsed().unwrap_or_default();
        (steady.min(wall), steady.max(wall))
    }
}

/// The service's time, as the last response with a date gave it.
#[derive(Default)]
pub(crate) struct ServiceClock(Mutex<Option<(SystemTime, Moment)>>);

impl ServiceClock {
    pub(crate) fn set(&self, date: SystemTime) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((date, Moment::now()));
    }

    /// Two times of the service's clock, one before `moment` and one after now; `None` before the
    /// first date, which is in whole seconds.
    pub(crate) fn since(&self, moment: Moment) -> Option<(SystemTime, SystemTime)> {
        let (date, read) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let (shortest, longest) = read.elapsed();
        let begun = (date + shortest).checked_sub(moment.elapsed().1)?;
        Some((begun, date + longest + Duration::from_secs(1)))
    }
}
