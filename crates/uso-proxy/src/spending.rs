//! Money that one caller has spent in the last 24 hours.

use std::time::Duration;

use uso_transport::MicroDollars;

use crate::records::NotBegun;

/// Money is counted by the hour: the current hour and the 24 before it.
const HOUR: Duration = Duration::from_secs(3600);
const HOURS: usize = 25;

/// Sums of the last hours.
#[derive(Debug, Default)]
pub(crate) struct Spending {
    /// Micro-dollars by the number of the hour modulo the length.
    sums: [u64; HOURS],
    /// The newest hour that was counted in.
    newest: u64,
}

impl Spending {
    /// Reserves money, `elapsed` since the start of the records, and returns the hour to give it
    /// back to.
    pub(crate) fn reserve(
        &mut self,
        amount: MicroDollars,
        limit: MicroDollars,
        elapsed: Duration,
    ) -> Result<u64, NotBegun> {
        let (amount, limit) = (amount.get(), limit.get());
        if amount > limit {
            return Err(NotBegun::TooDear);
        }
        let hour = self.turn_to(elapsed);
        let fits = |total: u64| total.saturating_add(amount) <= limit;
        let mut total = self
            .sums
            .iter()
            .fold(0, |sum: u64, s| sum.saturating_add(*s));
        if fits(total) {
            let sum = self.sum(hour);
            *sum = sum.saturating_add(amount);
            return Ok(hour);
        }
        // The oldest hours leave first; as many must leave as make room.
        let length = HOURS as u64;
        let mut leaves = (hour + 1).saturating_sub(length);
        while leaves <= hour {
            total = total.saturating_sub(*self.sum(leaves));
            if fits(total) {
                break;
            }
            leaves += 1;
        }
        let free_at = HOUR.saturating_mul(u32::try_from(leaves + length).unwrap_or(u32::MAX));
        Err(NotBegun::Spent(free_at.saturating_sub(elapsed)))
    }

    /// Gives back the money of a purchase that was not bought.
    pub(crate) fn give_back(&mut self, amount: MicroDollars, hour: u64, elapsed: Duration) {
        let now = self.turn_to(elapsed);
        if now.saturating_sub(hour) < HOURS as u64 {
            let sum = self.sum(hour);
            *sum = sum.saturating_sub(amount.get());
        }
    }

    /// Whether no money of the last 24 hours is counted.
    pub(crate) fn is_empty(&mut self, elapsed: Duration) -> bool {
        self.turn_to(elapsed);
        self.sums.iter().all(|sum| *sum == 0)
    }

    /// Clears the hours that have passed since the last use, and returns the current hour.
    fn turn_to(&mut self, elapsed: Duration) -> u64 {
        let hour = elapsed.as_secs() / HOUR.as_secs();
        let passed = hour.saturating_sub(self.newest).min(HOURS as u64);
        for step in 0..passed {
            *self.sum(hour - step) = 0;
        }
        self.newest = self.newest.max(hour);
        hour
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder is below the length")]
    fn sum(&mut self, hour: u64) -> &mut u64 {
        &mut self.sums[usize::try_from(hour % HOURS as u64).unwrap_or_default()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reserve(spending: &mut Spending, amount: u64, hours: u32) -> Result<u64, NotBegun> {
        spending.reserve(
            MicroDollars::new(amount),
            MicroDollars::new(100),
            HOUR * hours,
        )
    }

    #[test]
    fn in_no_day_is_more_spent_than_the_limit() {
        let mut spending = Spending::default();
        let mut spend = |amount, hours| reserve(&mut spending, amount, hours).map(drop);
        assert_eq!(spend(101, 0), Err(NotBegun::TooDear));
        assert_eq!(spend(60, 0), Ok(()));
        assert_eq!(spend(40, 5), Ok(()));
        let wait = |hours: u32| Err(NotBegun::Spent(HOUR * hours));
        // The first hour's money leaves a day after that hour has ended.
        assert_eq!(spend(1, 5), wait(20));
        assert_eq!(spend(60, 24), wait(1));
        assert_eq!(spend(60, 25), Ok(()));
        assert_eq!(spend(1, 25), wait(5));
        assert_eq!(spend(41, 25), wait(25), "both the others have to leave");
        assert_eq!(spend(100, 1000), Ok(()));
    }

    #[test]
    fn money_that_is_given_back_can_be_spent_again() {
        let mut spending = Spending::default();
        let amount = MicroDollars::new(100);
        let first = reserve(&mut spending, 100, 0).unwrap();
        assert!(reserve(&mut spending, 100, 0).is_err());
        spending.give_back(amount, first, HOUR);
        let second = reserve(&mut spending, 100, 1).unwrap();
        spending.give_back(amount, second, HOUR * 25);
        assert!(spending.is_empty(HOUR * 25));
        // Too late: by now the place of the first hour is that of another one.
        reserve(&mut spending, 100, 25).unwrap();
        spending.give_back(amount, first, HOUR * 25);
        assert!(reserve(&mut spending, 1, 25).is_err());
    }
}
