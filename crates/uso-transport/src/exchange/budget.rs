//! Retry budget: how many repeats all requests of a client may make together.

use std::sync::{Mutex, PoisonError};

/// Retry budget that all requests of a client share, so that an outage does not become a storm:
/// each request adds a fraction of a repeat, and each repeat takes one.
#[derive(Debug)]
pub(crate) struct Budget(Mutex<f64>);

impl Budget {
    const FULL: f64 = 100.0;
    const FOR_EACH_REQUEST: f64 = 0.2;

    pub(crate) fn earn(&self) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *left = (*left + Self::FOR_EACH_REQUEST).min(Self::FULL);
    }

    /// Whether there is a repeat left; it is then taken.
    pub(crate) fn spend(&self) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = *left >= 1.0;
        if enough {
            *left -= 1.0;
        }
        enough
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self(Mutex::new(Self::FULL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_uses_the_shared_repeats_up_and_requests_earn_them_back() {
        let budget = Budget::default();
        let repeats = std::iter::repeat_with(|| budget.spend())
            .take_while(|left| *left)
            .count();
        assert_eq!(repeats, 100);
        (0..11).for_each(|_| budget.earn());
        assert!(budget.spend() && budget.spend() && !budget.spend());
    }
}
