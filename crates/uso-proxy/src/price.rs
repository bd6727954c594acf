//! What an input will cost at the most, read from its JSON as forgivingly as the service reads it.

use serde_json::{Map, Value};
use uso_transport::MicroDollars;
use uso_types::{ImageSize, ImageSizePreset, UsoInput};

/// Pixels of a picture whose size only the service knows: that of a content picture which is kept,
/// or a preset of a newer schema. A content picture of 2048 by 2048 is the largest that the
/// service was seen to take.
const UNKNOWN_SIZE: u64 = 2048 * 2048;

/// The estimated price of an input of `fal-ai/uso`.
///
/// The service takes `"2"` and `2.0` for 2, so both count here as well; what it would refuse is
/// counted as the most that it could mean, since a refusal is not billed but a guess might be.
pub(crate) fn estimate(input: &Map<String, Value>) -> MicroDollars {
    let images = match input.get("num_images") {
        None | Some(Value::Null) => u64::from(UsoInput::NUM_IMAGES_DEFAULT),
        Some(given) => number(given).unwrap_or(u64::from(UsoInput::NUM_IMAGES_MAX)),
    };
    let mut pixels = pixels(input.get("image_size"));
    if input.get("keep_size").is_some_and(may_be_true) {
        pixels = pixels.max(UNKNOWN_SIZE);
    }
    MicroDollars::for_pixels(pixels.saturating_mul(images))
}

fn pixels(size: Option<&Value>) -> u64 {
    let default = UsoInput::IMAGE_SIZE_DEFAULT.dimensions();
    let known = match size {
        None | Some(Value::Null) => default.map(area),
        Some(Value::String(preset)) => preset
            .parse::<ImageSizePreset>()
            .ok()
            .and_then(ImageSizePreset::dimensions)
            .map(area),
        Some(Value::Object(sides)) => {
            let side = |name: &str, default: u32| match sides.get(name) {
                None | Some(Value::Null) => Some(u64::from(default)),
                Some(side) => number(side),
            };
            let width = side("width", ImageSize::WIDTH_DEFAULT);
            let height = side("height", ImageSize::HEIGHT_DEFAULT);
            width.zip(height).map(|(w, h)| w.saturating_mul(h))
        }
        Some(_) => None,
    };
    known.unwrap_or(UNKNOWN_SIZE)
}

fn area((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

/// A whole number, also as text or with a point; a negative one is none.
fn number(value: &Value) -> Option<u64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        Value::Bool(one) => return Some(u64::from(*one)),
        _ => return None,
    };
    if let Ok(whole) = text.parse::<u64>() {
        return Some(whole);
    }
    let number = text.parse::<f64>().ok().filter(|number| *number >= 0.0)?;
    // A conversion from a float saturates, and more than a dollar amount can hold is refused later.
    Some(number.ceil() as u64)
}

fn may_be_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => {
            let text = text.trim().to_ascii_lowercase();
            !matches!(text.as_str(), "false" | "0" | "no" | "off" | "n" | "f")
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn micro(input: &Value) -> u64 {
        estimate(input.as_object().unwrap()).get()
    }

    #[test]
    fn the_size_the_number_and_their_defaults_make_the_price() {
        assert_eq!(micro(&json!({})), 104_858);
        assert_eq!(micro(&json!({ "num_images": 4 })), 419_431);
        assert_eq!(micro(&json!({ "image_size": "square" })), 26_215);
        let custom = json!({ "image_size": { "width": 1000, "height": 1000 }, "keep_size": false });
        assert_eq!(micro(&custom), 100_000);
        assert_eq!(micro(&json!({ "image_size": { "width": 1000 } })), 51_200);
        assert_eq!(
            micro(&json!({ "image_size": null, "num_images": null })),
            104_858
        );
    }

    #[test]
    fn what_only_the_service_knows_counts_as_the_ceiling() {
        let ceiling = 419_431;
        for input in [
            json!({ "keep_size": true }),
            json!({ "keep_size": "yes", "image_size": "square" }),
            json!({ "keep_size": 1 }),
            json!({ "image_size": "poster" }),
            json!({ "image_size": 7 }),
            json!({ "image_size": { "width": "wide", "height": 1 } }),
        ] {
            assert_eq!(micro(&input), ceiling, "{input}");
        }
    }

    #[test]
    fn no_spelling_of_a_number_is_cheaper_than_its_value() {
        for four in [
            json!(4),
            json!(4.0),
            json!("4"),
            json!(" 4 "),
            json!(3.5),
            json!("many"),
        ] {
            assert_eq!(micro(&json!({ "num_images": four })), 419_431, "{four}");
        }
        let vast = json!({ "image_size": { "width": 1e300, "height": 1e300 }, "num_images": 4 });
        assert_eq!(micro(&vast), MicroDollars::for_pixels(u64::MAX).get());
    }
}
