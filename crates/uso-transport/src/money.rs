//! Money, counted in whole numbers.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

/// The published price of `fal-ai/uso`: $0.10 a megapixel of output.
/// Source: <https://fal.ai/models/fal-ai/uso/llms.txt>. An account may have a discount.
const MICRO_DOLLARS_PER_MEGAPIXEL: u64 = 100_000;

/// Money, as a whole number of millionths of a US dollar.
///
/// ```
/// # use uso_transport::MicroDollars;
/// assert_eq!(MicroDollars::new(104_858).to_string(), "$0.104858");
/// assert_eq!("0.5".parse::<MicroDollars>()?, MicroDollars::new(500_000));
/// # Ok::<(), uso_transport::InvalidAmount>(())
/// ```
///
/// Addition and subtraction saturate: a sum that is too large stays the largest amount, which no
/// budget covers, and a difference is never below zero.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct MicroDollars(u64);

/// A text that is no amount of dollars.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an amount of dollars such as 0.25")]
pub struct InvalidAmount(String);

impl Add for MicroDollars {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for MicroDollars {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for MicroDollars {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for MicroDollars {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

impl MicroDollars {
    /// Amount of this many micro-dollars.
    pub fn new(micro_dollars: u64) -> Self {
        Self(micro_dollars)
    }

    /// The published price of this many pixels of output, rounded up to a millionth of a dollar.
    ///
    /// How the service rounds megapixels is not published, and an account may have a discount.
    pub fn for_pixels(pixels: u64) -> Self {
        let product = u128::from(pixels) * u128::from(MICRO_DOLLARS_PER_MEGAPIXEL);
        Self(u64::try_from(product.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }

    /// The number of millionths of a dollar.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for MicroDollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, fraction) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let digits = format!("{fraction:06}");
        let shown = digits.trim_end_matches('0');
        // Cents are always shown; what is finer only where there is any.
        write!(f, "${dollars}.{shown:0<2}")
    }
}

impl std::str::FromStr for MicroDollars {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        let amount = text.trim().trim_start_matches('$');
        let (dollars, fraction) = amount.split_once('.').unwrap_or((amount, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let well_formed = digits(dollars)
            && digits(fraction)
            && fraction.len() <= 6
            && !amount.is_empty()
            && amount != ".";
        let whole = || {
            if dollars.is_empty() {
                Some(0)
            } else {
                dollars.parse::<u64>().ok()
            }
        };
        let parts = || format!("{fraction:0<6}").parse::<u64>().ok();
        let micro = || whole()?.checked_mul(1_000_000)?.checked_add(parts()?);
        let read = well_formed.then(micro).flatten().map(Self);
        read.ok_or_else(|| InvalidAmount(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_shown_without_floats() {
        let shown = |micro| MicroDollars::new(micro).to_string();
        assert_eq!(shown(0), "$0.00");
        assert_eq!(shown(100_000), "$0.10");
        assert_eq!(shown(1_048_576), "$1.048576");
        let read = |text: &str| text.parse::<MicroDollars>().ok().map(MicroDollars::get);
        assert_eq!(read("0.1"), Some(100_000));
        assert_eq!(read("$12"), Some(12_000_000));
        assert_eq!(read(".5"), Some(500_000));
        for wrong in [
            "",
            ".",
            "-1",
            "1e3",
            "0.1234567",
            "ten",
            "99999999999999999999",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sums_saturate_and_differences_stop_at_zero() {
        let of = MicroDollars::new;
        assert_eq!([of(1), of(2)].into_iter().sum::<MicroDollars>(), of(3));
        assert_eq!(of(u64::MAX) + of(1), of(u64::MAX));
        assert_eq!(of(1) - of(2), MicroDollars::default());
    }

    #[test]
    fn a_price_is_rounded_up_and_never_overflows() {
        let price = |pixels| MicroDollars::for_pixels(pixels).get();
        assert_eq!(price(0), 0);
        assert_eq!(price(1), 1);
        assert_eq!(price(1_000_000), 100_000);
        assert_eq!(price(1024 * 1024), 104_858);
        assert_eq!(price(u64::MAX), u64::MAX / 10 + 1);
    }
}
