//! What an input will cost, read from the three fields that decide it.
//!
//! The service's framework reads some texts as numbers, `"1_4142"` among them. Whatever it may take
//! for a number and this does not would be bought for less than it costs, so that only one way of
//! writing each value is let through.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use uso_transport::MicroDollars;
use uso_types::{ImageSize, ImageSizePreset, UsoInput};

/// Pixels of a picture whose size only the service knows: that of a content picture which is kept.
/// A content picture of 2048 by 2048 is the largest that the service was seen to take.
const UNKNOWN_SIZE: u64 = 2048 * 2048;

/// The least that a picture counts for the limits, in pixels. How the service rounds is not
/// published; a tiny picture may well be billed as a megapixel.
const LEAST_SIZE: u64 = 1_000_000;

/// Above it a float is no longer a whole number that everybody reads alike.
const LARGEST_FLOAT: f64 = 9_007_199_254_740_992.0;

/// Bytes of a text that may be a preset's name.
const LONGEST_PRESET: usize = 32;

/// The fields of an input that decide its price. A field of another endpoint's input may mean
/// something else; it is looked at only by [`Input::price`].
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Input {
    image_size: Given,
    num_images: Given,
    keep_size: Given,
}

/// A value as far as it matters here. Every value is read as one and forgotten, so that a body takes
/// no memory but its own, and that the parser's limit of depth holds everywhere.
#[derive(Debug, Default, PartialEq)]
enum Given {
    #[default]
    Nothing,
    Bool(bool),
    Whole(u64),
    Preset(ImageSizePreset),
    Sides(Box<(Given, Given)>),
    /// Nothing that an honest client sends, or given twice.
    Unfit,
}

/// What a purchase counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Price {
    /// At the published price of its pixels.
    pub(crate) estimate: MicroDollars,
    /// What is set aside for it: no less than a megapixel a picture.
    pub(crate) counted: MicroDollars,
}

impl Price {
    pub(crate) fn flat(price: MicroDollars) -> Self {
        Self {
            estimate: price,
            counted: price,
        }
    }
}

impl Input {
    /// Reads a body; `None` when it is not a JSON object.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// The price of this as an input of `fal-ai/uso`.
    ///
    /// # Errors
    ///
    /// What a field has to be.
    pub(crate) fn price(&self) -> Result<Price, &'static str> {
        let images = match self.num_images {
            Given::Nothing => u64::from(UsoInput::NUM_IMAGES_DEFAULT),
            Given::Whole(images) => images,
            _ => return Err("num_images must be one whole number"),
        };
        let mut pixels = self.image_size.pixels().ok_or(
            "image_size must be one preset's name, or an object of a whole width and height",
        )?;
        match self.keep_size {
            Given::Nothing | Given::Bool(false) => {}
            Given::Bool(true) => pixels = pixels.max(UNKNOWN_SIZE),
            _ => return Err("keep_size must be one of true and false"),
        }
        let of = |pixels: u64, images| MicroDollars::for_pixels(pixels.saturating_mul(images));
        Ok(Price {
            estimate: of(pixels, images),
            counted: of(pixels.max(LEAST_SIZE), images.max(1)),
        })
    }
}

impl Given {
    /// The pixels of this as a size.
    fn pixels(&self) -> Option<u64> {
        let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
        match self {
            Self::Nothing => UsoInput::IMAGE_SIZE_DEFAULT.dimensions().map(area),
            Self::Preset(preset) => preset.dimensions().map(area),
            Self::Sides(sides) => {
                let side = |side: &Self, default: u32| match side {
                    Self::Nothing => Some(u64::from(default)),
                    Self::Whole(side) => Some(*side),
                    _ => None,
                };
                let width = side(&sides.0, ImageSize::WIDTH_DEFAULT)?;
                let height = side(&sides.1, ImageSize::HEIGHT_DEFAULT)?;
                Some(width.saturating_mul(height))
            }
            _ => None,
        }
    }

    /// Puts the value where it belongs; a second one there makes neither count, since readers
    /// differ in which they take.
    fn put<'de, A: MapAccess<'de>>(
        &mut self,
        seen: &mut bool,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let value = map.next_value()?;
        *self = if std::mem::replace(seen, true) {
            Self::Unfit
        } else {
            value
        };
        Ok(())
    }
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    ImageSize,
    NumImages,
    KeepSize,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Input;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Input, A::Error> {
                let mut input = Input::default();
                let (mut size, mut number, mut keep) = (false, false, false);
                while let Some(field) = map.next_key()? {
                    match field {
                        Field::ImageSize => input.image_size.put(&mut size, &mut map)?,
                        Field::NumImages => input.num_images.put(&mut number, &mut map)?,
                        Field::KeepSize => input.keep_size.put(&mut keep, &mut map)?,
                        Field::Other => {
                            map.next_value::<Given>()?;
                        }
                    }
                }
                Ok(input)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Side {
    Width,
    Height,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Given;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("any value")
            }

            fn visit_unit<E>(self) -> Result<Given, E> {
                Ok(Given::Nothing)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Given, E> {
                Ok(Given::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Given, E> {
                Ok(Given::Whole(value))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Given, E> {
                // Those from zero on come as unsigned.
                Ok(Given::Unfit)
            }

            fn visit_f64<E>(self, value: f64) -> Result<Given, E> {
                let is_whole = value.fract() == 0.0 && (0.0..=LARGEST_FLOAT).contains(&value);
                Ok(if is_whole {
                    Given::Whole(value as u64)
                } else {
                    Given::Unfit
                })
            }

            fn visit_str<E>(self, text: &str) -> Result<Given, E> {
                // A prompt comes by here as well, and an error would copy it.
                let text = if text.len() > LONGEST_PRESET {
                    ""
                } else {
                    text
                };
                Ok(text.parse().map_or(Given::Unfit, Given::Preset))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Given, A::Error> {
                while list.next_element::<Given>()?.is_some() {}
                Ok(Given::Unfit)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
                let mut sides = Box::new((Given::Nothing, Given::Nothing));
                let (mut width, mut height) = (false, false);
                while let Some(side) = map.next_key()? {
                    match side {
                        Side::Width => sides.0.put(&mut width, &mut map)?,
                        Side::Height => sides.1.put(&mut height, &mut map)?,
                        Side::Other => {
                            map.next_value::<Given>()?;
                        }
                    }
                }
                Ok(Given::Sides(sides))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(input: &str) -> Result<Price, &'static str> {
        Input::read(input.as_bytes()).unwrap().price()
    }

    fn estimate(input: &str) -> u64 {
        price(input).unwrap().estimate.get()
    }

    fn counted(input: &str) -> u64 {
        price(input).unwrap().counted.get()
    }

    #[test]
    fn the_size_the_number_and_their_defaults_make_the_price() {
        assert_eq!(estimate("{}"), 104_858);
        assert_eq!(estimate(r#"{"num_images":4}"#), 419_431);
        assert_eq!(estimate(r#"{"num_images":4.0}"#), 419_431);
        assert_eq!(estimate(r#"{"num\u005fimages":4}"#), 419_431);
        assert_eq!(estimate(r#"{"image_size":"square"}"#), 26_215);
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
        assert_eq!(counted(r#"{"image_size":{"width":1,"height":1}}"#), 100_000);
        assert_eq!(counted(r#"{"image_size":{"width":0,"height":9}}"#), 100_000);
        assert_eq!(counted(r#"{"num_images":0}"#), 104_858);
        let four = r#"{"image_size":"square","num_images":4}"#;
        assert_eq!((estimate(four), counted(four)), (104_858, 400_000));
        assert_eq!(counted("{}"), 104_858);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused_by_its_name() {
        let numbers = [
            "\"4\"",
            "\"1_4142\"",
            "\" 4 \"",
            "-1",
            "1.5",
            "1e300",
            "true",
            "[4]",
            "{}",
        ];
        for number in numbers {
            let why = price(&format!(r#"{{"num_images":{number}}}"#)).unwrap_err();
            assert!(why.starts_with("num_images"), "{number}: {why}");
            for size in [
                format!(r#"{{"width":{number}}}"#),
                format!(r#"{{"width":8,"height":{number}}}"#),
            ] {
                let why = price(&format!(r#"{{"image_size":{size}}}"#)).unwrap_err();
                assert!(why.starts_with("image_size"), "{size}: {why}");
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
        ] {
            assert!(price(input).is_err(), "{input}");
        }
    }

    #[test]
    fn only_an_object_is_an_input() {
        for body in ["", "[]", "[1,2,3]", "null", "7", "\"{}\"", "{}{}", "{"] {
            assert_eq!(Input::read(body.as_bytes()), None, "{body}");
        }
        let deep = format!("{{\"image_size\":{}}}", "{\"width\":".repeat(5000));
        assert_eq!(Input::read(deep.as_bytes()), None);
    }
}
