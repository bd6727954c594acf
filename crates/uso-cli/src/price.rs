//! Prices and bills in the words of a person, and as JSON.

use serde_json::{Value, json};
use uso::{Estimate, MicroDollars};
use uso_journal::{Cost, Quote, UnitPrice};

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
    let bound = quote(estimate).bound.map(rounded).unwrap_or_default();
    let count = match estimate.images {
        1 => "1 picture".to_owned(),
        several => format!("{several} pictures"),
    };
    match (estimate.size, estimate.price()) {
        (Some((width, height)), Some(price)) => {
            let price = rounded(price);
            match price == bound {
                true => format!("{count} of {width}x{height}, about {price}"),
                false => format!("{count} of {width}x{height}, about {price}, at most {bound}"),
            }
        }
        _ => format!(
            "{count} in the size of the content picture, which only the service sees; the price is {PUBLISHED}, at most {bound}"
        ),
    }
}

/// What the service billed, in one line; nothing where the service did not say.
pub(crate) fn bill_line(cost: &Cost) -> Option<String> {
    let billed = cost.billed?;
    let price = rounded(billed);
    Some(match megapixels(cost) {
        Some(megapixels) => format!("billed {megapixels:.2} MP, about {price}"),
        None => format!("billed about {price}"),
    })
}

/// The expected price and its upper bound, which every limit is compared with.
pub(crate) fn quote(estimate: &Estimate) -> Quote {
    Quote::new(estimate, Some(UnitPrice::published()))
}

pub(crate) fn to_json(estimate: &Estimate) -> Value {
    json!({
        "images": estimate.images,
        "width": estimate.size.map(|(width, _)| width),
        "height": estimate.size.map(|(_, height)| height),
        "pixels": estimate.pixels(),
        "micro_dollars": estimate.price().map(MicroDollars::get),
        "dollars": estimate.price().map(dollars),
        "at_most_micro_dollars": quote(estimate).bound.map(MicroDollars::get),
    })
}

pub(crate) fn bill_to_json(cost: &Cost) -> Value {
    match cost.billed {
        Some(billed) => json!({
            "megapixels": megapixels(cost),
            "micro_dollars": billed.get(),
            "dollars": dollars(billed),
        }),
        None => Value::Null,
    }
}

pub(crate) fn dollars(amount: MicroDollars) -> f64 {
    // An amount that a picture can cost is exact in a double.
    amount.get() as f64 / 1e6
}

/// The megapixels of a bill, as far as its price tells them.
fn megapixels(cost: &Cost) -> Option<f64> {
    let unit = cost.unit_price?.megapixel();
    let billed = cost.billed?;
    (unit.get() > 0).then(|| dollars(billed) / dollars(unit))
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
}
