//! Knowledge about the bill for an attempt.

use serde::Serialize;

use crate::money::MicroDollars;

/// Knowledge about the bill for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Billed {
    /// Proved free: the service named zero billable units, or said that the job never started.
    Free,
    /// The service named billable units above zero.
    Something,
    /// The service named no billable units, or a text that is no decimal number.
    Unknown,
}

impl Billed {
    /// Knowledge from `X-Fal-Billable-Units`.
    pub(crate) fn read(units: Option<&str>) -> Self {
        match units.and_then(BillableUnits::parse) {
            Some(BillableUnits(0)) => Self::Free,
            Some(_) => Self::Something,
            None => Self::Unknown,
        }
    }
}

/// Digits of a fraction that count; what is beyond them is rounded up.
const DIGITS: usize = 18;

/// Number of billable units, in parts of 10^-18.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BillableUnits(u128);

impl BillableUnits {
    /// Reads a plain decimal number, such as `0`, `0.0` or `1.05`. Anything else proves nothing.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let (digits, rest) = fraction.split_at_checked(DIGITS).unwrap_or((fraction, ""));
        let units: u128 = format!("{whole}{digits:0<DIGITS$}").parse().ok()?;
        let is_more = rest.bytes().any(|digit| digit != b'0');
        units.checked_add(u128::from(is_more)).map(Self)
    }

    /// Price at this price of a unit, rounded up; `None` when the number is too large.
    pub(crate) fn at(self, unit: MicroDollars) -> Option<MicroDollars> {
        let product = self.0.checked_mul(u128::from(unit.get()))?;
        let price = product.div_ceil(10_u128.pow(18));
        u64::try_from(price).ok().map(MicroDollars::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_decimal_number_is_a_bill_and_the_bill_is_exact() {
        let megapixel = MicroDollars::for_pixels(1_000_000);
        let of = |text| {
            let price = BillableUnits::parse(text).and_then(|units| units.at(megapixel));
            price.map(MicroDollars::get)
        };
        for (text, price) in [
            ("1.048576", 104_858),
            (" 2 ", 200_000),
            ("0.000001", 1),
            ("0.00001000000000000000000", 1),
            ("0.00001000000000000000001", 2),
        ] {
            assert_eq!(of(text), Some(price), "{text}");
            assert_eq!(Billed::read(Some(text)), Billed::Something, "{text}");
        }
        for free in ["0", "0.0", "000.000000000000000000000"] {
            assert_eq!(of(free), Some(0), "{free}");
            assert_eq!(Billed::read(Some(free)), Billed::Free, "{free}");
        }
        for odd in [
            "", ".", ".5", "0.", "1.", "1,05", "0, 0", "abc", "1.05 MP", "0x1", "1_0", "-1", "1e3",
            "NaN",
        ] {
            assert_eq!(BillableUnits::parse(odd), None, "{odd}");
            assert_eq!(Billed::read(Some(odd)), Billed::Unknown, "{odd}");
        }
        assert_eq!(of("99999999999999999999"), None);
    }
}
