//! States of a purchase and the steps between them: a pure table, without input or output.

use std::fmt;

use serde::{Deserialize, Serialize};

/// State of a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// Known, and not begun: nothing was sent and no money is reserved.
    Pending,
    /// The upper bound of its price is reserved; nothing was sent.
    Reserved,
    /// The submit is about to leave or has left; its outcome is not recorded yet.
    Sending,
    /// Bought: the service accepted the submit, and its request id is recorded.
    Submitted,
    /// Closed: every picture is whole on disk.
    Done,
    /// Closed: nothing was bought, the job failed, or the purchase was written off.
    Failed,
    /// The submit left and its outcome is not known: it may have been bought.
    Unknown,
    /// Closed: the job was cancelled, or was withdrawn before anything was sent.
    Cancelled,
    /// Closed: bought for the caller of a proxy, who collects the pictures; none is on this disk.
    HandedOver,
}

impl State {
    /// Every state, in the order of a purchase's life.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Reserved,
        Self::Sending,
        Self::Submitted,
        Self::Done,
        Self::Failed,
        Self::Unknown,
        Self::Cancelled,
        Self::HandedOver,
    ];

    /// The state's name in lower case, as it stands in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Reserved => "reserved",
            Self::Sending => "sending",
            Self::Submitted => "submitted",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
            Self::HandedOver => "handed_over",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether the purchase has ended. A closed purchase can be reopened.
    pub fn is_closed(self) -> bool {
        matches!(
            self,
            Self::Done | Self::Failed | Self::Cancelled | Self::HandedOver
        )
    }

    /// Whether the service may have been paid: the submit left, and nothing proves that it was
    /// refused.
    pub fn may_be_bought(self) -> bool {
        matches!(
            self,
            Self::Sending | Self::Submitted | Self::Unknown | Self::Done | Self::HandedOver
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Kind of a step from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Move {
    /// The budget has room for it.
    Reserve,
    /// The work on it stops before anything was sent.
    Release,
    /// The submit is about to leave.
    Send,
    /// The service accepted the submit.
    Accept,
    /// The service accepted the submit of an earlier attempt; the current one bought nothing.
    AcceptEarlier,
    /// The submit provably bought nothing.
    Refuse,
    /// The outcome of the submit is not known.
    Lose,
    /// Every picture is whole on disk.
    Finish,
    /// The caller of a proxy has its request id.
    HandOver,
    /// The service says that the job failed.
    Fail,
    /// The service says that the job was cancelled.
    Cancel,
    /// The owner withdraws it before anything was sent.
    Withdraw,
    /// The batch that offered it asks for it no longer.
    TakeBack,
    /// The owner gives it up.
    WriteOff,
    /// The owner asks for a new attempt.
    Retry,
    /// The owner wants it collected again; its request id is known.
    ReopenBought,
    /// The owner wants it looked up again; only its intent is known.
    ReopenUnknown,
}

impl Move {
    #[cfg(test)]
    const ALL: [Self; 17] = [
        Self::Reserve,
        Self::Release,
        Self::Send,
        Self::Accept,
        Self::AcceptEarlier,
        Self::Refuse,
        Self::Lose,
        Self::Finish,
        Self::HandOver,
        Self::Fail,
        Self::Cancel,
        Self::Withdraw,
        Self::TakeBack,
        Self::WriteOff,
        Self::Retry,
        Self::ReopenBought,
        Self::ReopenUnknown,
    ];
}

impl State {
    /// The state after a step; `None` where the step is not allowed.
    pub(crate) fn after(self, step: Move) -> Option<Self> {
        use Move as M;
        Some(match (self, step) {
            (Self::Pending, M::Reserve) => Self::Reserved,
            (Self::Reserved, M::Release) => Self::Pending,
            (Self::Reserved, M::Send) => Self::Sending,
            // Found by a notification or in the account's listing, also long afterwards.
            (Self::Sending | Self::Unknown | Self::Failed | Self::Cancelled, M::Accept) => {
                Self::Submitted
            }
            // Of a proxy, the proof may come after another proxy took the row for one of a dead process.
            (Self::Reserved | Self::Sending | Self::Unknown, M::Refuse) => Self::Failed,
            (Self::Pending | Self::Reserved | Self::Failed | Self::Cancelled, M::AcceptEarlier) => {
                Self::Submitted
            }
            (Self::Sending, M::Lose) => Self::Unknown,
            (Self::Submitted, M::Finish) => Self::Done,
            (Self::Sending | Self::Unknown, M::HandOver) => Self::HandedOver,
            (Self::Submitted, M::Fail) => Self::Failed,
            (Self::Submitted, M::Cancel) => Self::Cancelled,
            (Self::Pending | Self::Reserved, M::Withdraw) => Self::Cancelled,
            (Self::Pending, M::TakeBack) => Self::Failed,
            (Self::Unknown | Self::Submitted, M::WriteOff) => Self::Failed,
            (Self::Failed | Self::Cancelled, M::Retry) => Self::Pending,
            (Self::Done | Self::Failed | Self::Cancelled | Self::HandedOver, M::ReopenBought) => {
                Self::Submitted
            }
            (Self::Failed | Self::Cancelled, M::ReopenUnknown) => Self::Unknown,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_moves() -> impl Strategy<Value = Vec<Move>> {
        let any = (0..Move::ALL.len()).prop_map(|index| Move::ALL[index]);
        prop::collection::vec(any, 0..60)
    }

    proptest! {
        /// A submit leaves once for each time that the owner asked for an attempt.
        #[test]
        fn no_sequence_of_steps_sends_twice_without_a_retry(moves in any_moves()) {
            let (mut state, mut sent, mut allowed) = (State::Pending, 0, 1);
            for step in moves {
                let Some(next) = state.after(step) else { continue };
                sent += usize::from(step == Move::Send);
                allowed += usize::from(step == Move::Retry);
                state = next;
                prop_assert!(sent <= allowed, "{step:?}");
            }
        }
    }

    #[test]
    fn what_may_be_bought_never_goes_back_to_a_state_that_sends() {
        for state in State::ALL.into_iter().filter(|state| state.may_be_bought()) {
            for step in Move::ALL {
                let next = state.after(step);
                assert!(
                    !matches!(next, Some(State::Pending | State::Reserved)),
                    "{state} {step:?}"
                );
            }
        }
    }

    #[test]
    fn every_closed_state_can_be_left_and_every_state_can_be_reached() {
        let mut reached = vec![State::Pending];
        let mut next = 0;
        while let Some(state) = reached.get(next).copied() {
            next += 1;
            for step in Move::ALL {
                reached.extend(state.after(step).filter(|state| !reached.contains(state)));
            }
        }
        assert_eq!(reached.len(), State::ALL.len());
        for state in State::ALL.into_iter().filter(|state| state.is_closed()) {
            assert_eq!(state.after(Move::ReopenBought), Some(State::Submitted));
        }
    }

    #[test]
    fn names_are_read_back() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.as_str()), Some(state));
        }
    }
}
