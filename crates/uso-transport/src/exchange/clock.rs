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
    pub(crate) fn elapsed(self) -> (Duration, Duration) {
        let steady = self.steady.elapsed();
        let wall = self.wall.elapsed().unwrap_or_default();
        (steady.min(wall), steady.max(wall))
    }
}

/// The service's time, as the last response with a date gave it.
#[derive(Default)]
pub(crate) struct ServiceClock(Mutex<Option<Told>>);

/// A date that was told between the moment at which its request was begun and the one at which the
/// response was read: a response may wait for a machine that sleeps.
#[derive(Clone, Copy)]
struct Told {
    date: SystemTime,
    asked: Moment,
    read: Moment,
}

impl ServiceClock {
    /// Takes the date of the response to a request that was begun at this moment.
    pub(crate) fn set(&self, date: SystemTime, asked: Moment) {
        let read = Moment::now();
        let told = Told { date, asked, read };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }

    /// Two times of the service's clock, one before `moment` and one after now; `None` before the
    /// first date, which is in whole seconds.
    pub(crate) fn since(&self, moment: Moment) -> Option<(SystemTime, SystemTime)> {
        let told = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let (shortest, _) = told.read.elapsed();
        let (_, longest) = told.asked.elapsed();
        let begun = (told.date + shortest).checked_sub(moment.elapsed().1)?;
        Some((begun, told.date + longest + Duration::from_secs(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn ago(time: Duration) -> Moment {
        Moment {
            steady: Instant::now().checked_sub(time).unwrap(),
            wall: SystemTime::now() - time,
        }
    }

    #[test]
    fn a_date_that_waited_to_be_read_may_be_old() {
        let clock = ServiceClock::default();
        assert!(clock.since(Moment::now()).is_none());
        let date = SystemTime::UNIX_EPOCH + 100 * HOUR;
        clock.set(date, ago(HOUR));
        let (begun, now) = clock.since(ago(2 * HOUR)).unwrap();
        assert!(now >= date + HOUR);
        assert!(begun <= date - 2 * HOUR + Duration::from_secs(60));
    }

    #[test]
    fn the_steady_clock_may_have_stood_still_while_the_machine_slept() {
        let slept = Moment {
            wall: SystemTime::now() - HOUR,
            ..Moment::now()
        };
        let clock = ServiceClock::default();
        let date = SystemTime::UNIX_EPOCH + 100 * HOUR;
        clock.set(date, slept);
        let (begun, now) = clock.since(slept).unwrap();
        assert!(now >= date + HOUR);
        assert!(begun <= date - HOUR + Duration::from_secs(60));
    }
}
