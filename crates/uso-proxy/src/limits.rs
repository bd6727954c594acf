//! How much a caller may ask for: requests a minute, and estimated money a day.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use uso_transport::MicroDollars;

use crate::caller::Caller;

const MINUTE: Duration = Duration::from_secs(60);

/// Money is counted by the hour: the running hour and the day before it.
const SLOT: Duration = Duration::from_secs(3600);
const SLOTS: usize = 25;

/// Accounts that are kept before the idle ones are looked for.
const FEW: usize = 1024;

pub(crate) struct Limits {
    requests_per_minute: u32,
    spending_per_day: MicroDollars,
    started: Instant,
    accounts: Mutex<Accounts>,
}

#[derive(Default)]
struct Accounts {
    of: HashMap<Caller, Account>,
    tidy_at: usize,
}

struct Account {
    /// When the requests so far are used up at the even rate.
    used_up_at: Instant,
    /// Micro-dollars of each hour, the hour's number modulo the length.
    spent: [u64; SLOTS],
    /// The newest hour that has been counted in.
    hour: u64,
}

/// Money that was set aside for a purchase, and in which hour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetAside {
    amount: MicroDollars,
    hour: u64,
}

/// Why money was not set aside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OverLimit {
    /// There is room again after this time.
    Until(Duration),
    /// It alone is more than the limit.
    Always,
}

impl Limits {
    pub(crate) fn new(
        requests_per_minute: u32,
        spending_per_day: MicroDollars,
        now: Instant,
    ) -> Self {
        Self {
            requests_per_minute: requests_per_minute.max(1),
            spending_per_day,
            started: now,
            accounts: Mutex::default(),
        }
    }

    pub(crate) fn spending_per_day(&self) -> MicroDollars {
        self.spending_per_day
    }

    pub(crate) fn requests_per_minute(&self) -> u32 {
        self.requests_per_minute
    }

    /// Counts a request, or says when there is room for it.
    pub(crate) fn request(&self, caller: &Caller, now: Instant) -> Result<(), Duration> {
        let share = MINUTE / self.requests_per_minute;
        self.with(caller, now, |account| {
            let used_up_at = account.used_up_at.max(now) + share;
            let ahead = used_up_at.saturating_duration_since(now);
            if ahead > MINUTE {
                return Err(ahead - MINUTE);
            }
            account.used_up_at = used_up_at;
            Ok(())
        })
    }

    /// Sets money aside for a purchase.
    pub(crate) fn set_aside(
        &self,
        caller: &Caller,
        amount: MicroDollars,
        now: Instant,
    ) -> Result<SetAside, OverLimit> {
        let limit = self.spending_per_day.get();
        if amount.get() > limit {
            return Err(OverLimit::Always);
        }
        let hour = self.hour(now);
        self.with(caller, now, |account| {
            let mut total: u64 = account
                .spent
                .iter()
                .fold(0, |sum, s| sum.saturating_add(*s));
            if total.saturating_add(amount.get()) <= limit {
                if let Some(slot) = account.spent.get_mut(place(hour)) {
                    *slot = slot.saturating_add(amount.get());
                }
                return Ok(SetAside { amount, hour });
            }
            // The oldest hours leave first; so many must, that there is room.
            let length = SLOTS as u64;
            let mut leaves = (hour + 1).saturating_sub(length);
            while leaves <= hour {
                let spent = account
                    .spent
                    .get(place(leaves))
                    .copied()
                    .unwrap_or_default();
                total = total.saturating_sub(spent);
                if total.saturating_add(amount.get()) <= limit {
                    break;
                }
                leaves += 1;
            }
            let free_at = SLOT.saturating_mul(u32::try_from(leaves + length).unwrap_or(u32::MAX));
            let elapsed = now.saturating_duration_since(self.started);
            Err(OverLimit::Until(free_at.saturating_sub(elapsed)))
        })
    }

    /// Gives back what was set aside for a purchase that did not come about.
    pub(crate) fn give_back(&self, caller: &Caller, set_aside: SetAside, now: Instant) {
        self.with(caller, now, |account| {
            let is_counted = account.hour.saturating_sub(set_aside.hour) < SLOTS as u64;
            if let Some(slot) = account.spent.get_mut(place(set_aside.hour))
                && is_counted
            {
                *slot = slot.saturating_sub(set_aside.amount.get());
            }
        });
    }

    fn hour(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs() / SLOT.as_secs()
    }

    fn with<T>(&self, caller: &Caller, now: Instant, work: impl FnOnce(&mut Account) -> T) -> T {
        let hour = self.hour(now);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.tidy(hour, now);
        let account = accounts
            .of
            .entry(caller.clone())
            .or_insert_with(|| Account {
                used_up_at: now,
                spent: [0; SLOTS],
                hour,
            });
        account.turn_to(hour);
        work(account)
    }

    #[cfg(test)]
    fn accounts(&self) -> usize {
        self.accounts.lock().unwrap().of.len()
    }
}

impl Accounts {
    /// Forgets the accounts that are as good as new, each time there are twice as many.
    fn tidy(&mut self, hour: u64, now: Instant) {
        if self.of.len() < self.tidy_at.max(FEW) {
            return;
        }
        self.of.retain(|_, account| {
            account.turn_to(hour);
            account.used_up_at > now || account.spent.iter().any(|spent| *spent > 0)
        });
        self.tidy_at = self.of.len() * 2;
    }
}

impl Account {
    /// Empties the hours that have passed since the account was last looked at.
    fn turn_to(&mut self, hour: u64) {
        let passed = hour.saturating_sub(self.hour).min(SLOTS as u64);
        for step in 0..passed {
            if let Some(slot) = self.spent.get_mut(place(hour - step)) {
                *slot = 0;
            }
        }
        self.hour = self.hour.max(hour);
    }
}

fn place(hour: u64) -> usize {
    usize::try_from(hour % SLOTS as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(requests: u32, micro_dollars: u64) -> (Limits, Instant) {
        let now = Instant::now();
        (
            Limits::new(requests, MicroDollars::new(micro_dollars), now),
            now,
        )
    }

    fn caller(name: &str) -> Caller {
        Caller::new(name)
    }

    #[test]
    fn a_minutes_requests_may_come_at_once_and_then_at_the_even_rate() {
        let (limits, now) = limits(60, 1);
        let a = caller("a");
        assert!((0..60).all(|_| limits.request(&a, now).is_ok()));
        assert_eq!(limits.request(&a, now), Err(Duration::from_secs(1)));
        assert_eq!(limits.request(&caller("b"), now), Ok(()), "others are free");
        let later = now + Duration::from_secs(1);
        assert_eq!(limits.request(&a, later), Ok(()));
        assert!(limits.request(&a, later).is_err());
    }

    #[test]
    fn in_no_day_is_more_spent_than_the_limit() {
        let (limits, start) = limits(60, 100);
        let a = caller("a");
        let hours = |hours: u64| start + SLOT * u32::try_from(hours).unwrap();
        let spend = |amount: u64, at: Instant| {
            limits
                .set_aside(&a, MicroDollars::new(amount), at)
                .map(drop)
        };
        assert_eq!(spend(101, start), Err(OverLimit::Always));
        assert_eq!(spend(60, start), Ok(()));
        assert_eq!(spend(40, hours(5)), Ok(()));
        let wait = |hours: u64| Err(OverLimit::Until(SLOT * u32::try_from(hours).unwrap()));
        // The first hour's money leaves a day after that hour has ended.
        assert_eq!(spend(1, hours(5)), wait(20));
        assert_eq!(spend(60, hours(24)), wait(1));
        assert_eq!(spend(60, hours(25)), Ok(()));
        assert_eq!(spend(1, hours(25)), wait(5));
        assert_eq!(
            spend(41, hours(25)),
            wait(25),
            "both the others have to leave"
        );
        assert_eq!(spend(100, hours(1000)), Ok(()));
    }

    #[test]
    fn what_is_given_back_can_be_spent_again() {
        let (limits, start) = limits(60, 100);
        let a = caller("a");
        let amount = MicroDollars::new(100);
        let set_aside = limits.set_aside(&a, amount, start).unwrap();
        assert!(limits.set_aside(&a, amount, start).is_err());
        limits.give_back(&a, set_aside, start + SLOT);
        let second = limits.set_aside(&a, amount, start + SLOT).unwrap();
        // Too late: its hour is another's by now.
        limits.give_back(&a, set_aside, start + SLOT * 26);
        limits.give_back(&a, second, start + SLOT * 25);
        assert!(limits.set_aside(&a, amount, start + SLOT * 26).is_ok());
    }

    #[test]
    fn idle_accounts_are_forgotten() {
        let (limits, start) = limits(60, 100);
        for index in 0..5000 {
            let at = start + Duration::from_millis(100) * index;
            limits.request(&caller(&index.to_string()), at).unwrap();
        }
        assert!(limits.accounts() < 2 * FEW, "{}", limits.accounts());
    }
}
