//! Prices, upper bounds and bills, in whole micro-dollars.

use serde::{Deserialize, Serialize};
use uso::{Estimate, MicroDollars};

/// Pixels of a megapixel, as the published price counts them.
const MEGAPIXEL: u64 = 1_000_000;

/// Pixels of a picture whose size only the service knows: that of a content picture which is kept.
/// The service takes content pictures of at most 2048 by 2048.
const LARGEST: u64 = 2048 * 2048;

/// Price of a megapixel of output, and the day on which it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitPrice {
    micro_dollars: u64,
    /// Year, month and day.
    date: (u16, u8, u8),
}

impl UnitPrice {
    /// The published price of `fal-ai/uso`, as it was read on 26 November 2026. An account may have
    /// a discount.
    pub fn published() -> Self {
        Self {
            micro_dollars: MicroDollars::for_pixels(MEGAPIXEL).get(),
            date: (2026, 11, 26),
        }
    }

    /// Another price of a megapixel, and the day on which it was read, as `YYYY-MM-DD`; `None` when
    /// the day is none.
    pub fn new(megapixel: MicroDollars, date: &str) -> Option<Self> {
        let mut parts = date.split('-');
        let year = parts.next()?.parse().ok()?;
        let month = parts
            .next()?
            .parse()
            .ok()
            .filter(|month| (1..=12).contains(month))?;
        let day = parts
            .next()?
            .parse()
            .ok()
            .filter(|day| (1..=31).contains(day))?;
        parts.next().is_none().then_some(Self {
            micro_dollars: megapixel.get(),
            date: (year, month, day),
        })
    }

    /// Price of a megapixel.
    pub fn megapixel(self) -> MicroDollars {
        MicroDollars::new(self.micro_dollars)
    }

    /// The day on which the price was read, as `YYYY-MM-DD`.
    pub fn date(self) -> String {
        let (year, month, day) = self.date;
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// Price of a number of pixels, rounded up.
    fn of_pixels(self, pixels: u64) -> MicroDollars {
        let product = u128::from(pixels) * u128::from(self.micro_dollars);
        MicroDollars::new(
            u64::try_from(product.div_ceil(u128::from(MEGAPIXEL))).unwrap_or(u64::MAX),
        )
    }
}

/// Price of a request before it is bought. Every cap is compared with [`Quote::bound`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quote {
    /// The price of a megapixel that the quote uses.
    #[serde(rename = "unit_price")]
    pub unit: Option<UnitPrice>,
    /// Expected price; `None` where only the service knows the size.
    pub estimate: Option<MicroDollars>,
    /// Upper bound of the price; `None` where no price is known.
    pub bound: Option<MicroDollars>,
}

impl Quote {
    /// The quote of an estimate. The bound counts at least one megapixel a picture: how the service
    /// rounds is not published, and a tiny picture may be billed as one.
    pub fn new(estimate: &Estimate, unit: Option<UnitPrice>) -> Self {
        let images = u64::from(estimate.images);
        let each = estimate
            .size
            .map(|(width, height)| u64::from(width) * u64::from(height));
        let most = each
            .unwrap_or(LARGEST)
            .max(MEGAPIXEL)
            .saturating_mul(images);
        let exact = each.map(|each| each.saturating_mul(images));
        Self {
            unit,
            estimate: unit.zip(exact).map(|(unit, pixels)| unit.of_pixels(pixels)),
            bound: unit.map(|unit| unit.of_pixels(most)),
        }
    }
}

/// Caps of an account, and what counts against them: bills, and upper bounds of what is not billed
/// yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Cap of any 24 hours, by the database's clock.
    pub day_cap: Option<MicroDollars>,
    /// Money that counts against the cap of the day now.
    pub day_committed: MicroDollars,
    /// Cap of everything.
    pub total_cap: Option<MicroDollars>,
    /// Money that counts against the total cap now.
    pub total_committed: MicroDollars,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(size: Option<(u32, u32)>, images: u32) -> Quote {
        // The type can only be made by an estimate of a request.
        let mut made =
            futures_now(uso::Request::subject("https://example.org/a.png", "x").estimate());
        made.size = size;
        made.images = images;
        Quote::new(&made, Some(UnitPrice::published()))
    }

    fn futures_now<T>(future: impl Future<Output = uso::Result<T>>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(future).unwrap()
    }

    #[test]
    fn the_bound_counts_a_megapixel_a_picture_at_least() {
        let tiny = estimate(Some((48, 32)), 4);
        assert_eq!(tiny.bound, Some(MicroDollars::new(400_000)));
        assert_eq!(tiny.estimate, Some(MicroDollars::new(615)));
        let large = estimate(Some((1024, 1024)), 2);
        assert_eq!(large.bound, Some(MicroDollars::new(209_716)));
        let unseen = estimate(None, 1);
        assert_eq!(unseen.estimate, None);
        assert_eq!(unseen.bound, Some(MicroDollars::new(419_431)));
    }

    #[test]
    fn a_price_has_a_day() {
        let price = UnitPrice::new(MicroDollars::new(50_000), "2027-02-01").unwrap();
        assert_eq!(price.date(), "2027-02-01");
        assert_eq!(UnitPrice::new(MicroDollars::new(1), "2027-13-01"), None);
        assert_eq!(UnitPrice::new(MicroDollars::new(1), "tomorrow"), None);
    }
}
