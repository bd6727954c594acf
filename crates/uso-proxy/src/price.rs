//! Price of an input of `fal-ai/uso`, read from the three fields that decide it.
//!
//! The service's framework reads some texts as numbers, `"1_4142"` among them. A value that the
//! service took for a number and the proxy did not would be bought for less than it costs, so only
//! one way of writing each value is accepted.

use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;
use uso_transport::MicroDollars;
use uso_types::{ImageSize, ImageSizePreset, UsoInput};

/// Pixels of a picture whose size only the service knows: that of a content picture that is kept. A
/// content picture of 2048 by 2048 is the largest that the service was seen to take.
const UNKNOWN_SIZE: u64 = 2048 * 2048;

/// The least that a picture counts for the limits, in pixels. How the service rounds is not
/// published; a tiny picture may well be billed as a megapixel.
const LEAST_SIZE: u64 = 1_000_000;

/// The largest float below which every whole number is exact.
const LARGEST_FLOAT: f64 = 9_007_199_254_740_992.0;

/// Bytes of a value that is looked at; an honest one has some thirty.
const LONGEST_VALUE: usize = 1024;

/// Levels of a body; serde_json has the same limit for values that it keeps.
const DEEPEST: usize = 128;

/// Price of a purchase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Price {
    /// The published price of its pixels.
    pub(crate) estimate: MicroDollars,
    /// Amount that is reserved: no less than a megapixel a picture, and one picture.
    pub(crate) reserved: MicroDollars,
}

/// The fields that decide the price, as they are written. Other fields are skipped, so that a body
/// takes no memory but its own; a field that is given twice is an error of serde's.
#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    image_size: Option<&'a RawValue>,
    #[serde(borrow)]
    num_images: Option<&'a RawValue>,
    #[serde(borrow)]
    keep_size: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Sides {
    width: Option<Number>,
    height: Option<Number>,
}

impl Price {
    /// The same price for each request.
    pub(crate) fn flat(price: MicroDollars) -> Self {
        Self {
            estimate: price,
            reserved: price,
        }
    }

    /// The price of a body as an input of `fal-ai/uso`.
    ///
    /// # Errors
    ///
    /// The field that has to be changed.
    pub(crate) fn of_uso(body: &[u8]) -> Result<Self, &'static str> {
        let input: Input<'_> = serde_json::from_slice(body)
            .map_err(|_| "image_size, num_images and keep_size may each be given once")?;
        let images = match input.num_images {
            None => u64::from(UsoInput::NUM_IMAGES_DEFAULT),
            Some(value) => read(value)
                .and_then(|number| whole(&number))
                .ok_or("num_images must be one whole number")?,
        };
        let mut pixels = pixels(input.image_size).ok_or(
            "image_size must be one preset's name, or an object of a whole width and height",
        )?;
        let keeps_size = input.keep_size.map_or(Some(false), read);
        if keeps_size.ok_or("keep_size must be true or false")? {
            pixels = pixels.max(UNKNOWN_SIZE);
        }
        let of = |pixels: u64, images| MicroDollars::for_pixels(pixels.saturating_mul(images));
        Ok(Self {
            estimate: of(pixels, images),
            reserved: of(pixels.max(LEAST_SIZE), images.max(1)),
        })
    }
}

/// Whether a body is one JSON object of a depth that the service can read.
pub(crate) fn is_object(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Object {}

    let is_object = body.trim_ascii_start().starts_with(b"{");
    is_object && !is_deep(body) && serde_json::from_slice::<Object>(body).is_ok()
}

/// Whether brackets outside of texts nest too deeply. A skipped value has no limit of serde's.
fn is_deep(body: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return true;
        }
    }
    false
}

/// The pixels of a size.
fn pixels(size: Option<&RawValue>) -> Option<u64> {
    let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    let Some(size) = size else {
        return UsoInput::IMAGE_SIZE_DEFAULT.dimensions().map(area);
    };
    // Only an object has sides: a derived struct would read a list as well.
    if !size.get().starts_with('{') {
        return read::<ImageSizePreset>(size)?.dimensions().map(area);
    }
    let sides: Sides = read(size)?;
    let side = |side: Option<Number>, default: u32| match side {
        None => Some(u64::from(default)),
        Some(number) => whole(&number),
    };
    let width = side(sides.width, ImageSize::WIDTH_DEFAULT)?;
    let height = side(sides.height, ImageSize::HEIGHT_DEFAULT)?;
    Some(width.saturating_mul(height))
}

fn read<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    let text = value.get();
    serde_json::from_str(text)
        .ok()
        .filter(|_| text.len() <= LONGEST_VALUE)
}

/// A whole number from zero on, also one that is written as a float.
fn whole(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let float = number.as_f64()?;
        let is_whole = float.fract() == 0.0 && (0.0..=LARGEST_FLOAT).contains(&float);
        is_whole.then_some(float as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(input: &str) -> Result<Price, &'static str> {
        Price::of_uso(input.as_bytes())
    }

    fn estimate(input: &str) -> u64 {
        price(input).unwrap().estimate.get()
    }

    fn reserved(input: &str) -> u64 {
        price(input).unwrap().reserved.get()
    }

    #[test]
    fn the_size_the_number_and_their_defaults_make_the_price() {
        assert_eq!(estimate("{}"), 104_858);
        assert_eq!(estimate(r#"{"num_images":4}"#), 419_431);
        assert_eq!(estimate(r#"{"num_images":4.0}"#), 419_431);
        assert_eq!(estimate(r#"{"num\u005fimages":4}"#), 419_431);
        assert_eq!(estimate(r#"{"image_size":"square"}"#), 26_215);
        assert_eq!(estimate(r#"{"image_size":"squ\u0061re"}"#), 26_215);
        let custom = r#"{"image_size":{"width":1000,"height":1000},"keep_size":false}"#;
        assert_eq!(estimate(custom), 100_000);
        assert_eq!(estimate(r#"{"image_size":{"width":1000}}"#), 51_200);
        let nothing = r#"{"image_size":null,"num_images":null,"keep_size":null}"#;
        assert_eq!(estimate(nothing), 104_858);
        assert_eq!(
            estimate(r#"{"keep_size":true,"image_size":"square"}"#),
            419_431
        );
        let vast = r#"{"image_size":{"width":9007199254740992,"height":2e15},"num_images":4}"#;
        assert_eq!(estimate(vast), MicroDollars::for_pixels(u64::MAX).get());
    }

    #[test]
    fn a_picture_counts_a_megapixel_at_the_least() {
        assert_eq!(
            reserved(r#"{"image_size":{"width":1,"height":1}}"#),
            100_000
        );
        assert_eq!(
            reserved(r#"{"image_size":{"width":0,"height":9}}"#),
            100_000
        );
        assert_eq!(reserved(r#"{"num_images":0}"#), 104_858);
        let four = r#"{"image_size":"square","num_images":4}"#;
        assert_eq!((estimate(four), reserved(four)), (104_858, 400_000));
        assert_eq!(reserved("{}"), 104_858);
    }

    #[test]
    fn a_value_that_could_be_read_in_two_ways_is_refused_by_its_name() {
        let numbers = [
            "\"4\"",
            "\"1_4142\"",
            "\" 4 \"",
            "-1",
            "1.5",
            "1e300",
            "1e400",
            "true",
            "[4]",
            "{}",
        ];
        for number in numbers {
            let why = price(&format!(r#"{{"num_images":{number}}}"#)).unwrap_err();
            assert!(why.contains("num_images"), "{number}: {why}");
            for size in [
                format!(r#"{{"width":{number}}}"#),
                format!(r#"{{"width":8,"height":{number}}}"#),
            ] {
                let why = price(&format!(r#"{{"image_size":{size}}}"#)).unwrap_err();
                assert!(why.contains("image_size"), "{size}: {why}");
            }
        }
        for input in [
            r#"{"image_size":"poster"}"#,
            r#"{"image_size":7}"#,
            r#"{"image_size":[8,8]}"#,
            r#"{"image_size":"square","image_size":"square_hd"}"#,
            r#"{"image_size":{"width":8,"width":8000}}"#,
            r#"{"keep_size":"yes"}"#,
            r#"{"keep_size":1}"#,
            r#"{"keep_size":false,"keep_size":true}"#,
            r#"{"num_images":1,"num\u005fimages":4}"#,
            r#"{"num_images":null,"num_images":4}"#,
        ] {
            assert!(price(input).is_err(), "{input}");
        }
    }

    #[test]
    fn only_an_object_is_an_input() {
        for body in [
            "", "[]", "[1,2,3]", "null", "7", "\"{}\"", "{}{}", "{", "{\"a\":}",
        ] {
            assert!(!is_object(body.as_bytes()), "{body}");
        }
        for body in ["{}", " \n{\"a\":\"\\\"[[\",\"b\":[{}]} "] {
            assert!(is_object(body.as_bytes()), "{body}");
        }
        let nested = |depth| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_object(nested(DEEPEST - 1).as_bytes()));
        assert!(!is_object(nested(DEEPEST).as_bytes()));
    }
}
