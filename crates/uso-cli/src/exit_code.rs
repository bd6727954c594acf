//! Exit codes: each has one meaning, which tells a script what to do next.

pub(crate) const OTHER: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const INPUT: u8 = 3;
pub(crate) const AUTH: u8 = 4;
pub(crate) const LOCKED: u8 = 5;
pub(crate) const OUTCOME_UNKNOWN: u8 = 6;
pub(crate) const DEADLINE: u8 = 7;
pub(crate) const FAILED: u8 = 8;
pub(crate) const BUDGET: u8 = 9;
pub(crate) const FLAGGED: u8 = 10;

/// The worst of several exit codes: first what may cost money unseen, then what needs a person,
/// then what cannot be changed.
pub(crate) fn worst(codes: impl Iterator<Item = u8>) -> u8 {
    const ORDER: [u8; 10] = [
        OUTCOME_UNKNOWN,
        LOCKED,
        AUTH,
        BUDGET,
        DEADLINE,
        FAILED,
        INPUT,
        OTHER,
        FLAGGED,
        0,
    ];
    let rank = |code: &u8| {
        let place = ORDER.iter().position(|known| known == code);
        place.unwrap_or(0)
    };
    codes.min_by_key(rank).unwrap_or(0)
}
