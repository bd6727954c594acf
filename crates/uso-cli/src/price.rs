//! Prices and bills in the words of a person, and as JSON.

use serde_json::{Value, json};
use uso::{Estimate, MicroDollars};

/// The published price; fal does not publish how it rounds megapixels.
pub(crate) const PUBLISHED: &str = "$0.10 a megapixel of output";

/// An amount to the cent, or to a tenth of a cent below ten cents, as `$0.31` and `$0.041`.
pub(crate) fn rounded(amount: MicroDollars) -> String {
    let step: u64 = if amount.get() < 99_500 { 1_000 } else { 10_000 };
    let units = amount.get().saturating_add(step / 2) / step;
    MicroDollars::new(units.saturating_mul(step)).to_string()
}

/// What a request makes and costs, in one line.
pub(crate) fn line(estimate: &Estimate) -> String {
    let count = match estimate.images {
        1 => "1 picture".to_owned(),
        several => format!("{several} pictures"),
    };
    match (estimate.size, estimate.price()) {
        (Some((width, height)), Some(price)) => {
            format!("{count} of {width}x{height}, about {}", rounded(price))
        }
        _ => format!(
            "{count} in the size of the content picture, which only the service sees; the price is {PUBLISHED}"
        ),
    }
}

/// What the service billed, in one line; nothing where the service did not say.
pub(crate) fn bill_line(units: Option<&str>) -> Option<String> {
    let (megapixels, price) = read(units?)?;
    Some(format!(
        "billed {megapixels:.2} MP, about {}",
        rounded(price)
    ))
}

pub(crate) fn to_json(estimate: &Estimate) -> Value {
    json!({
        "images": estimate.images,
        "width": estimate.size.map(|(width, _)| width),
        "height": estimate.size.map(|(_, height)| height),
        "pixels": estimate.pixels(),
        "micro_dollars": estimate.price().map(MicroDollars::get),
        "dollars": estimate.price().map(dollars),
    })
}

pub(crate) fn bill_to_json(units: Option<&str>) -> Value {
    match units.and_then(read) {
        Some((megapixels, price)) => json!({
            "megapixels": megapixels,
            "micro_dollars": price.get(),
            "dollars": dollars(price),
        }),
        None => Value::Null,
    }
}

pub(crate) fn dollars(amount: MicroDollars) -> f64 {
    // An amount that a picture can cost is exact in a double.
    amount.get() as f64 / 1e6
}

/// Megapixels, and their price.
fn read(units: &str) -> Option<(f64, MicroDollars)> {
    let megapixels: f64 = units.trim().parse().ok()?;
    let is_plausible = (0.0..1e6).contains(&megapixels);
    is_plausible.then(|| {
        let pixels = (megapixels * 1e6).round() as u64;
        (megapixels, MicroDollars::for_pixels(pixels))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_for_people() {
        let shown = |micro| rounded(MicroDollars::new(micro));
        assert_eq!(shown(0), "$0.00");
        assert_eq!(shown(4_100), "$0.004");
        assert_eq!(shown(99_499), "$0.099");
        assert_eq!(shown(99_500), "$0.10");
        assert_eq!(shown(104_858), "$0.10");
        assert_eq!(shown(314_573), "$0.31");
        assert_eq!(shown(1_258_292), "$1.26");
    }

    #[test]
    fn a_bill_is_told_where_the_service_gives_one() {
        assert_eq!(
            bill_line(Some("3.145728")).unwrap(),
            "billed 3.15 MP, about $0.31"
        );
        for unusable in [
            None,
            Some(""),
            Some("abc"),
            Some("-1"),
            Some("inf"),
            Some("nan"),
        ] {
            assert_eq!(bill_line(unusable), None, "{unusable:?}");
        }
    }
}
